"""A stream: the rows of one partition as they come from the cluster, those read lately still at hand."""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

from foldline.log.protocol import Row

FULL_ROWS: Final = 40_000
FULL_BYTES: Final = 16 << 20
"""Rows waiting to be read beyond which the stream takes no more for now."""

KEPT_ROWS: Final = 10_000
KEPT_BYTES: Final = 4 << 20
"""Rows already read that stay at hand, for another reader of the partition that is a little behind."""


ROW_BYTES: Final = 150
"""What a row takes in memory beside its payload, about."""

_Chunk = tuple[int, int, int]
"""Rows that came together: the offset after the last, how many, bytes."""


class Stream:
    """Rows from `low` to before `high`, all there are. Not thread-safe; the reader's lock guards it.

    Attributes:
        low: offset from which it is complete.
        high: offset up to which it is complete; what comes next stands there or beyond.
        error: why it cannot go on, in the client's words; empty while it can.
        used: when it was last read or waited for, monotonic seconds.
        resume: goes on fetching; None while it is fetched.
    """

    def __init__(self, start: int) -> None:
        self.low = self.high = start
        self.error = ""
        self.used = time.monotonic()
        self.resume: Callable[[], None] | None = None
        self._rows: list[Row] = []
        self._offsets: list[int] = []
        self._front = start
        self._waiting: deque[_Chunk] = deque()
        self._kept: deque[_Chunk] = deque()
        self._waiting_bytes = self._waiting_rows = self._kept_bytes = 0
        # The offset after the last row of several records: beyond it rows are records, and need not be counted.
        self._packed_until = -1

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be read that no more should be fetched."""
        return self._waiting_bytes > FULL_BYTES or self._waiting_rows > FULL_ROWS

    @property
    def is_half_empty(self) -> bool:
        """Whether there is room for more."""
        return self._waiting_bytes < FULL_BYTES / 2 and self._waiting_rows < FULL_ROWS / 2

    def covers(self, offset: int) -> bool:
        """Whether reading from an offset on can be served."""
        return self.low <= offset <= self.high and not self.error

    def holds(self, offset: int) -> bool:
        """Whether a row stands at or beyond an offset."""
        return bool(self._offsets) and self._offsets[-1] >= offset

    def feed(self, rows: list[Row]) -> None:
        """Rows that came, in order; those seen before are left out."""
        if rows and rows[0].offset < self.high:
            rows = [row for row in rows if row.offset >= self.high]
        if not rows:
            return
        size = sum([len(row.payload) for row in rows]) + ROW_BYTES * len(rows)
        if any(row.packed for row in rows):
            self._packed_until = rows[-1].end
        self._rows += rows
        self._offsets += [row.offset for row in rows]
        self.high = rows[-1].end
        self._waiting.append((self.high, len(rows), size))
        self._waiting_bytes += size
        self._waiting_rows += len(rows)

    def reach(self, offset: int) -> None:
        """There are no more rows before an offset."""
        self.high = max(self.high, offset)

    def peek(self, offset: int, max_records: int, end: int | None) -> tuple[list[Row], bool]:
        """Rows from an offset on as `Log.read` gives them, and whether more to come could not add any."""
        first = at = self._place(offset)
        left = max_records
        if offset >= self._packed_until:
            stop = len(self._rows) if end is None else self._place(end)
            at = max(first, min(stop, first + left))
            left -= at - first
        while at < len(self._rows) and left > 0 and (end is None or self._offsets[at] < end):
            left -= self._rows[at].count
            at += 1
        return self._rows[first:at], left <= 0 or at < len(self._rows) or (
            end is not None and end <= self.high
        )

    def passed(self, offset: int) -> None:
        """A reader has read up to an offset."""
        self.used = time.monotonic()
        if offset <= self._front:
            return
        self._front = offset
        while self._waiting and self._waiting[0][0] <= offset:
            chunk = self._waiting.popleft()
            self._kept.append(chunk)
            self._waiting_bytes -= chunk[2]
            self._waiting_rows -= chunk[1]
            self._kept_bytes += chunk[2]
        if self._kept_bytes > 2 * KEPT_BYTES or self._place(offset) > 2 * KEPT_ROWS:
            self._trim()

    def _trim(self) -> None:
        """Let go of the oldest chunks that are read; half as much as may stay is left."""
        gone, behind = 0, sum(count for _, count, _ in self._kept)
        while self._kept and (self._kept_bytes > KEPT_BYTES or behind - gone > KEPT_ROWS):
            self.low, count, size = self._kept.popleft()
            self._kept_bytes -= size
            gone += count
        del self._rows[:gone], self._offsets[:gone]

    def _place(self, offset: int) -> int:
        return bisect_left(self._offsets, offset)
