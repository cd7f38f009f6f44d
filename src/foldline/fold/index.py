"""Open-addressing tables from 128-bit ids to the rows of a ring; see `foldline.fold.layout`."""

from foldline.fold.layout import TAG_BITS, Int64s, Key
from foldline.kernels import inlined, patient

_TAG = (1 << TAG_BITS) - 1


@inlined
def locate(table: Int64s, rows: Int64s, head: int, column: int, key: Key) -> tuple[int, int]:
    """Where the id stands: its slot and sequence number, or the slot it may take and 0.

    Linear probing (Knuth 1973, vol. 3, 6.4, algorithm L). The id is a good hash already: its first half gives
    the home slot, its second the tag. The table must have an empty slot.

    Args:
        table: (slots,) int64, slots a power of two.
        rows: the ring.
        head: least live sequence number.
        column: where the two halves of the id stand in a row.
        key: the id.
    """
    first, second = key
    slots = table.shape[0] - 1
    ring = rows.shape[0] - 1
    tag = (second >> 8) & _TAG
    slot = first & slots
    free = -1
    while table[slot] != 0:
        entry = table[slot]
        sequence = entry >> TAG_BITS
        if sequence < head:
            if free < 0:
                free = slot
        elif entry & _TAG == tag:
            row = sequence & ring
            if rows[row, column] == first and rows[row, column + 1] == second:
                return slot, sequence
        slot = (slot + 1) & slots
    if free < 0:
        free = slot
    return free, 0


@inlined
def put(table: Int64s, slot: int, sequence: int, key: Key) -> int:
    """Enter the id of the row `sequence` at the slot located; 1 if the slot was empty, else 0."""
    taken = 1 if table[slot] == 0 else 0
    table[slot] = sequence << TAG_BITS | ((key[1] >> 8) & _TAG)
    return taken


@patient(lambda *given: given[3] - given[2])
def fill(table: Int64s, rows: Int64s, head: int, tail: int, column: int, matched: int) -> int:
    """Enter the live rows into an empty table, the last of each id; returns the slots taken.

    Args:
        table: zeros.
        rows: the ring.
        head: least live sequence number.
        tail: one more than the greatest.
        column: where the id stands in a row.
        matched: column that is negative in rows to leave out, -1 to take all.
    """
    ring = rows.shape[0] - 1
    used = 0
    for sequence in range(head, tail):
        row = sequence & ring
        if matched >= 0 and rows[row, matched] < 0:
            continue
        key = (rows[row, column], rows[row, column + 1])
        slot, _ = locate(table, rows, head, column, key)
        used += put(table, slot, sequence, key)
    return used
