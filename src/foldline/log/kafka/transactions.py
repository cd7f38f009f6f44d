"""Transactions: several messages, or none. Whoever begins with the same id fences the one before.

A producer whose transaction may have been committed or not is thrown away: librdkafka can carry messages of one
transaction into the next (confluentinc/librdkafka#5423). Its successor's start settles on the cluster what became
of it.
"""

import time
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from foldline.errors import FoldlineError, LogError
from foldline.log.kafka.clients import CALL_S, Clients
from foldline.log.kafka.faults import error_of, fault

Outgoing = tuple[str, dict[str, Any]]
"""A topic, as the cluster calls it, and the message."""


class Fenced(Exception):
    """Another has begun with this id since; nothing was written."""


class Transactor:
    """Commits transactions under one id. Not thread-safe.

    Args:
        clients: make its producers.
        id: transactional id.
        compresses: whether what is committed is compressed.

    Attributes:
        id: transactional id.
        is_fresh: True from a start until `settled`: what others did under the id before is yet to be read.
    """

    def __init__(self, clients: Clients, id: str, *, compresses: bool = True) -> None:
        self.id = id
        self._compresses = compresses
        self.is_fresh = True
        self._clients = clients
        self._producer: Producer | None = None

    def start(self) -> None:
        """Begin with the id, if not begun already: fences whoever used it, and ends their transaction.

        Raises:
            LogError: `log.unavailable`.
        """
        if self._producer is not None:
            return
        producer = self._clients.producer(self.id, compresses=self._compresses)
        deadline = time.monotonic() + CALL_S
        while True:
            try:
                producer.init_transactions(max(0.1, deadline - time.monotonic()))
            except KafkaException as raised:
                error = error_of(raised)
                if not error.retriable() or time.monotonic() > deadline:
                    raise fault(error, f"beginning transactions as {self.id!r}") from raised
            else:
                break
        self._producer, self.is_fresh = producer, True

    def settled(self) -> None:
        """What others did under the id before the start was read."""
        self.is_fresh = False

    def commit(self, messages: list[Outgoing]) -> list[int]:
        """All messages or none; their offsets.

        Raises:
            Fenced: nothing was written; `start` again.
            LogError: `log.unavailable`: whether they were written is not known. Others as in `fault`: they were not.
        """
        self.start()
        producer = self._producer
        if producer is None:
            raise LogError("log.closed", "the log was closed while appending")
        offsets: list[int] = [-1] * len(messages)
        failed: list[KafkaError] = []
        try:
            producer.begin_transaction()
            for place, (topic, message) in enumerate(messages):
                producer.produce(topic, on_delivery=_hearer(place, offsets, failed), **message)
            self._end(producer)
        except BufferError as raised:
            self.stop()
            raise LogError("log.unavailable", "appending: too much waits for the cluster") from raised
        except KafkaException as raised:
            # What the client says of the transaction is that it failed; what it said of a message is why.
            raise self._recovered(producer, error_of(raised), failed, messages) from raised
        except BaseException:
            self.stop()
            raise
        _hear(producer)
        if -1 in offsets:
            self.stop()
            raise LogError(
                "log.unavailable", "appending: committed, but where the messages stand was not told"
            )
        return offsets

    def stop(self) -> None:
        """Throw the producer away; the next start makes another."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()

    def _end(self, producer: Producer) -> None:
        deadline = time.monotonic() + CALL_S
        while True:
            try:
                producer.commit_transaction(max(0.1, deadline - time.monotonic()))
            except KafkaException as raised:
                if not error_of(raised).retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def _recovered(
        self, producer: Producer, error: KafkaError, failed: list[KafkaError], messages: list[Outgoing]
    ) -> Exception:
        """Leave the transaction behind; what to raise."""
        _hear(producer)
        doing = f"appending {len(messages)} batches to {', '.join(sorted({topic for topic, _ in messages}))}"
        if error.fatal():
            self.stop()
            if error.code() in {KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH}:  # noqa: SLF001 - its code
                return Fenced(self.id)
            return fault(error, doing)
        reason = next((one for one in failed if one.code() != KafkaError._PURGE_QUEUE), error)  # noqa: SLF001 - its code
        raised: FoldlineError = fault(reason, doing)
        fenced = False
        try:
            producer.abort_transaction(CALL_S)
        except KafkaException as again:
            fenced = error_of(again).code() == KafkaError._FENCED  # noqa: SLF001 - librdkafka's own code
        # A message that failed leaves a gap in the producer's numbers, over which the next transaction would fall.
        self.stop()
        return Fenced(self.id) if fenced else raised


def _hear(producer: Producer) -> None:
    """Let the deliveries be told; that the producer was fenced, which is raised here too, the commit says as well."""
    with suppress(KafkaException):
        producer.poll(0)


def _hearer(place: int, offsets: list[int], failed: list[KafkaError]) -> Any:
    def hear(error: KafkaError | None, delivered: Message) -> None:
        if error is not None:
            failed.append(error)
        else:
            offsets[place] = delivered.offset()  # type: ignore[assignment]  # a message delivered has an offset

    return hear
