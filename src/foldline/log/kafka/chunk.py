"""Chunks: rows of one partition that came together, as objects or as columns of which rows are made when looked at."""

import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from foldline.log.block import Block, Lines, block_of
from foldline.log.kafka.gathering import (
    ADDRESSES,
    COUNTS,
    ENDS,
    GREATEST,
    KEYS,
    OFFSETS,
    SEVERAL,
    STARTS,
    TIMES,
    UNLIKE,
)
from foldline.log.kafka.messages import row_of
from foldline.log.protocol import Row
from foldline.records.pieces import Pieces

Int64s = npt.NDArray[np.int64]

ROW_BYTES: Final = 150
"""What a row takes in memory beside its payload, about."""

CHUNK_BYTES: Final = 1_000
"""What a chunk in columns takes, about, however little it holds."""

_SIZES: Final = struct.Struct("=ii")


class Chunk(Protocol):
    """At least one row, in order.

    Attributes:
        offsets: (n,) of each.
        counts: (n,) records of each, as far as it is known without a look at them; None where each holds one.
        size: bytes of memory, about.
    """

    offsets: Int64s
    counts: Int64s | None
    size: int

    def since(self, row: int) -> Self:
        """The rows from one on."""
        ...

    def rows(self, start: int, stop: int) -> list[Row]:
        """Some of the rows."""
        ...

    def bytes(self, start: int, stop: int) -> int:
        """Of the payloads of some rows."""
        ...

    def lines(self, start: int, stop: int) -> Lines | None:
        """See `Block.lines`, of some of the rows."""
        ...


class RowChunk:
    """A chunk of rows that are there."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows
        self.offsets = np.array([row.offset for row in rows], np.int64)
        packed = any(row.packed for row in rows)
        self.counts = np.array([row.count for row in rows], np.int64) if packed else None
        self.size = self.bytes(0, len(rows)) + ROW_BYTES * len(rows)

    def since(self, row: int) -> "RowChunk":
        """See `Chunk.since`."""
        return RowChunk(self._rows[row:])

    def rows(self, start: int, stop: int) -> list[Row]:
        """See `Chunk.rows`."""
        return self._rows[start:stop]

    def bytes(self, start: int, stop: int) -> int:
        """See `Chunk.bytes`."""
        return sum([len(row.payload) for row in self._rows[start:stop]])

    def lines(self, start: int, stop: int) -> None:
        """See `Chunk.lines`: the rows are at hand."""
        return


class MessageChunk:
    """A chunk of messages in columns; see `gathering`.

    Args:
        columns: (8, n + 1), to be changed no more, as `besides`.
        kept: what keeps the payloads where the columns say they are.
        besides: keys and headers.
        said: what `gathering.take` said of them.
        apart: whether each payload stands somewhere else; if not, they stand together, a newline after each.
    """

    def __init__(
        self, columns: Int64s, kept: object, besides: npt.NDArray[np.uint8], said: int, *, apart: bool
    ) -> None:
        self._columns, self._kept, self._besides = columns, kept, besides
        self._said, self._apart = said, apart
        self._starts = columns[STARTS]
        self.offsets = columns[OFFSETS, :-1]
        self.counts = columns[COUNTS, :-1] if said & SEVERAL else None
        payloads = int(self._starts[-1] - self._starts[0])
        self.size = payloads + len(besides) + columns.nbytes + CHUNK_BYTES

    def since(self, row: int) -> "MessageChunk":
        """See `Chunk.since`."""
        return MessageChunk(self._columns[:, row:], self._kept, self._besides, self._said, apart=self._apart)

    def rows(self, start: int, stop: int) -> list[Row]:
        """See `Chunk.rows`."""
        columns = self._columns[:, start : stop + 1]
        payloads, besides = columns[STARTS] - columns[STARTS, 0], columns[ENDS] - columns[ENDS, 0]
        data = self._text(start, stop).joined()
        beside = self._besides[columns[ENDS, 0] : columns[ENDS, -1]].tobytes()
        parts = (
            columns[OFFSETS],
            columns[TIMES],
            columns[KEYS],
            payloads,
            payloads[1:] - 1,
            besides,
            besides[1:],
        )
        rows = []
        for offset, time, size, first, last, low, high in zip(
            *[part.tolist() for part in parts], strict=False
        ):
            key = beside[low : low + size] if size >= 0 else None
            told = low + size if size > 0 else low
            if told == high:
                rows.append(Row(offset, 1, data[first:last], time, time, key))
            else:
                rows.append(row_of(offset, data[first:last], key, time, _headers(beside, told, high)))
        return rows

    def bytes(self, start: int, stop: int) -> int:
        """See `Chunk.bytes`."""
        return int(self._starts[stop] - self._starts[start]) - (stop - start)

    def lines(self, start: int, stop: int) -> Lines | None:
        """See `Chunk.lines`."""
        if self._said & UNLIKE:
            return None
        columns = self._columns[:, start:stop]
        text, counts = self._text(start, stop), columns[COUNTS]
        told = counts if self._apart else np.array([counts.sum()])
        return Lines(text._replace(told=told), columns[OFFSETS], counts, columns[GREATEST])

    def _text(self, start: int, stop: int) -> Pieces:
        """The payloads of some rows."""
        starts, addresses = self._starts[start : stop + 1], self._columns[ADDRESSES, start:stop]
        if not self._apart:
            starts, addresses = starts[[0, -1]], addresses[:1]
        return Pieces(addresses, np.diff(starts) - 1, self._kept)


def _headers(besides: bytes, low: int, high: int) -> list[tuple[str, bytes | None]]:
    headers = []
    while low < high:
        name, size = _SIZES.unpack_from(besides, low)
        low += _SIZES.size
        value = low + name
        text = besides[low:value].decode(errors="replace")
        low = value + max(size, 0)
        headers.append((text, None if size < 0 else besides[value:low]))
    return headers


def records_of(chunk: Chunk, start: int, stop: int) -> int:
    """How many records some rows hold."""
    return stop - start if chunk.counts is None else int(chunk.counts[start:stop].sum())


class Selection:
    """Consecutive rows of chunks: what was asked for.

    Args:
        parts: chunks with the first row of each and the one after the last; none empty.
    """

    def __init__(self, parts: Sequence[tuple[Any, int, int]]) -> None:
        self._parts: Sequence[tuple[Chunk, int, int]] = parts

    def __bool__(self) -> bool:
        return bool(self._parts)

    @property
    def end(self) -> int:
        """The offset after the last; there must be one."""
        chunk, _, stop = self._parts[-1]
        return int(chunk.offsets[stop - 1]) + 1

    def rows(self) -> list[Row]:
        """As rows."""
        return [row for chunk, start, stop in self._parts for row in chunk.rows(start, stop)]

    def block(self) -> Block | None:
        """As a block, None where there are no rows."""
        if not self._parts:
            return None
        lines = self._lines()
        if lines is None:
            return block_of(self.rows())
        size = sum(chunk.bytes(start, stop) for chunk, start, stop in self._parts)
        return Block(self.end, size, lines, self.rows)

    def _lines(self) -> Lines | None:
        parts: list[Lines] = []
        for chunk, start, stop in self._parts:
            lines = chunk.lines(start, stop)
            if lines is None:
                return None
            parts.append(lines)
        if len(parts) == 1:
            return parts[0]
        return Lines(
            Pieces.together(part.text for part in parts),
            np.concatenate([part.offsets for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.greatest for part in parts]),
        )
