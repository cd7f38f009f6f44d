"""How a loop's handle appends: each report by itself, or what a thread reports in a batch at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from foldline.errors import InputError
from foldline.log.places import appended_places
from foldline.log.protocol import Batch, Log
from foldline.loops.reports import Placed
from foldline.records.codec import encode
from foldline.records.types import Example, Label

_EXAMINED = (b'{"type":"example"', b'{"type":"label"')
"""How lines begin that models learn."""


class Position(NamedTuple):
    """Where a record stands on the loop's event topic.

    Attributes:
        partition: by the unit's hash.
        offset: on that partition.
        record: which of the records at that offset, where the log has several at one.
    """

    partition: int
    offset: int
    record: int = 0


class Appending:
    """Appends to the event topic of a loop, and remembers how far. Thread-safe.

    Args:
        log: where to.
        topic: its name.

    Attributes:
        ends: by partition, the offset after the last record appended.
        examined: likewise, after the last that models learn.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self._collected = threading.local()
        self.ends: dict[int, int] = {}
        self.examined: dict[int, int] = {}

    def append(self, placed: Placed) -> None:
        """Append a record, durable when this returns; within a batch of this thread, when that ends."""
        partition, record = placed
        collected: list[tuple[int, int, bytes]] | None = getattr(self._collected, "records", None)
        if collected is not None:
            collected.append((partition, record.time, encode(record)))
            return
        batch = Batch(self._topic, partition, encode(record), 1, record.time, record.time)
        self._note(partition, self._log.append([batch])[0] + 1, isinstance(record, Example | Label))

    @contextmanager
    def batch(self) -> Iterator[list[Position]]:
        """See `Loop.batch`."""
        if getattr(self._collected, "records", None) is not None:
            raise InputError("input.invalid", "a batch of this loop is open in this thread; end it first")
        collected: list[tuple[int, int, bytes]] = []
        positions: list[Position] = []
        self._collected.records = collected
        try:
            yield positions
        finally:
            self._collected.records = None
        if collected:
            positions.extend(self._append_all(collected))

    def _append_all(self, collected: list[tuple[int, int, bytes]]) -> list[Position]:
        """One batch a partition, in one append; where each record stands, in the order collected."""
        lines: dict[int, list[bytes]] = {}
        times: dict[int, list[int]] = {}
        for partition, time, line in collected:
            lines.setdefault(partition, []).append(line)
            times.setdefault(partition, []).append(time)
        batches = [
            Batch(self._topic, p, b"\n".join(lines[p]), len(lines[p]), min(times[p]), max(times[p]))
            for p in lines
        ]
        standing = {
            batch.partition: appended_places(self._log, offset, batch.count)
            for batch, offset in zip(batches, self._log.append(batches), strict=True)
        }
        for partition, places in standing.items():
            examined = any(line.startswith(_EXAMINED) for line in lines[partition])
            self._note(partition, places[-1][0] + 1, examined)
        following = {partition: iter(places) for partition, places in standing.items()}
        return [Position(partition, *next(following[partition])) for partition, _, _ in collected]

    def _note(self, partition: int, end: int, examined: bool) -> None:
        self.ends[partition] = max(self.ends.get(partition, 0), end)
        if examined:
            self.examined[partition] = self.ends[partition]
