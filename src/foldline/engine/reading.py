"""Reading an event topic in micro-batches, decoded once for all folds of a partition that stand at one offset."""

from collections.abc import Sequence
from dataclasses import dataclass

from foldline.log.block import Block, block_of, read_block
from foldline.log.protocol import AHEAD_MS, Log, Row
from foldline.records.codec import decode, decode_each, decode_lines
from foldline.records.columns import Columns
from foldline.records.types import AnyRecord


@dataclass(frozen=True, slots=True)
class Reading:
    """Some rows, and their records as columns; folds do not change them.

    Attributes:
        start: the offset asked for; the first row may stand beyond it.
        block: as they stand on the log, at least one row.
        columns: their records.
    """

    start: int
    block: Block
    columns: Columns

    @property
    def rows(self) -> list[Row]:
        """The rows; made when first asked for."""
        return self.block.rows

    @property
    def size(self) -> int:
        """Bytes of their payloads."""
        return self.block.size

    @property
    def end(self) -> int:
        """The offset after the last record."""
        return self.block.end


def read_batch(log: Log, topic: str, partition: int, offset: int, max_records: int) -> Reading | None:
    """The rows from an offset on, decoded; None at the end. See `Log.read`."""
    block = read_block(log, topic, partition, offset, max_records=max_records)
    if block is None:
        return None
    lines = block.lines
    if lines is None:
        return Reading(offset, block, columns_of(block.rows))
    columns = decode_lines(lines.text, lines.counts, latest=lines.greatest + AHEAD_MS)
    if columns is None:
        # Anyone may write headers: where one tells of another number of records, each row is looked at.
        block = block_of(block.rows)
        columns = columns_of(block.rows)
    return Reading(offset, block, columns)


def columns_of(rows: Sequence[Row]) -> Columns:
    """The records of rows of an event topic as columns.

    One with a time further ahead of its row's than a log accepts of who appends is dead: any client of a cluster may
    write what it likes. So is what cannot be read.
    """
    return decode(
        [row.payload for row in rows], counts=[row.count for row in rows], latest=latest_times(rows)
    )


def records_of(rows: Sequence[Row]) -> list[AnyRecord | None]:
    """The records of rows of an event topic one by one; None for those that `columns_of` finds dead."""
    return decode_each(
        [row.payload for row in rows], counts=[row.count for row in rows], latest=latest_times(rows)
    )


def latest_times(rows: Sequence[Row]) -> list[int]:
    """Of each row the latest time that a record in it may bear."""
    return [row.greatest + AHEAD_MS for row in rows]


class Readings:
    """Reads for the folds of one loop that take turns: keeps the last batch of each partition for the next one."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], Reading] = {}

    def read(self, log: Log, topic: str, partition: int, offset: int, max_records: int) -> Reading | None:
        """As `read_batch`; the batch kept if it starts there, whatever its size."""
        kept = self._kept.get((topic, partition))
        if kept is not None and kept.start == offset:
            return kept
        reading = read_batch(log, topic, partition, offset, max_records)
        if reading is None:
            self._kept.pop((topic, partition), None)
        else:
            self._kept[topic, partition] = reading
        return reading
