"""The duplicate filter's table: from 128-bit ids to places of its ring, four bytes an entry.

An entry is negative where it is taken and holds the place of the id's row in the low bits, as many as the ring has, and
bits of the id's second half above them. It names a place, not a row: once the row there has gone and another come, the
entry is of no use, and is passed over since the row has another id. So a table is good for one ring of one capacity,
and every id of it is live there once.
"""

from foldline.fold.layout import Int32s, Int64s, Key, Seen
from foldline.kernels import inlined, patient

_TAKEN = 1 << 31
_BITS = _TAKEN - 1


@inlined
def find(table: Int32s, rows: Int64s, head: int, tail: int, key: Key) -> tuple[int, bool]:
    """Where the id stands, its slot and True; or the slot it may take and False.

    Linear probing, as in `foldline.fold.index`. The table must have an empty slot.

    Args:
        table: (slots,) int32, slots a power of two.
        rows: the ring, at most 2^31 rows.
        head: least live sequence number.
        tail: one more than the greatest.
        key: the id.
    """
    first, second = key
    slots = table.shape[0] - 1
    ring = rows.shape[0] - 1
    above = _BITS & ~ring
    slot = first & slots
    free = -1
    while table[slot] != 0:
        entry = int(table[slot])
        place = entry & ring
        if (place - head) & ring >= tail - head:
            if free < 0:
                free = slot
        elif (
            (entry ^ second) & above == 0
            and rows[place, Seen.ID] == first
            and rows[place, Seen.ID + 1] == second
        ):
            return slot, True
        slot = (slot + 1) & slots
    if free < 0:
        free = slot
    return free, False


@inlined
def enter(table: Int32s, slot: int, rows: Int64s, sequence: int, key: Key) -> int:
    """Enter the id of the row `sequence` at the slot found; 1 if the slot was empty, else 0."""
    ring = rows.shape[0] - 1
    taken = 1 if table[slot] == 0 else 0
    table[slot] = ((key[1] & ~ring | sequence & ring) & _BITS) - _TAKEN
    return taken


@patient(lambda *given: given[3] - given[2])
def enter_all(table: Int32s, rows: Int64s, head: int, tail: int) -> int:
    """Enter the live rows into an empty table; returns the slots taken."""
    ring = rows.shape[0] - 1
    for sequence in range(head, tail):
        key = (rows[sequence & ring, Seen.ID], rows[sequence & ring, Seen.ID + 1])
        slot, _ = find(table, rows, head, tail, key)
        enter(table, slot, rows, sequence, key)
    return tail - head
