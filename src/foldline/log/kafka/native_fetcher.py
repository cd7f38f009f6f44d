"""Fetching from librdkafka itself: messages become columns, a batch at a time.

Messages of few bytes are copied out of the library's memory. Of large ones the payloads stay there until nobody looks
at them any more, and the client with them: it is let go when it is closed and the last of its messages is.
"""

import ctypes
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from confluent_kafka import KafkaError, KafkaException

from foldline.errors import LogError
from foldline.kernels import is_ready
from foldline.log.kafka import gathering
from foldline.log.kafka.buffers import Buffers
from foldline.log.kafka.chunk import Int64s, MessageChunk
from foldline.log.kafka.fetcher import EOF, Fetched, Place
from foldline.log.kafka.librdkafka import CONSUMER, ERROR_CALLBACK, LOG_CALLBACK, Librdkafka

DRAIN = 8_000
"""Messages taken from the library at once."""

STAYING_BYTES: Final = 4096
"""Payloads of so many bytes, or more, stay where they are: looking at each costs less than copying it."""

STAYING_SHARE: Final = 8
"""What stays keeps all that came in one answer of the cluster; so it must be that part of what came, or more."""

_TEXT_BYTES = 512


class _Client:
    """Stands for a client of the library: of all that is the client's, what stays holds this."""


class _Staying:
    """Messages that stay in the library's memory as long as this is there."""

    def __init__(
        self, client: _Client | None, library: Librdkafka, functions: Int64s, pointers: Int64s
    ) -> None:
        weakref.finalize(self, _let_go, client, library, functions, pointers).atexit = False


def _let_go(_client: _Client | None, library: Librdkafka, functions: Int64s, pointers: Int64s) -> None:
    # Called anywhere, even while something is being imported: nothing may be compiled here.
    if is_ready(gathering.let_go):
        gathering.let_go(functions, pointers)
    else:
        destroy = library.message_destroy
        for message in pointers.tolist():
            destroy(message)


