"""A block: rows as they are decoded, all their records in one piece, without an object for each row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import numpy as np
import numpy.typing as npt

from foldline.log.protocol import Log, Row
from foldline.records.pieces import Pieces


class Places(NamedTuple):
    """Where n rows stand.

    Attributes:
        offsets: (n,) of the first record of each.
        counts: (n,) records of each.
        packed: (n,) whether all its records stand there.
    """

    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    packed: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lines:
    """The records of n rows, a line each.

    Attributes:
        text: newline-joined. Told of, it may hold another number of lines, and the rows have to be looked at.
        offsets: (n,) where all records of each row stand.
        counts: (n,) records of each row, as told.
        greatest: (n,) `Row.greatest` of each.
    """

    text: Pieces
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    greatest: npt.NDArray[np.int64]


@dataclass(slots=True)
class Block:
    """Consecutive rows of one partition, at least one.

    Attributes:
        end: the offset after the last record.
        size: bytes of the payloads.
        lines: the records; None where a payload is no such line as it stands, and the rows have to be looked at.
    """

    end: int
    size: int
    lines: Lines | None
    _make: Callable[[], list[Row]]
    _rows: list[Row] | None = field(default=None, init=False)

    @property
    def rows(self) -> list[Row]:
        """The rows, as `Log.read` gives them; made when first asked for."""
        if self._rows is None:
            self._rows = self._make()
        return self._rows

    def places(self) -> Places:
        """Where the rows stand. O(rows)."""
        if self.lines is not None:
            return Places(self.lines.offsets, self.lines.counts, np.ones(len(self.lines.offsets), np.bool_))
        rows = self.rows
        return Places(
            np.array([row.offset for row in rows], np.int64),
            np.array([row.count for row in rows], np.int64),
            np.array([row.packed for row in rows], np.bool_),
        )


def block_of(rows: list[Row]) -> Block:
    """A block of rows that are there already."""
    size = sum([len(row.payload) for row in rows])
    return Block(rows[-1].end, size, None, lambda: rows)


@runtime_checkable
class ReadsBlocks(Protocol):
    """A log that reads many rows at once for less than an object each."""

    def read_block(self, topic: str, partition: int, offset: int, *, max_records: int) -> Block | None:
        """The rows that `Log.read` gives, as a block; None where it gives none."""
        ...


@cache
def _is_reader(kind: type) -> bool:
    return issubclass(kind, ReadsBlocks)


def _reads_blocks(log: Log) -> TypeGuard[ReadsBlocks]:
    # Asked before every read: looking for a protocol's methods takes longer than finding rows that are there.
    return _is_reader(type(log))


def read_block(log: Log, topic: str, partition: int, offset: int, *, max_records: int) -> Block | None:
    """The rows that `Log.read` gives, as a block, by the log's own way if it has one; None where there are none."""
    if _reads_blocks(log):
        return log.read_block(topic, partition, offset, max_records=max_records)
    rows = log.read(topic, partition, offset, max_records=max_records)
    return block_of(rows) if rows else None
