"""A stream: the rows of one partition as they come from the cluster, those read lately still at hand."""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from foldline.log.kafka.chunk import Chunk, Selection, records_of

FULL_ROWS: Final = 20_000
FULL_BYTES: Final = 3 << 20
"""Rows waiting to be read beyond which the stream takes no more for now: a micro-batch or more."""

KEPT_ROWS: Final = 2_000
KEPT_BYTES: Final = 128 << 10
"""Rows already read that stay at hand, for another reader of the partition that is a little behind. Not more: what is
fetched next finds its place where they were, while that is still in the processor's cache."""


_Held = tuple[int, int, int]
"""What a chunk holds: the offset after its last row, how many rows, bytes."""


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
        self._chunks: list[Chunk] = []
        self._ends: list[int] = []
        self._front = start
        self._waiting: deque[_Held] = deque()
        self._kept: deque[_Held] = deque()
        self._waiting_bytes = self._waiting_rows = self._kept_bytes = self._kept_rows = 0

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
        return bool(self._ends) and self._ends[-1] > offset

    def feed(self, chunk: Chunk) -> None:
        """Rows that came; those seen before are left out."""
        if chunk.offsets[0] < self.high:
            if chunk.offsets[-1] < self.high:
                return
            chunk = chunk.since(int(np.searchsorted(chunk.offsets, self.high)))
        self.high = int(chunk.offsets[-1]) + 1
        self._chunks.append(chunk)
        self._ends.append(self.high)
        self._waiting.append((self.high, len(chunk.offsets), chunk.size))
        self._waiting_bytes += chunk.size
        self._waiting_rows += len(chunk.offsets)

    def reach(self, offset: int) -> None:
        """There are no more rows before an offset."""
        self.high = max(self.high, offset)

    def peek(self, offset: int, max_records: int, end: int | None) -> tuple[Selection, bool]:
        """Rows from an offset on as `Log.read` gives them, and whether more to come could not add any."""
        parts = []
        left, cut = max_records, False
        for chunk in self._chunks[bisect_right(self._ends, offset) :]:
            if left <= 0 or cut:
                break
            start = int(np.searchsorted(chunk.offsets, offset))
            stop = len(chunk.offsets) if end is None else int(np.searchsorted(chunk.offsets, end))
            taken = min(stop, start + _fitting(chunk, start, stop, left))
            cut = taken < len(chunk.offsets)
            if start < taken:
                left -= records_of(chunk, start, taken)
                parts.append((chunk, start, taken))
        return Selection(parts), left <= 0 or cut or (end is not None and end <= self.high)

    def passed(self, offset: int) -> None:
        """A reader has read up to an offset."""
        if offset <= self._front:
            return
        self._front = offset
        while self._waiting and self._waiting[0][0] <= offset:
            held = self._waiting.popleft()
            self._kept.append(held)
            _, rows, size = held
            self._waiting_bytes -= size
            self._waiting_rows -= rows
            self._kept_bytes += size
            self._kept_rows += rows
        if self._kept_bytes > 2 * KEPT_BYTES or self._kept_rows > 2 * KEPT_ROWS:
            self._trim()

    def _trim(self) -> None:
        """Let go of the oldest chunks that are read; half as much as may stay is left."""
        gone = 0
        while self._kept and (self._kept_bytes > KEPT_BYTES or self._kept_rows > KEPT_ROWS):
            self.low, count, size = self._kept.popleft()
            self._kept_bytes -= size
            self._kept_rows -= count
            gone += 1
        del self._chunks[:gone], self._ends[:gone]


def _fitting(chunk: Chunk, start: int, stop: int, records: int) -> int:
    """How many rows are needed to reach a number of records."""
    if chunk.counts is None:
        return records
    return int(np.searchsorted(np.cumsum(chunk.counts[start:stop]), records)) + 1
