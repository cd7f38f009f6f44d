"""What a log is: topics of partitions, append and read. Every implementation passes `testing.check_log`.

The unit is a batch of newline-joined JSON records of one partition. Offsets rise from 0. What they count is the
log's: an embedded log counts records; Kafka counts messages, where all records of a batch stand at one offset, and
leaves offsets out. So whoever follows a partition goes on from `Row.end`, and never computes it. An append is atomic
over all its batches and durable when it returns. Reading holds nothing open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self, runtime_checkable

import msgspec

Cleanup = Literal["delete", "compact"]

Counts = Literal["records", "messages"]
"""What a log's offsets count."""

AHEAD_MS = 60_000
"""A log refuses a time this far ahead of its clock: one wrong clock would move stream time for everybody."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as created.

    Attributes:
        name: dotted name, such as `news.events`.
        partitions: at least 1, fixed for the topic's life.
        cleanup: `delete` drops rows older than `retention_ms`; `compact` keeps the newest row of each key.
        retention_ms: age at which rows of a `delete` topic go, None to keep all.
        id: unique to this making of the topic (32 hex digits); set by the log, empty when asking for one.
        lasting: of one asked for: what stands there stands nowhere else, so a topic that lets rows go is refused;
            False of those that the log returns.
    """

    name: str
    partitions: int = 1
    cleanup: Cleanup = "delete"
    retention_ms: int | None = None
    id: str = ""
    lasting: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to append to one partition, at once.

    Attributes:
        topic: name of an existing topic.
        partition: 0 to partitions - 1.
        payload: `count` newline-joined records without a trailing newline, or any bytes where count is 1.
        count: number of records, at least 1.
        least: least `time` of its records, milliseconds since 1970-01-01 UTC.
        greatest: greatest `time` of its records.
        key: required on compacted topics (there count is 1, and an empty payload is a tombstone).
        headers: names and values to stand beside it, on a log that has room for them; the embedded one has none.
    """

    topic: str
    partition: int
    payload: bytes
    count: int
    least: int
    greatest: int
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Row(msgspec.Struct, frozen=True, gc=False):
    """A stored batch, or the part of one that was asked for.

    Attributes:
        offset: offset of its first record.
        count: number of records.
        payload: the records, newline-joined.
        least: least time of the whole stored batch.
        greatest: greatest time of the whole stored batch.
        key: as appended.
        packed: whether all its records stand at its one offset, as on a log that counts messages; then it is
            never cut. False where it holds one record.
        headers: names and values that whoever wrote it gave it, besides what the log itself notes there.
    """

    offset: int
    count: int
    payload: bytes
    least: int
    greatest: int
    key: bytes | None = None
    packed: bool = False
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def end(self) -> int:
        """The offset after it: what to read next."""
        return self.offset + (1 if self.packed else self.count)

    def place(self, record: int) -> tuple[int, int]:
        """Where one of its records stands: the offset, and which of the records at that offset it is.

        >>> Row(7, 3, b"a\\nb\\nc", 0, 0).place(2), Row(7, 3, b"a\\nb\\nc", 0, 0, packed=True).place(2)
        ((9, 0), (7, 2))
        """
        return (self.offset, record) if self.packed else (self.offset + record, 0)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write in a role, until it expires or another holder takes a higher epoch."""

    name: str
    holder: str
    epoch: int


def leases_of(lease: Lease | Sequence[Lease] | None) -> Sequence[Lease]:
    """The leases given to an append."""
    if lease is None:
        return ()
    return (lease,) if isinstance(lease, Lease) else lease


class Share(Protocol):
    """One member's share of a topic. Thread-safe."""

    def partitions(self) -> frozenset[int] | None:
        """The partitions to work on now; None for any that is free. Changes at every moment."""
        ...

    def reached(self, offsets: Mapping[int, int]) -> None:
        """Note how far some partitions were worked off, for tools that show lag. Never read back."""
        ...

    def close(self) -> None:
        """Leave the group. Idempotent; a log that fails keeps nobody from leaving."""
        ...


