"""Attribution's state as pages of bytes: a function of the records folded, and of nothing else.

Page 0 holds the rule and the marks. Then come the blocks of each ring: block b holds the live rows with sequence
numbers from b * rows to (b + 1) * rows - 1, so that a block in the middle of a queue keeps its bytes while both
ends move; one of the duplicate filter is lasting, since its rows never change. Tables are left out: they are built
again from the rings.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.layout import Int64s, Mark, Seen, State
from foldline.fold.room import RINGS, SEEN, TABLES, Ring, empty, indexed, resized
from foldline.fold.rule import RewardRule

BLOCK: Final = 4096
"""Rows of a full page: 256 KiB of decisions."""

SEEN_BLOCK: Final = 4 * BLOCK
"""Of the duplicate filter: 288 KiB where records come often."""

_STEPS: Final = (np.uint8, np.uint16)


def dump_pages(rule: RewardRule, state: State, standing: Collection[str] = ()) -> list[bytes]:
    """The state as pages; at least one. O(live rows).

    Lasting ones that are `standing` are empty, and cost nothing.
    """
    head: Arrays = {
        "marks": state.marks[: Mark.KEPT],
        "rule": np.frombuffer(msgspec.json.encode(rule), np.uint8),
    }
    pages = [dump_arrays(head)]
    for ring in RINGS:
        rows: Int64s = getattr(state, ring.field)
        for first, last in _blocks(state.marks, ring):
            if _name(ring, first, last) in standing:
                pages.append(b"")
                continue
            start = first & (len(rows) - 1)
            block = rows[start : start + last - first]
            if len(block) < last - first:  # the ring's end stands within it
                block = np.concatenate((block, rows[: last - first - len(block)]))
            pages.append(dump_arrays(_seen_arrays(block) if ring is SEEN else {ring.field: block}))
    return pages


def lasting_pages(state: State) -> dict[int, str]:
    """Names of the pages that will never change, by place: whole ones of the duplicate filter."""
    blocks = [(ring, first, last) for ring in RINGS for first, last in _blocks(state.marks, ring)]
    names = {place: _name(*block) for place, block in enumerate(blocks, 1)}
    return {place: name for place, name in names.items() if name}


def load_pages(rule: RewardRule, pages: Sequence[bytes], counts: int) -> State:
    """The state dumped, tables built again. O(live rows).

    Raises:
        FoldError: `fold.damaged_page` where the pages are not a dump, or one of another rule.
    """
    if not pages:
        raise _damaged("no page", "at least page 0")
    head = load_arrays(pages[0])
    if set(head) != {"marks", "rule"} or head["marks"].shape != (int(Mark.KEPT),):
        raise _damaged(f"page 0 with {sorted(head)}", "marks and rule")
    if head["rule"].tobytes() != msgspec.json.encode(rule):
        raise _damaged(f"a state of the rule {head['rule'].tobytes()!r}", f"one of {rule!r}")
    state = empty(counts)
    state.marks[: Mark.KEPT] = head["marks"]
    _check_order(state.marks)
    rest = iter(pages[1:])
    for ring in RINGS:
        state = _load_ring(state, ring, rest)
    if next(rest, None) is not None:
        raise _damaged(f"{len(pages)} pages", "fewer, by the ends in page 0")
    for table in TABLES:
        state = indexed(state, table)
    return state


def _load_ring(state: State, ring: Ring, pages: Iterator[bytes]) -> State:
    capacity = len(getattr(state, ring.field))
    blocks = list(_blocks(state.marks, ring))
    while capacity < sum(last - first for first, last in blocks):
        capacity *= 2
    nothing = state.marks.copy()
    nothing[ring.head] = nothing[ring.tail]
    state = resized(state._replace(marks=nothing), ring, capacity)._replace(marks=state.marks)
    rows: Int64s = getattr(state, ring.field)
    for first, last in blocks:
        arrays = load_arrays(next(pages, b""))
        block = _seen_rows(arrays) if ring is SEEN else arrays.get(ring.field)
        if block is None or block.shape != (last - first, ring.width):
            raise _damaged(
                f"a page without the rows {first} to {last - 1} of {ring.field}", f"width {ring.width}"
            )
        rows[np.arange(first, last) & (capacity - 1)] = block
    return state


def _blocks(marks: Int64s, ring: Ring) -> Iterator[tuple[int, int]]:
    first, tail = int(marks[ring.head]), int(marks[ring.tail])
    size = SEEN_BLOCK if ring is SEEN else BLOCK
    while first < tail:
        last = min(tail, (first // size + 1) * size)
        yield first, last
        first = last


def _seen_arrays(rows: Int64s) -> Arrays:
    """Rows of the duplicate filter, with times as steps from row to row: they never run backwards."""
    times = np.ascontiguousarray(rows[:, Seen.TIME])
    steps = times[1:] - times[:-1]
    most = int(steps.max(initial=0))
    narrow = next((dtype for dtype in _STEPS if most <= np.iinfo(dtype).max), np.int64)
    return {
        "first": rows[:, Seen.ID],
        "second": rows[:, Seen.ID + 1],
        "start": times[:1],
        "steps": steps.astype(narrow),
    }


def _seen_rows(arrays: Arrays) -> Int64s | None:
    """The rows of a page; None where it is no such page."""
    if set(arrays) != {"first", "second", "start", "steps"}:
        return None
    first, second, start, steps = (arrays[name] for name in sorted(arrays))
    if not (first.ndim == steps.ndim == 1 and first.shape == second.shape and start.shape == (1,)):
        return None
    times = np.cumsum(np.concatenate((start, steps), dtype=np.int64))
    return None if len(times) != len(first) else np.column_stack((first, second, times)).astype(np.int64)


def _name(ring: Ring, first: int, last: int) -> str:
    return f"{ring.field}/{first}" if ring is SEEN and last - first == SEEN_BLOCK else ""


def _check_order(marks: Int64s) -> None:
    ordered = all(1 <= marks[ring.head] <= marks[ring.tail] for ring in RINGS)
    if not (ordered and marks[Mark.DECISION_HEAD] <= marks[Mark.MATURE] <= marks[Mark.DECISION_TAIL]):
        raise _damaged(f"ends {marks[: Mark.KEPT].tolist()}", "heads before tails")


def _damaged(given: str, expected: str) -> FoldError:
    return FoldError(
        "fold.damaged_page",
        f"loading pending attribution: {given}, expected {expected}; fold from a root before",
    )
