"""Fetching: a client that is told partitions and offsets, and gives what comes of them in chunks."""

import logging
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from foldline.log.kafka.chunk import Chunk, RowChunk
from foldline.log.kafka.messages import to_row
from foldline.log.protocol import Row

_logger = logging.getLogger("foldline.log.kafka")

Place = tuple[str, int]
"""A topic, as the cluster calls it, and a partition."""

DRAIN: Final = 2_000
"""Messages taken from the client at once."""

EOF: Final = KafkaError._PARTITION_EOF  # noqa: SLF001 - librdkafka's own code


@dataclass(slots=True)
class Fetched:
    """What came at once.

    Attributes:
        chunks: rows, in order.
        ends: partitions that hold no more, with the offset of their end.
        faults: partitions that cannot go on, with the reason in the client's words.
    """

    chunks: list[tuple[Place, Chunk]] = field(default_factory=list)
    ends: list[tuple[Place, int]] = field(default_factory=list)
    faults: list[tuple[Place, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.chunks or self.ends or self.faults)


class Fetcher(Protocol):
    """Fetches partitions. `fetch` and `close` are called by one thread at a time, the others by any."""

    def know(self, topic: str, timeout_s: float) -> None:
        """Make sure that the client knows a topic; `KafkaException` if the cluster does not answer."""
        ...

    def assign(self, place: Place, offset: int) -> None:
        """Begin to fetch a partition at an offset."""
        ...

    def unassign(self, place: Place) -> None:
        """Fetch a partition no more; what is under way may still come."""
        ...

    def fetch(self, timeout_s: float) -> Fetched:
        """What has come, waited for so long where nothing has. Failures are logged, and passed over."""
        ...

    def close(self) -> None:
        """Let the client go."""
        ...


class ObjectFetcher:
    """Fetches by the client's Python interface, which makes objects of each message."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def know(self, topic: str, timeout_s: float) -> None:
        """See `Fetcher.know`."""
        self._consumer.list_topics(topic, timeout_s)

    def assign(self, place: Place, offset: int) -> None:
        """See `Fetcher.assign`."""
        self._consumer.incremental_assign([TopicPartition(*place, offset)])

    def unassign(self, place: Place) -> None:
        """See `Fetcher.unassign`."""
        self._consumer.incremental_unassign([TopicPartition(*place)])

    def fetch(self, timeout_s: float) -> Fetched:
        """See `Fetcher.fetch`."""
        fetched = Fetched()
        rows: dict[Place, list[Row]] = {}
        try:
            message = self._consumer.poll(timeout_s)
            messages = [] if message is None else [message, *self._consumer.consume(DRAIN - 1, 0)]
        except KafkaException as error:
            _logger.warning("fetching from Kafka: %s", error)
            time.sleep(timeout_s)
            return fetched
        for message in messages:
            place: Place = (message.topic(), message.partition())  # type: ignore[assignment]  # None finds no stream
            event = message.error()
            if event is None:
                rows.setdefault(place, []).append(to_row(message))
            elif event.code() == EOF:
                fetched.ends.append((place, message.offset()))  # type: ignore[arg-type]  # an end has an offset
            else:
                fetched.faults.append((place, event.str()))
        fetched.chunks += [(place, RowChunk(some)) for place, some in rows.items()]
        return fetched

    def close(self) -> None:
        """See `Fetcher.close`."""
        self._consumer.close()
