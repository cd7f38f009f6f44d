"""A log in this process's memory: for tests, simulations and throwaway runs. Nothing survives the process."""

import secrets
import threading
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from foldline.errors import LeaseLost, LogError
from foldline.log import validation
from foldline.log.clock import Clock, now_ms
from foldline.log.protocol import Batch, Counts, Lease, Row, Share, Topic, leases_of
from foldline.log.shares import Seats
from foldline.log.slicing import part


@dataclass(slots=True)
class _Partition:
    rows: list[Row] = field(default_factory=list)
    end: int = 0

    @property
    def first(self) -> int:
        return self.rows[0].offset if self.rows else self.end

    def add(self, batch: Batch) -> int:
        offset = self.end
        self.rows.append(
            Row(
                offset,
                batch.count,
                batch.payload,
                batch.least,
                batch.greatest,
                batch.key,
                headers=batch.headers,
            )
        )
        self.end += batch.count
        return offset


@dataclass(slots=True)
class _Stored:
    topic: Topic
    partitions: list[_Partition]


@dataclass(slots=True)
class _Held:
    holder: str
    epoch: int
    expires: int


class MemoryLog:
    """The `Log` protocol over lists, under one lock.

    Args:
        clock: milliseconds since 1970-01-01 UTC; the machine's by default.

    >>> with MemoryLog() as log:
    ...     _ = log.create(Topic("news.events"))
    ...     log.append([Batch("news.events", 0, b"one\\ntwo", 2, 0, 0)])
    ...     [row.payload for row in log.read("news.events", 0, 1)]
    [0]
    [b'two']
    """

    url = "memory://"
    counts: Counts = "records"

    def __init__(self, *, clock: Clock = now_ms) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._topics: dict[str, _Stored] = {}
        self._leases: dict[str, _Held] = {}
        self._closed = False

    def create(self, topic: Topic) -> Topic:
        """See `Log.create`."""
        validation.check_topic(topic)
        with self._changed:
            self._check_open()
            standing = self._topics.get(topic.name)
            if standing is not None:
                validation.check_same(standing.topic, topic)
                return standing.topic
            made = replace(topic, id=secrets.token_hex(16), lasting=False)
            self._topics[topic.name] = _Stored(made, [_Partition() for _ in range(topic.partitions)])
            return made

    def examine(self, topic: Topic) -> list[str]:
        """See `Log.examine`. Nothing here only costs."""
        validation.check_same(self.topic(topic.name), topic)
        return []

    def delete(self, topic: str) -> None:
        """See `Log.delete`."""
        with self._changed:
            self._stored(topic)
            del self._topics[topic]
            self._changed.notify_all()

    def topics(self) -> list[Topic]:
        """See `Log.topics`."""
        with self._changed:
            self._check_open()
            return [self._topics[name].topic for name in sorted(self._topics)]

    def topic(self, name: str) -> Topic:
        """See `Log.topic`."""
        with self._changed:
            return self._stored(name).topic

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """See `Log.append`."""
        validation.check_batches(batches, self._clock())
        with self._changed:
            self._check_open()
            for held in leases_of(lease):
                self._check_lease(held)
            targets = [self._target(batch) for batch in batches]
            offsets = [target.add(batch) for target, batch in zip(targets, batches, strict=True)]
            self._changed.notify_all()
            return offsets

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """See `Log.read`. O(log rows) to find the first."""
        validation.check_read(max_records)
        with self._changed:
            stored = self._stored(topic)
            found = self._partition(stored, partition)
            first = 0 if stored.topic.cleanup == "compact" else found.first
            if not first <= offset <= found.end:
                raise validation.out_of_range(topic, partition, offset, found.first, found.end)
            stop = found.end if end is None else end
            return _collect(found.rows, offset, stop, max_records)

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See `Log.offsets`."""
        with self._changed:
            found = self._partition(self._stored(topic), partition)
            return found.first, found.end

    def since(self, topic: str, partition: int, time: int) -> int:
        """See `Log.since`. O(rows before)."""
        with self._changed:
            found = self._partition(self._stored(topic), partition)
            return next((row.offset for row in found.rows if row.greatest >= time), found.end)

    def size(self, topic: str) -> int:
        """See `Log.size`."""
        with self._changed:
            return sum(len(row.payload) for p in self._stored(topic).partitions for row in p.rows)

    def wait(self, ends: Mapping[tuple[str, int], int], timeout_s: float) -> bool:
        """See `Log.wait`. Woken by the append itself."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not any(self._partition(self._stored(t), p).end > end for (t, p), end in ends.items()):
                self._check_open()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Log.acquire`."""
        validation.check_lease_request(name, holder, ttl_s)
        now = self._clock()
        with self._changed:
            self._check_open()
            held = self._leases.get(name)
            if held is not None and held.holder not in ("", holder) and held.expires > now:
                return None
            if held is None or held.holder != holder:
                held = _Held(holder, 1 if held is None else held.epoch + 1, 0)
                self._leases[name] = held
            held.expires = now + round(ttl_s * 1000)
            return Lease(name, holder, held.epoch)

    def release(self, *leases: Lease) -> None:
        """See `Log.release`."""
        with self._changed:
            self._check_open()
            for lease in leases:
                held = self._leases.get(lease.name)
                if held is not None and (held.epoch, held.holder) == (lease.epoch, lease.holder):
                    # The row stays, so that the next taker's epoch is higher still.
                    held.holder, held.expires = "", 0

    def share(self, topic: str, group: str, member: str) -> Share:
        """See `Log.share`. Evenly among those who are there."""
        partitions = self.topic(topic).partitions
        return Seats(self, f"share/{group}/{topic}/", member, partitions, self._clock, self._held)

    def clean(self) -> int:
        """See `Log.clean`. O(rows kept)."""
        now = self._clock()
        with self._changed:
            self._check_open()
            return sum(_clean(p, s.topic, now) for s in self._topics.values() for p in s.partitions)

    def close(self) -> None:
        """See `Log.close`. Everything on the log is gone."""
        with self._changed:
            self._closed = True
            self._topics.clear()
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("log.closed", "the log memory:// was closed; what it held is gone, open a new one")

    def _stored(self, name: str) -> _Stored:
        self._check_open()
        stored = self._topics.get(name)
        if stored is None:
            raise validation.topic_missing(name)
        return stored

    def _partition(self, stored: _Stored, partition: int) -> _Partition:
        validation.check_partition(stored.topic.name, partition, len(stored.partitions))
        return stored.partitions[partition]

    def _target(self, batch: Batch) -> _Partition:
        stored = self._stored(batch.topic)
        validation.check_fits(batch, len(stored.partitions), stored.topic.cleanup)
        return stored.partitions[batch.partition]

    def _held(self, prefix: str) -> list[str]:
        """Names of the leases held that begin so, in order."""
        now = self._clock()
        with self._changed:
            self._check_open()
            return sorted(
                name
                for name, held in self._leases.items()
                if name.startswith(prefix) and held.holder and held.expires > now
            )

    def _check_lease(self, lease: Lease) -> None:
        held = self._leases.get(lease.name)
        if held is None or (held.epoch, held.holder) != (lease.epoch, lease.holder):
            newest, holder = (0, "") if held is None else (held.epoch, held.holder)
            raise LeaseLost(validation.lease_lost(lease, newest, holder))


def _collect(rows: list[Row], offset: int, stop: int, max_records: int) -> list[Row]:
    found: list[Row] = []
    wanted = max_records
    at = bisect_right(rows, offset, key=lambda row: row.end)
    while at < len(rows) and wanted > 0 and max(offset, rows[at].offset) < stop:
        found.append(part(rows[at], offset, stop))
        wanted -= found[-1].count
        at += 1
    return found


def _clean(partition: _Partition, topic: Topic, now: int) -> int:
    before = partition.rows
    if topic.cleanup == "compact":
        partition.rows = _compacted(before)
    elif topic.retention_ms is not None:
        partition.rows = before[_expired(before, now - topic.retention_ms) :]
    return _size(before) - _size(partition.rows)


def _expired(rows: list[Row], cutoff: int) -> int:
    """How many rows at the front are older than `cutoff`; a younger one keeps all that follow it."""
    return next((at for at, row in enumerate(rows) if row.greatest >= cutoff), len(rows))


def _compacted(rows: list[Row]) -> list[Row]:
    oldest: dict[bytes | None, int] = {}
    newest: dict[bytes | None, int] = {}
    for row in rows:
        oldest.setdefault(row.key, row.offset)
        newest[row.key] = row.offset
    # A tombstone stays for as long as it superseded something, so that a reader behind may still meet it.
    return [
        row for row in rows if newest[row.key] == row.offset and (row.payload or oldest[row.key] < row.offset)
    ]


def _size(rows: list[Row]) -> int:
    return sum(len(row.payload) + len(row.key or b"") for row in rows)
