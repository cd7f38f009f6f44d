"""Room for attribution's state: rings and tables that grow with what is live, and shrink after it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from foldline.errors import FoldError
from foldline.fold.layout import Dangling, Held, Int64s, Mark, Seen, State, Status

LEAST: Final = 64
"""Least capacity of a ring and least slots of a table; powers of two."""

MOST: Final = 1 << 31
"""Rows of a ring whose places an entry of four bytes can name."""

SMALL: Final = 1 << 16
"""Rows up to which a table has twice the room: entering them anew costs more than the memory. One with entries of half
the size always has it, so that it need not grow more often than its ring."""


AnyState = TypeVar("AnyState", bound=Any)
"""A named tuple of arrays: rings, tables over them, and `marks`."""


class Ring(NamedTuple):
    """A ring of the state: its field, the marks of its ends, its width and when it is full."""

    field: str
    head: int
    tail: int
    width: int
    full: int


class Table(NamedTuple):
    """A table of the state: its field, its ring, the id's column there, and when it is full.

    `matched` is the column that is negative in rows the table leaves out, -1 where it takes all. `by_place` says
    whether its entries name places of the ring, as those of `foldline.fold.places` do.
    """

    field: str
    ring: Ring
    column: int
    used: int
    full: int
    matched: int = -1
    by_place: bool = False


DECISIONS: Final = Ring(
    "decisions", Mark.DECISION_HEAD, Mark.DECISION_TAIL, Held.WIDTH, Status.DECISIONS_FULL
)
DANGLINGS: Final = Ring(
    "danglings", Mark.DANGLING_HEAD, Mark.DANGLING_TAIL, Dangling.WIDTH, Status.DANGLINGS_FULL
)
SEEN: Final = Ring("seen", Mark.SEEN_HEAD, Mark.SEEN_TAIL, Seen.WIDTH, Status.SEEN_FULL)
RINGS: Final = (DECISIONS, DANGLINGS, SEEN)
TABLES: Final = (
    Table("by_id", DECISIONS, Held.ID, Mark.BY_ID_USED, Status.BY_ID_FULL),
    Table("by_unit", DECISIONS, Held.UNIT, Mark.BY_UNIT_USED, Status.BY_UNIT_FULL),
    Table(
        "by_dangling",
        DANGLINGS,
        Dangling.ID,
        Mark.BY_DANGLING_USED,
        Status.BY_DANGLING_FULL,
        Dangling.BEFORE,
    ),
    Table("by_seen", SEEN, Seen.ID, Mark.BY_SEEN_USED, Status.BY_SEEN_FULL, by_place=True),
)


def empty(counts: int) -> State:
    """The state of the empty prefix, with that many counters."""
    marks = np.zeros(Mark.SIZE, np.int64)
    for ring in RINGS:
        marks[ring.head] = marks[ring.tail] = 1
    marks[Mark.MATURE] = 1
    rings: list[Any] = [np.zeros((LEAST, ring.width), np.int64) for ring in RINGS]
    tables = (np.zeros(LEAST, _entries(table)) for table in TABLES)
    return State(marks, np.zeros(counts, np.int64), *rings, *tables)


def live(state: AnyState, ring: Ring) -> int:
    """Rows of the ring that are live."""
    return int(state.marks[ring.tail] - state.marks[ring.head])


def widened(state: State, status: Status) -> State:
    """The state with more room where the kernel found none."""
    rings = [ring for ring in RINGS if ring.full == status]
    tables = [table for table in TABLES if table.full == status]
    if not rings and not tables:
        raise ValueError(f"status {status!r}: expected one that a ring or table being full gives")
    for ring in rings:
        state = resized(state, ring, 4 * len(getattr(state, ring.field)))
        tables += [table for table in TABLES if table.ring is ring and table.by_place]
    for table in tables:
        state = indexed(state, table)
    return state


def narrowed(state: State) -> State:
    """See `narrowed_rings`."""
    return narrowed_rings(state, RINGS, TABLES)


def narrowed_rings(state: AnyState, rings: Sequence[Ring], tables: Sequence[Table]) -> AnyState:
    """The state without room that an eighth of would do: after a peak, memory follows what is live."""
    for ring in rings:
        needed = LEAST + live(state, ring)
        if 8 * needed < len(getattr(state, ring.field)):
            state = resized(state, ring, _power_of_two(2 * needed))
            for table in tables:
                if table.ring is ring:
                    state = indexed(state, table)
    return state


def resized(state: AnyState, ring: Ring, capacity: int) -> AnyState:
    """The state with its ring in a new array of that capacity; rows not live may hold anything. O(live rows)."""
    rows: Int64s = getattr(state, ring.field)
    moved = np.empty((capacity, ring.width), np.int64)
    place, tail = int(state.marks[ring.head]), int(state.marks[ring.tail])
    while place < tail:
        # As many as stand together on both sides: a slice is moved for much less than rows picked one by one.
        old, new = place & (len(rows) - 1), place & (capacity - 1)
        count = min(tail - place, len(rows) - old, capacity - new)
        moved[new : new + count] = rows[old : old + count]
        place += count
    changed: AnyState = state._replace(**{ring.field: moved})
    return changed


def indexed(state: AnyState, table: Table) -> AnyState:
    """The state with the table built anew from its ring, at most three eighths full. O(live rows)."""
    rows: Int64s = getattr(state, table.ring.field)
    held = live(state, table.ring)
    head, tail = int(state.marks[table.ring.head]), int(state.marks[table.ring.tail])
    twice = table.by_place or held <= SMALL
    capacity = max(LEAST, _power_of_two(held * (16 if twice else 8) // 3 + 1))
    slots = np.zeros(capacity, _entries(table))
    if table.by_place:
        from foldline.fold.places import enter_all

        if len(rows) > MOST:
            raise FoldError(
                "fold.overflow",
                f"{held} ids in the duplicate filter of one partition: expected at most {MOST} at a time; define the "
                "loop with more partitions or a shorter correction window",
            )
        used = enter_all(slots, rows, head, tail)
    else:
        from foldline.fold.index import fill

        used = fill(slots, rows, head, tail, int(table.column), int(table.matched))
    state.marks[table.used] = used
    changed: AnyState = state._replace(**{table.field: slots})
    return changed


def _entries(table: Table) -> type[Any]:
    return np.int32 if table.by_place else np.int64


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
