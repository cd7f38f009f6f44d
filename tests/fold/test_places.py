"""The duplicate filter's table against a dictionary, on rings that are small, full and go round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import FoldError
from foldline.fold.layout import Seen
from foldline.fold.places import enter, enter_all, find
from foldline.fold.room import MOST, TABLES, empty, indexed

RING, SLOTS = 64, 256
modest = settings(max_examples=200, deadline=None, derandomize=True)

ids = st.sampled_from(
    # Few homes, and second halves that differ only in bits that an entry has no room for, only in those it has, in the
    # domain's bit, or in the sign.
    [
        (first, second)
        for first in (0, 1, 255, -1, 256)
        for second in (1, 2, 3, 64, 1 << 31, 1 << 40, -(1 << 63))
    ]
)


@modest
@given(st.lists(st.tuples(ids, st.integers(0, 3)), max_size=600))
def test_equals_a_dictionary(steps: list[tuple[tuple[int, int], int]]) -> None:
    """Ids are found while their rows are live, and only then, whoever had their places before."""
    table, rows = np.zeros(SLOTS, np.int32), np.zeros((RING, Seen.WIDTH), np.int64)
    live: dict[tuple[int, int], int] = {}
    head = tail = 1
    used = 0
    for key, leaving in steps:
        for _ in range(leaving):
            if head < tail:
                live = {each: row for each, row in live.items() if row != head}
                head += 1
        slot, found = find(table, rows, head, tail, key)
        assert found == (key in live)
        if found or tail - head == RING:
            continue
        used += enter(table, slot, rows, tail, key)
        rows[tail % RING, Seen.ID], rows[tail % RING, Seen.ID + 1] = key
        live[key] = tail
        tail += 1
        assert used == np.count_nonzero(table)
        if used > SLOTS // 2:
            table = np.zeros(SLOTS, np.int32)
            used = enter_all(table, rows, head, tail)
    assert all(find(table, rows, head, tail, key)[1] for key in live)


def test_a_full_ring_is_entered_and_found() -> None:
    """With every place taken, entered by the compiled loop."""
    rows = np.zeros((1 << 12, Seen.WIDTH), np.int64)
    rows[:, :2] = np.random.default_rng(1).integers(-(1 << 63), 1 << 63, (1 << 12, 2))
    head, tail = 5000, 5000 + (1 << 12)
    table = np.zeros(1 << 13, np.int32)
    assert enter_all(table, rows, head, tail) == 1 << 12 == np.count_nonzero(table)
    for row in rows[::37]:
        slot, found = find(table, rows, head, tail, (int(row[0]), int(row[1])))
        assert found
        assert rows[int(table[slot]) & ((1 << 12) - 1)].tolist() == row.tolist()
    assert not find(table, rows, head, tail, (12345, 67890))[1]


def test_a_ring_that_entries_cannot_name_is_refused() -> None:
    """Rather than ids being taken for others."""
    state = empty(0)
    rows = np.broadcast_to(np.zeros((1, Seen.WIDTH), np.int64), (2 * MOST, Seen.WIDTH))
    table = next(table for table in TABLES if table.by_place)
    with pytest.raises(FoldError, match=r"at most 2147483648 at a time; .* \[fold.overflow\]"):
        indexed(state._replace(seen=rows), table)
