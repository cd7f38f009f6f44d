"""The embedded log: one file, many threads, many processes on one machine."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from foldline.log import validation
from foldline.log.clock import Clock, now_ms
from foldline.log.protocol import Batch, Counts, Lease, Row, Share, Topic, leases_of
from foldline.log.shares import Seats
from foldline.log.sqlite import catalogue, cleaning, forks, leases
from foldline.log.sqlite.connections import Connections
from foldline.log.sqlite.opening import check_library
from foldline.log.sqlite.reading import end_offset, first_offset, offset_since, read_rows
from foldline.log.sqlite.writer import Writer

POLL_S = 0.002
"""How often `wait` looks for appends of other processes."""


class SqliteLog:
    """The `Log` protocol on one SQLite file in WAL mode, every commit on the disk before it is answered.

    Each process opens the file for itself; a log object that meets a fork goes on working on both sides.

    Args:
        path: the file; made if it is not there, its folder is not.
        clock: milliseconds since 1970-01-01 UTC; the machine's by default.
        max_bytes: quota: appends that would make the file larger are refused with `log.full`. Give the same in
            every process. The write-ahead log beside the file comes on top of it, some tens of megabytes.

    Raises:
        LogError: `log.unsafe_sqlite`, `log.not_a_log`, `log.newer_format`, `log.unavailable`.
    """

    counts: Counts = "records"

    def __init__(self, path: str | Path, *, clock: Clock = now_ms, max_bytes: int | None = None) -> None:
        check_library(apsw.sqlite_lib_version())
        self.path = Path(path).absolute()
        self.url = f"sqlite:///{self.path}"
        self._clock = clock
        self._connections = Connections(str(self.path), max_bytes)
        self._new_locks()
        forks.watch(self)

    def create(self, topic: Topic) -> Topic:
        """See `Log.create`."""
        validation.check_topic(topic)
        with self._connections.reading() as connection:
            standing = catalogue.find_topic(connection, topic.name)
        if standing is not None:
            validation.check_same(standing, topic)
            return standing
        with self._connections.transaction() as connection:
            return catalogue.create_topic(connection, topic)

    def examine(self, topic: Topic) -> list[str]:
        """See `Log.examine`. Nothing here only costs."""
        validation.check_same(self.topic(topic.name), topic)
        return []

    def delete(self, topic: str) -> None:
        """See `Log.delete`. O(bytes of the topic), in small transactions."""
        with self._connections.transaction() as connection:
            catalogue.delete_topic(connection, topic)
        self._wake()
        cleaning.sweep(self._connections)

    def topics(self) -> list[Topic]:
        """See `Log.topics`."""
        with self._connections.reading() as connection:
            return catalogue.list_topics(connection)

    def topic(self, name: str) -> Topic:
        """See `Log.topic`."""
        with self._connections.reading() as connection:
            found = catalogue.find_topic(connection, name)
        if found is None:
            raise validation.topic_missing(name)
        return found

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """See `Log.append`. One transaction, shared with appends of other threads that come meanwhile."""
        validation.check_batches(batches, self._clock())
        offsets = self._writer.append(batches, leases_of(lease))
        if not self._awaited.isdisjoint([batch.topic for batch in batches]):
            self._wake()
        return offsets

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """See `Log.read`. O(log rows) to find the first."""
        validation.check_read(max_records)
        with self._connections.snapshot() as connection:
            return read_rows(connection, topic, partition, offset, max_records, end)

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See `Log.offsets`."""
        with self._connections.snapshot() as connection:
            place = catalogue.find_place(connection, topic, partition)
            return first_offset(connection, place), end_offset(connection, place)

    def since(self, topic: str, partition: int, time: int) -> int:
        """See `Log.since`. O(rows before), without their payloads."""
        with self._connections.snapshot() as connection:
            return offset_since(connection, catalogue.find_place(connection, topic, partition), time)

    def size(self, topic: str) -> int:
        """See `Log.size`."""
        partitions = self.topic(topic).partitions
        with self._connections.snapshot() as connection:
            places = [catalogue.find_place(connection, topic, number) for number in range(partitions)]
            return sum(catalogue.payload_bytes(connection, place) for place in places)

    def wait(self, ends: Mapping[tuple[str, int], int], timeout_s: float) -> bool:
        """See `Log.wait`. Woken by this process's appends, polls for others' every `POLL_S`."""
        self._awaited |= {topic for topic, _ in ends}
        deadline = time.monotonic() + timeout_s
        seen: tuple[apsw.Connection, int] | None = None
        # Looked up once a call: a topic made again meanwhile is found by the next.
        places: list[tuple[catalogue.Place, int]] | None = None
        while True:
            appends = self._appends
            with self._connections.reading() as connection:
                now_seen = (connection, connection.pragma("data_version"))
                if now_seen != seen:
                    seen = now_seen
                    if places is None:
                        places = [(catalogue.find_place(connection, t, p), e) for (t, p), e in ends.items()]
                    if any(end_offset(connection, place) > end for place, end in places):
                        return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                if self._appends == appends:
                    self._changed.wait(min(POLL_S, left))

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Log.acquire`."""
        validation.check_lease_request(name, holder, ttl_s)
        with self._connections.transaction() as connection:
            now = self._clock()
            return leases.take(connection, name, holder, now, now + round(ttl_s * 1000))

    def release(self, *given_up: Lease) -> None:
        """See `Log.release`."""
        with self._connections.transaction() as connection:
            leases.give_up(connection, given_up)

    def share(self, topic: str, group: str, member: str) -> Share:
        """See `Log.share`. Evenly among the processes that are there."""
        partitions = self.topic(topic).partitions
        return Seats(self, f"share/{group}/{topic}/", member, partitions, self._clock, self._held)

    def clean(self) -> int:
        """See `Log.clean`. O(rows of compacted topics + rows dropped), in small transactions."""
        return cleaning.clean(self._connections, self._clock())

    def close(self) -> None:
        """See `Log.close`. Waits for the calls under way."""
        self._connections.close()
        self._wake()

    def before_fork(self) -> None:
        """Close the file; called by `forks`."""
        self._connections.hold()

    def after_fork(self, *, child: bool) -> None:
        """Go on after a fork; called by `forks`."""
        if child:
            self._connections.renew()
            self._new_locks()
        else:
            self._connections.resume()

    def _held(self, prefix: str) -> list[str]:
        with self._connections.reading() as connection:
            return leases.held(connection, prefix, self._clock())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _new_locks(self) -> None:
        self._writer = Writer(self._connections)
        self._changed = threading.Condition()
        self._appends = 0
        # Every topic anybody has waited for: an append to another wakes nobody, who would look in vain.
        self._awaited: set[str] = set()

    def _wake(self) -> None:
        with self._changed:
            self._appends += 1
            self._changed.notify_all()
