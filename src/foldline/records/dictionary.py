"""The batch-local dictionary of a string column: as a kernel over spans of a buffer, and joined from parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, Int, part
from foldline.records.hashing import hash_span
from foldline.records.words import load64, word_at


@part
def index_of(buffer: Bytes, start: Int, end: Int, table: Any, spans: Any, count: Int, known: Bytes) -> Int:
    """The index of a text in a batch-local dictionary; equal to `count` where it is new.

    It is added then, as if it stood in `known` where it stands in `buffer`: who copies it says where to.

    Args:
        buffer: (m,) uint8.
        start: first byte of the text.
        end: the byte after its last.
        table: (power of two,) int32, open addressing, holding index + 1; more than half stays free.
        spans: (at least count + 1, 3) int64, start and end of each text known, and its slot in the table.
        count: how many are known.
        known: (k,) uint8, where they stand: the buffer, or a copy.
    """
    size = end - start
    stop = buffer.size
    # Long names of one kind share both ends (URLs do), so that only a hash of the whole tells them apart.
    keep = ~np.uint64(0) >> np.uint64(8 * (8 - min(size, 8)))
    head = word_at(buffer, start, stop) & keep
    tail = load64(buffer, end - 8) if size > 8 else head
    mixed = (head ^ (tail * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(size)) * np.uint64(0xC4CEB9FE1A85EC53)
    if size > 16:
        mixed = hash_span(buffer, start, end)[0]
    mask = len(table) - 1
    slot = np.int64(mixed >> np.uint64(33)) & mask
    while table[slot]:
        index = table[slot] - 1
        other = spans[index, 0]
        if spans[index, 1] - other == size and _same(buffer, start, known, other, size, head, keep):
            return index
        slot = (slot + 1) & mask
    spans[count, 0], spans[count, 1], spans[count, 2] = start, end, slot
    table[slot] = count + 1
    return count


@part
def _same(
    buffer: Bytes, start: Int, known: Bytes, other: Int, size: Int, head: Any, keep: Any
) -> Any:  # fmt: skip
    if word_at(known, other, known.size) & keep != head:
        return False
    place = 8
    while place + 8 <= size:
        if load64(buffer, start + place) != load64(known, other + place):
            return False
        place += 8
    return size <= 8 or load64(buffer, start + size - 8) == load64(known, other + size - 8)


@dataclass(slots=True)
class Dictionary:
    """The dictionary of one string column, gathered from several parts of a batch.

    Each part is (rows, their indexes into its texts, its texts by first appearance).
    """

    parts: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], list[str]]] = field(default_factory=list)

    def add(self, rows: npt.NDArray[np.int64], texts: Sequence[str]) -> None:
        """A part given by the text of each row."""
        known = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        codes = np.array([known[text] for text in texts], dtype=np.int32)
        self.parts.append((rows, codes, list(known)))

    def write(self, column: npt.NDArray[np.int32]) -> list[str]:
        """Writes every part's indexes into the column; the texts of all, by first appearance."""
        parts = [part for part in self.parts if len(part[0])]
        if len(parts) == 1:
            rows, codes, texts = parts[0]
            column[rows] = codes
            return texts
        first: dict[str, int] = {}
        for rows, codes, texts in parts:
            _, places = np.unique(codes, return_index=True)
            for text, row in zip(texts, rows[places].tolist(), strict=True):
                first[text] = min(row, first.get(text, row))
        merged = {text: index for index, text in enumerate(sorted(first, key=first.__getitem__))}
        for rows, codes, texts in parts:
            column[rows] = np.array([merged[text] for text in texts], dtype=np.int32)[codes]
        return list(merged)
