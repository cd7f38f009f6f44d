"""Reading partitions: threads fetch ahead of the readers; what was fetched stands in streams.

A slot is one consumer with its thread and, for any number of partitions, one stream each. Readers of one partition
that stand far apart get streams in different slots. A stream that is full is not fetched until half of it is read,
so that it holds up no other. That only transaction markers stand between the last record and the end is learnt from
the end-of-partition events, which come when a fetch finds nothing.
"""

import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from confluent_kafka import KafkaException

from foldline.errors import LogError
from foldline.log.kafka.asker import Asker
from foldline.log.kafka.chunk import Selection
from foldline.log.kafka.clients import CALL_S, Clients
from foldline.log.kafka.faults import error_of, fault
from foldline.log.kafka.fetcher import Fetched, Fetcher, Place
from foldline.log.kafka.stream import Stream

POLL_S: Final = 0.05
"""One wait of a slot's thread; whatever comes ends it."""

HOLD_S: Final = 0.2
"""How long a slot's thread leaves the client alone while its readers have enough to do."""

VISIBLE_S: Final = 0.002
"""Between two looks for what was committed a moment ago."""

IDLE_S: Final = 60.0
"""A stream that nobody has read for so long is closed."""


class _Slot:
    """A fetcher with its thread."""

    def __init__(self, reader: "Reader", fetcher: Fetcher) -> None:
        self.streams: dict[Place, Stream] = {}
        self._fetcher = fetcher
        self._reader = reader
        self._turn = 0
        self._topics: set[str] = set()
        self._closed_in: dict[Place, int] = {}
        self._thread = threading.Thread(target=self._run, name="foldline-kafka-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join(CALL_S)

    def is_free_for(self, place: Place) -> bool:
        """Whether the partition may be fetched here: messages of its last stream could still be under way."""
        return place not in self.streams and self._turn >= self._closed_in.get(place, -2) + 2

    def open(self, place: Place, offset: int) -> Stream:
        if place[0] not in self._topics:
            # A client told to fetch a topic that it does not know looks around once a second.
            try:
                self._fetcher.know(place[0], CALL_S)
            except KafkaException as error:
                raise fault(error_of(error), f"looking for {place[0]}") from error
            self._topics.add(place[0])
        stream = self.streams[place] = Stream(offset)
        self._fetcher.assign(place, offset)
        return stream

    def close(self, place: Place) -> None:
        stream = self.streams.pop(place)
        stream.error = "closed"
        self._closed_in[place] = self._turn
        if stream.resume is None:
            self._fetcher.unassign(place)

    def _run(self) -> None:
        try:
            while not self._reader.closed:
                self._hold_off()
                self._sort_in(self._fetcher.fetch(POLL_S))
        finally:
            self._fetcher.close()

    def _hold_off(self) -> None:
        """Leave the client what it holds while a reader has enough to do and none waits.

        Memory that has just been read is then filled again while it is still in the processor's cache; what is fetched
        too early has to have memory of its own.
        """
        with self._reader.changed:
            self._reader.wanted.wait_for(self._is_wanted, HOLD_S)

    def _is_wanted(self) -> bool:
        reader = self._reader
        return reader.closed or reader.waiting > 0 or not any(s.is_ample for s in self.streams.values())

    def _sort_in(self, fetched: Fetched) -> None:
        with self._reader.changed:
            self._turn += 1
            for place, chunk in fetched.chunks:
                if place in self.streams:
                    self.streams[place].feed(chunk)
            for place, offset in fetched.ends:
                if place in self.streams:
                    self.streams[place].reach(offset)
            for place, reason in fetched.faults:
                if place in self.streams:
                    self.streams[place].error = reason
            if fetched:
                self._reader.changed.notify_all()
            self._keep_house()

    def _keep_house(self) -> None:
        """Close what nobody reads; fetch no more of what is full."""
        now = time.monotonic()
        for place, stream in list(self.streams.items()):
            if now - stream.used > IDLE_S:
                self.close(place)
            elif stream.is_full and stream.resume is None:
                self._fetcher.unassign(place)
                stream.resume = partial(self._resume, place, stream)

    def _resume(self, place: Place, stream: Stream) -> None:
        stream.resume = None
        self._fetcher.assign(place, stream.high)


class Reader:
    """Reads partitions of one cluster. Thread-safe.

    Attributes:
        changed: notified whenever rows or ends came; its lock guards all streams.
        wanted: notified whenever more should come; of the same lock.
        waiting: how many readers wait for `changed`.
        closed: set by `close`.
    """

    def __init__(self, clients: Clients) -> None:
        lock = threading.RLock()
        self.changed = threading.Condition(lock)
        self.wanted = threading.Condition(lock)
        self.waiting = 0
        self.closed = False
        self._clients = clients
        self._slots: list[_Slot] = []
        self._committed = Asker(clients.consumer)
        self._written = Asker(lambda: clients.consumer("read_uncommitted"))
        self._own: dict[Place, int] = {}
        self._ends: dict[Place, int] = {}

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset kept and the end of what is committed, as the cluster says now.

        A commit is answered a moment before its records can be read; those of this log object are waited for.

        Raises:
            LogError: `log.unavailable`.
        """
        place, deadline = (topic, partition), time.monotonic() + CALL_S
        while True:
            first, end = self._committed.ask(place)
            with self.changed:
                self._check_open()
                if end >= self._own.get(place, 0):
                    self._ends[place] = max(end, self._ends.get(place, 0))
                    return first, end
            if time.monotonic() > deadline:
                raise _stands_still(place, end)
            time.sleep(VISIBLE_S)

    def written(self, topic: str, partition: int) -> int:
        """The end of all that is written, transactions that are open still included.

        Raises:
            LogError: `log.unavailable`.
        """
        return self._written.ask((topic, partition))[1]

    def since(self, topic: str, partition: int, time: int) -> int:
        """Where the first message with that timestamp or a later one stands, the end where there is none.

        Raises:
            LogError: `log.unavailable`.
        """
        end = self.ends(topic, partition)[1]
        found = self._committed.since((topic, partition), time)
        return end if found is None else min(found, end)

    def appended(self, topic: str, partition: int, offset: int) -> None:
        """A message of ours stands at an offset: readers wait until they have it."""
        with self.changed:
            self._own[topic, partition] = max(offset + 1, self._own.get((topic, partition), 0))

    def read(
        self, topic: str, partition: int, offset: int, max_records: int, end: int | None, *, gaps: bool
    ) -> Selection | None:
        """The rows that `Log.read` gives; None where the partition has no such offset.

        Args:
            topic: as the cluster calls it.
            partition: of it.
            offset: to start at.
            max_records: see `Log.read`.
            end: likewise.
            gaps: whether offsets before the first kept are passed over, as on a compacted topic.

        Raises:
            LogError: `log.unavailable`.
        """
        place = (topic, partition)
        started = time.monotonic()
        while True:
            stream = self._stream(place, offset, gaps=gaps)
            if stream is None:
                return None
            with self.changed:
                self._check_open()
                found = self._read(place, stream, offset, max_records, end)
                if found is not None:
                    was_ample = stream.is_ample
                    stream.passed(found.end if found else offset)
                    if was_ample and not stream.is_ample:
                        self.wanted.notify_all()
                    if stream.resume is not None and stream.is_half_empty:
                        stream.resume()
                    return found
                self._await(POLL_S)
            if time.monotonic() - started > CALL_S:
                raise _stands_still(place, offset)

    def wait(self, ends: Mapping[Place, int], timeout_s: float) -> bool:
        """Wait until a row stands at or beyond one of the offsets; whether one does."""
        deadline = time.monotonic() + timeout_s
        streams: dict[Place, Stream | None] = {}
        while True:
            for place, offset in ends.items():
                stream = streams.get(place)
                if stream is None or stream.error or not stream.covers(offset):
                    streams[place] = self._stream(place, offset, gaps=True)
            with self.changed:
                self._check_open()
                for place, offset in ends.items():
                    stream = streams[place]
                    if stream is not None:
                        stream.used = time.monotonic()
                        if stream.holds(offset) or self._own.get(place, 0) > offset:
                            return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._await(min(left, IDLE_S / 4))

    def forget(self, topic: str) -> None:
        """The topic has gone, or is another by now."""
        with self.changed:
            for known in (self._own, self._ends):
                for place in [place for place in known if place[0] == topic]:
                    del known[place]
            for slot in self._slots if not self.closed else ():
                for place in [place for place in slot.streams if place[0] == topic]:
                    slot.close(place)
            self.changed.notify_all()

    def close(self) -> None:
        """Stop the threads and let the consumers go. Idempotent."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
            self.wanted.notify_all()
        for slot in self._slots:
            slot.join()
        self._committed.close()
        self._written.close()

    def _await(self, timeout_s: float) -> None:
        """Wait for rows or ends to come; the lock is held."""
        self.waiting += 1
        self.wanted.notify_all()
        try:
            self.changed.wait(timeout_s)
        finally:
            self.waiting -= 1

    def _read(
        self, place: Place, stream: Stream, offset: int, max_records: int, end: int | None
    ) -> Selection | None:
        """Rows, or none where there are none; None where that is not known yet."""
        found, complete = stream.peek(offset, max_records, end)
        own = self._own.get(place, 0)
        if complete or stream.is_full or (found and stream.high >= own):
            return found
        if stream.high >= max(own, self._ends.get(place, 0)):
            return found
        return None

    def _stream(self, place: Place, offset: int, *, gaps: bool) -> Stream | None:
        """A stream that covers an offset, opened if need be; None where the partition does not hold it."""
        with self.changed:
            self._check_open()
            found = self._covering(place, offset)
        if found is not None:
            return found
        first, end = self.ends(*place)
        if not (0 if gaps else first) <= offset <= end:
            return None
        with self.changed:
            self._check_open()
            return self._covering(place, offset) or self._free_slot(place).open(place, max(offset, first))

    def _covering(self, place: Place, offset: int) -> Stream | None:
        for slot in self._slots:
            stream = slot.streams.get(place)
            if stream is not None and stream.error:
                slot.close(place)
            elif stream is not None and stream.covers(offset):
                return stream
        return None

    def _free_slot(self, place: Place) -> _Slot:
        for slot in self._slots:
            if slot.is_free_for(place):
                return slot
        slot = _Slot(self, self._clients.fetcher())
        self._slots.append(slot)
        slot.start()
        return slot

    def _check_open(self) -> None:
        if self.closed:
            raise LogError(
                "log.closed", f"the log on {self._clients.address.servers} was closed; open it again"
            )


def _stands_still(place: Place, offset: int) -> LogError:
    return LogError(
        "log.unavailable",
        f"reading {place[0]}[{place[1]}] at offset {offset}: nothing came within {CALL_S:g} s; the cluster is away, or "
        "a transaction of a process that died is still open there",
    )