@runtime_checkable
class Log(Protocol):
    """The event log. Thread-safe; the only database there is.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     choice = app.loop("news", actions=["a"]).decide("u1")
        ...     rows = app.log.read("news.events", 0, offset=1)
        >>> rows[0].offset, rows[0].count, rows[0].payload[:18]
        (1, 1, b'{"type":"decision"')

    Attributes:
        url: opens it again.
        counts: what its offsets count.
    """

    url: str
    counts: Counts

    def create(self, topic: Topic) -> Topic:
        """Create the topic if it is not there and return it with its id.

        Raises:
            LogError: `log.topic_conflict` if one stands with which the log's promises would not hold: of other
                partitions or cleanup, and what more the log has settings for.
        """
        ...

    def examine(self, topic: Topic) -> list[str]:
        """Hold a topic that stands against what is asked for: what is not as it should be but only costs, in words.

        Raises:
            LogError: `log.topic_conflict` as `create`; `log.topic_missing` if it is not there.
        """
        ...

    def delete(self, topic: str) -> None:
        """Delete the topic and free its space; `log.topic_missing` if it is not there."""
        ...

    def topics(self) -> list[Topic]:
        """Every topic, by name."""
        ...

    def topic(self, name: str) -> Topic:
        """One topic; `log.topic_missing` if it is not there."""
        ...

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """Append all batches or none; durable on return. The offset of each batch, that of its first record.

        Raises:
            LeaseLost: a lease given is not the newest of its name; checked inside the commit.
            LogError: `log.topic_missing`, `log.time_ahead`, `log.full`, `log.closed`, `log.unavailable`.
        """
        ...

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """Rows from `offset` on: at least one where there is one, no more than needed to reach `max_records`.

        The first row is cut to start at `offset`, the last to stop at `end`; otherwise rows stay whole, so that
        a reader's position ends on a row's boundary. A packed row is never cut: it is there if its offset is. On a
        compacted topic, offsets of dropped rows are skipped.

        What this log object appended is there, and all before the end that its `offsets` has last answered; what
        others appended since may take a moment to come.

        Raises:
            LogError: `log.offset_out_of_range` below the first offset kept (on a delete topic) or beyond the
                end; `log.topic_missing`.
        """
        ...

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset kept and the end: no record stands there or beyond yet.

        Where offsets count records, the end is the offset of the next one; where they count messages, the last
        record may stand several before it.
        """
        ...

    def since(self, topic: str, partition: int, time: int) -> int:
        """Where to start reading what was written from a time on: no row before bears it or a later one as `greatest`.

        The end where no row does. Rows from there on may be older, since times need not rise.

        Args:
            topic: its name.
            partition: of it.
            time: milliseconds.
        """
        ...

    def size(self, topic: str) -> int | None:
        """Bytes of the payloads that stand on a topic; None where the log cannot tell, as on Kafka. O(rows)."""
        ...

    def wait(self, ends: Mapping[tuple[str, int], int], timeout_s: float) -> bool:
        """Block until a record stands at or beyond the offset given for some partition, or the timeout.

        Returns:
            Whether one does.
        """
        ...

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take or renew a lease: None while another holder's has not expired.

        Renewing keeps the epoch; taking raises it by one.
        """
        ...

    def release(self, *leases: Lease) -> None:
        """Give those of the leases up that are still the newest of their names."""
        ...

    def share(self, topic: str, group: str, member: str) -> Share:
        """Join those who work on a topic's partitions, to be told which of them to work on.

        Args:
            topic: its name.
            group: those who share the work.
            member: names this one.
        """
        ...

    def clean(self) -> int:
        """Apply retention and compaction now and give the space back; bytes freed.

        0 where that is not done by who uses the log: Kafka's brokers clean by themselves.
        """
        ...

    def close(self) -> None:
        """Release files and threads; later calls raise `log.closed`. Idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
