"""A stream: the rows of one partition as they come from the cluster, those read lately still at hand."""

import time
from bisect import bisect_left
from typing import Final

from foldline.log.protocol import Row

FULL_ROWS: Final = 50_000
FULL_BYTES: Final = 16 << 20
"""Rows waiting to be read beyond which the stream takes no more for now."""

KEPT_ROWS: Final = 10_000
KEPT_BYTES: Final = 4 << 20
"""Rows already read that stay at hand, for another reader of the partition that is a little behind."""


class Stream:
    """Rows from `low` to before `high`, all there are. Not thread-safe; the reader's lock guards it.

    Attributes:
        low: offset from which it is complete.
        high: offset up to which it is complete; what comes next stands there or beyond.
        error: why it cannot go on, in the client's words; empty while it can.
        used: when it was last read or waited for, monotonic seconds.
    """

    def __init__(self, start: int) -> None:
        self.low = self.high = start
        self.error = ""
        self.used = time.monotonic()
        self._rows: list[Row] = []
        self._offsets: list[int] = []
        self._front = start
        self._waiting_bytes = self._kept_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be read that no more should be fetched."""
        return self._waiting_bytes > FULL_BYTES or len(self._rows) - self._place(self._front) > FULL_ROWS

    def covers(self, offset: int) -> bool:
        """Whether reading from an offset on can be served."""
        return self.low <= offset <= self.high and not self.error

    def holds(self, offset: int) -> bool:
        """Whether a row stands at or beyond an offset."""
        return bool(self._offsets) and self._offsets[-1] >= offset

    def feed(self, rows: list[Row]) -> None:
        """Rows that came, in order; those seen before are left out."""
        for row in rows:
            if row.offset >= self.high:
                self._rows.append(row)
                self._offsets.append(row.offset)
                self._waiting_bytes += _size(row)
                self.high = row.end

    def reach(self, offset: int) -> None:
        """There are no more rows before an offset."""
        self.high = max(self.high, offset)

    def peek(self, offset: int, max_records: int, end: int | None) -> tuple[list[Row], bool]:
        """Rows from an offset on as `Log.read` gives them, and whether more to come could not add any."""
        first = at = self._place(offset)
        left = max_records
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
        for row in self._rows[self._place(self._front) : self._place(offset)]:
            self._waiting_bytes -= _size(row)
            self._kept_bytes += _size(row)
        self._front = offset
        behind = self._place(offset)
        if behind > 2 * KEPT_ROWS or self._kept_bytes > 2 * KEPT_BYTES:
            self._trim(behind)

    def _trim(self, behind: int) -> None:
        """Let go of the oldest of the rows already read; half as many as may stay are left."""
        gone, size = 0, 0
        while gone < behind and (behind - gone > KEPT_ROWS or self._kept_bytes - size > KEPT_BYTES):
            size += _size(self._rows[gone])
            gone += 1
        self.low = self._rows[gone - 1].end
        self._kept_bytes -= size
        del self._rows[:gone], self._offsets[:gone]

    def _place(self, offset: int) -> int:
        return bisect_left(self._offsets, offset)


def _size(row: Row) -> int:
    """Bytes it holds in memory, about."""
    return len(row.payload) + 150
