"""Reading partitions: what was fetched stands in streams, from which rows are read by their offsets.

Readers of one partition that stand far apart get streams in different slots. That only transaction markers stand
between the last record and the end is learnt from the end-of-partition events, which come when a fetch finds nothing.
"""

import threading
import time
from collections.abc import Mapping
from typing import Final

from foldline.errors import LogError
from foldline.log.kafka.asker import Asker
from foldline.log.kafka.chunk import RowChunk, Selection
from foldline.log.kafka.clients import CALL_S, Clients
from foldline.log.kafka.fetcher import Place
from foldline.log.kafka.slot import Slot
from foldline.log.kafka.stream import Stream
from foldline.log.protocol import Row

POLL_S: Final = 0.05
"""One wait for the cluster; whatever comes ends it."""

SHARED_S: Final = 0.005
"""One wait of a thread that waits for several slots by turns."""

VISIBLE_S: Final = 0.002
"""Between two looks for what was committed a moment ago."""


class Reader:
    """Reads partitions of one cluster. Thread-safe.

    Attributes:
        changed: notified after each fetch; its lock guards all slots and streams.
        closed: set by `close`.
    """

    def __init__(self, clients: Clients) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.closed = False
        self._clients = clients
        self._slots: list[Slot] = []
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

    def appended(self, topic: str, partition: int, offset: int, row: Row | None = None) -> None:
        """A message of ours stands at an offset: readers wait until they have it.

        Args:
            topic: as the cluster calls it.
            partition: of it.
            offset: of the message.
            row: what it is to readers: those who have read all that stands before need not wait for it to come back.
        """
        place = (topic, partition)
        with self.changed:
            self._own[place] = max(offset + 1, self._own.get(place, 0))
            if row is None:
                return
            for slot in self._slots:
                stream = slot.streams.get(place)
                if stream is not None and stream.high == offset and not stream.error:
                    stream.feed(RowChunk([row]))
                    self.changed.notify_all()

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
        seen = -1
        while True:
            at = self._stream(place, offset, gaps=gaps)
            if at is None:
                return None
            slot, stream = at
            with self.changed:
                self._check_open()
                stream.used = time.monotonic()
                found, complete = stream.peek(offset, max_records, end)
                # What the client holds makes fuller micro-batches, and takes no waiting.
                could_grow = (
                    not (complete or slot.is_emptied) and stream.resume is None and seen < stream.high
                )
                if not found and stream.resume is not None:
                    # All before is read; what was held for others behind must not keep the rest from coming.
                    stream.passed(offset)
                    stream.resume()
                if not could_grow and self._is_known(place, stream, found, complete=complete):
                    stream.passed(found.end if found else offset)
                    if stream.resume is not None and stream.is_half_empty:
                        stream.resume()
                    return found
                seen = stream.high
                slot.fetch(0.0 if could_grow else POLL_S)
            if time.monotonic() - started > CALL_S:
                raise _stands_still(place, offset)

    def wait(self, ends: Mapping[Place, int], timeout_s: float) -> bool:
        """Wait until a row stands at or beyond one of the offsets; whether one does."""
        deadline = time.monotonic() + timeout_s
        streams: dict[Place, tuple[Slot, Stream] | None] = {}
        while True:
            for place, offset in ends.items():
                at = streams.get(place)
                if at is None or at[1].error or not at[1].covers(offset):
                    streams[place] = self._stream(place, offset, gaps=True)
            with self.changed:
                self._check_open()
                slots = []
                for place, offset in ends.items():
                    at = streams[place]
                    if at is not None:
                        slot, stream = at
                        stream.used = time.monotonic()
                        if stream.holds(offset) or self._own.get(place, 0) > offset:
                            return True
                        if slot not in slots:
                            slots.append(slot)
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._await(slots, min(left, POLL_S))

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
        """Let the consumers go, once nobody fetches with them. Idempotent."""
        with self.changed:
            if not self.closed:
                self.closed = True
                self.changed.notify_all()
                for slot in self._slots:
                    slot.stop()
        self._committed.close()
        self._written.close()

    def _await(self, slots: list[Slot], timeout_s: float) -> None:
        """Wait for rows or ends to come to any of some slots; the lock is held."""
        idle = [slot for slot in slots if not slot.is_fetching]
        if not idle:
            self.changed.wait(timeout_s)
        elif len(slots) == 1:
            idle[0].fetch(timeout_s)
        else:
            for slot in idle:
                slot.fetch(min(timeout_s, SHARED_S))

    def _is_known(self, place: Place, stream: Stream, found: Selection, *, complete: bool) -> bool:
        """Whether the rows found, or that there are none, are what there is to read now."""
        own = self._own.get(place, 0)
        # A stream that fetches no more for now, until half of what it held is read, has no more to give.
        if complete or (found and (stream.resume is not None or stream.high >= own)):
            return True
        return stream.high >= max(own, self._ends.get(place, 0))

    def _stream(self, place: Place, offset: int, *, gaps: bool) -> tuple[Slot, Stream] | None:
        """A stream that covers an offset, opened if need be, in its slot; None where the partition does not hold it."""
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
            found = self._covering(place, offset)
            if found is None:
                slot = self._free_slot(place)
                found = slot, slot.open(place, max(offset, first))
            return found

    def _covering(self, place: Place, offset: int) -> tuple[Slot, Stream] | None:
        for slot in self._slots:
            stream = slot.streams.get(place)
            if stream is not None and stream.error:
                slot.close(place)
            elif stream is not None and stream.covers(offset):
                return slot, stream
        return None

    def _free_slot(self, place: Place) -> Slot:
        for slot in self._slots:
            if slot.is_free_for(place):
                return slot
        slot = Slot(self.changed, self._clients.fetcher())
        self._slots.append(slot)
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