class NativeFetcher:
    """A consumer of librdkafka's own; see `Fetcher`.

    Args:
        library: librdkafka.
        settings: properties, as librdkafka calls them.
        note: told of every trouble that the library reports.
        logger: told what it logs.

    Raises:
        ValueError: a property that it does not take.
    """

    def __init__(
        self,
        library: Librdkafka,
        settings: Mapping[str, Any],
        note: Callable[[KafkaError], None],
        logger: logging.Logger,
    ) -> None:
        self._library = library
        # Kept, since the library only has their addresses.
        self._callbacks = (
            ERROR_CALLBACK(lambda _client, code, reason, _: note(KafkaError(code, _text(reason)))),
            LOG_CALLBACK(lambda _client, level, facility, text: _log(logger, level, facility, text)),
        )
        self._client: int = self._made(settings)
        self._owner: _Client | None = _Client()
        # Other threads change what is fetched; none may come to a client that is gone.
        self._using, self._closed, self._is_interrupted = threading.Lock(), False, False
        library.set_log_queue(self._client, None)
        library.poll_set_consumer(self._client)
        self._queue = library.queue_get_consumer(self._client)
        self._functions = np.array([library.address_of(name) for name in gathering.FUNCTIONS], np.int64)
        self._pointers, self._scratch = np.empty(DRAIN, np.int64), np.empty(4, np.int64)
        self._buffers = Buffers()
        self._table, self._runs = np.empty((8, DRAIN), np.int64), np.empty((3, DRAIN), np.int64)

    def know(self, topic: str, timeout_s: float) -> None:
        """See `Fetcher.know`."""
        with self._using:
            self._check_open()
            handle = self._library.topic_new(self._client, topic.encode(), None)
            found = ctypes.c_void_p()
            code = self._library.metadata(
                self._client, 0, handle, ctypes.byref(found), round(timeout_s * 1000)
            )
            if not code:
                self._library.metadata_destroy(found)
            self._library.topic_destroy(handle)
        if code:
            raise KafkaException(KafkaError(code))

    def assign(self, place: Place, offset: int) -> None:
        """See `Fetcher.assign`."""
        self._change(self._library.incremental_assign, place, offset)

    def unassign(self, place: Place) -> None:
        """See `Fetcher.unassign`."""
        self._change(self._library.incremental_unassign, place, None)

    def fetch(self, timeout_s: float) -> Fetched:
        """See `Fetcher.fetch`."""
        fetched = Fetched()
        self._is_interrupted = True
        first = self._library.consumer_poll(self._client, round(timeout_s * 1000))
        if first is not None:
            self._pointers[0] = first
            more = self._library.consume_batch_queue(
                self._queue, 0, self._pointers.ctypes.data + self._pointers.itemsize, DRAIN - 1
            )
            self._gather(1 + max(0, more), fetched)
        self._is_interrupted = False
        return fetched

    def close(self) -> None:
        """See `Fetcher.close`. Idempotent."""
        with self._using:
            if not self._closed:
                self._closed = True
                self._library.consumer_close(self._client)
                self._library.queue_destroy(self._queue)
                # After an interrupted fetch nobody knows of the messages that were in hand: the client stays, as does
                # one that was never closed. It would wait for them for ever.
                if self._owner is not None and not self._is_interrupted:
                    weakref.finalize(self._owner, self._library.destroy, self._client).atexit = False
                self._owner = None

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("log.closed", "the client that fetches from Kafka was closed; open the log again")

    def _made(self, settings: Mapping[str, Any]) -> int:
        library, why = self._library, ctypes.create_string_buffer(_TEXT_BYTES)
        conf = library.conf_new()
        for name, value in {**settings, "log.queue": True}.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if library.conf_set(conf, name.encode(), text.encode(), why, _TEXT_BYTES):
                library.conf_destroy(conf)
                raise ValueError(_text(why.value))
        library.conf_set_error_cb(conf, self._callbacks[0])
        library.conf_set_log_cb(conf, self._callbacks[1])
        client: int | None = library.new(CONSUMER, conf, why, _TEXT_BYTES)
        if client is None:
            library.conf_destroy(conf)
            raise ValueError(_text(why.value))
        return client

    def _change(self, change: Callable[[int, int], int | None], place: Place, offset: int | None) -> None:
        """Assign or unassign one partition."""
        library, topic = self._library, place[0].encode()
        with self._using:
            self._check_open()
            places = library.topic_partition_list_new(1)
            library.topic_partition_list_add(places, topic, place[1])
            if offset is not None:
                library.topic_partition_list_set_offset(places, topic, place[1], offset)
            error = change(self._client, places)
            library.topic_partition_list_destroy(places)
        if error is not None:
            raised = KafkaError(library.error_code(error), _text(library.error_string(error)))
            library.error_destroy(error)
            raise KafkaException(raised)

    def _gather(self, count: int, fetched: Fetched) -> None:
        """The messages pointed to, as chunks and events; none of them stays."""
        scratch, at = self._scratch, self._scratch.ctypes.data
        found = gathering.survey(self._functions, self._pointers, count, self._table, self._runs, scratch, at)
        runs = zip(*self._runs[:, :found].tolist(), strict=True)
        stops = [*self._runs[gathering.FIRST, 1:found].tolist(), count]
        everything = int(self._runs[gathering.BYTES, :found].sum())
        for (first, size, beside), stop in zip(runs, stops, strict=True):
            if self._table[gathering.ERROR, first]:
                self._note(first, stop, fetched)
                continue
            place = self._place(first)
            columns = np.empty((8, stop - first + 1), np.int64)
            stays = size >= STAYING_BYTES * (stop - first) and size * STAYING_SHARE >= everything
            data = _NOTHING if stays else self._buffers.array(size)
            besides = np.empty(beside, np.uint8)
            said = gathering.take(
                self._functions, self._pointers, first, stop, self._table, columns, data, besides, scratch, at,
                0 if stays else data.ctypes.data,
            )  # fmt: skip
            kept: object = data
            if stays:
                kept = _Staying(
                    self._owner, self._library, self._functions, self._pointers[first:stop].copy()
                )
            fetched.chunks.append((place, MessageChunk(columns, kept, besides, said, apart=stays)))

    def _note(self, first: int, stop: int, fetched: Fetched) -> None:
        for n in range(first, stop):
            message = int(self._pointers[n])
            if self._table[gathering.TOPIC, n]:
                place = self._place(n)
                if self._table[gathering.ERROR, n] == EOF:
                    fetched.ends.append((place, int(self._table[gathering.OFFSET, n])))
                else:
                    fetched.faults.append((place, _text(self._library.message_errstr(message))))
            self._library.message_destroy(message)

    def _place(self, n: int) -> Place:
        topic = self._library.topic_name(int(self._table[gathering.TOPIC, n]))
        return _text(topic), int(self._table[gathering.PARTITION, n])


_NOTHING: Final = np.zeros(0, np.uint8)


def _text(given: bytes | None) -> str:
    return (given or b"").decode(errors="replace")


def _log(logger: logging.Logger, level: int, facility: bytes, text: bytes) -> None:
    # Syslog's levels: 3 and below are errors, 4 warnings, 5 and 6 notes.
    known = (
        logging.ERROR
        if level <= 3
        else logging.WARNING
        if level == 4
        else logging.INFO
        if level <= 6
        else logging.DEBUG
    )
    logger.log(known, "%s [librdkafka] %s", _text(facility), _text(text))
