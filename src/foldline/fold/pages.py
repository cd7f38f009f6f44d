"""Attribution's state as pages of bytes: a function of the records folded, and of nothing else.

Page 0 holds the rule and the marks. Then come the blocks of each ring: block b holds the live rows with sequence
numbers from b * BLOCK to (b + 1) * BLOCK - 1, so that a block in the middle of a queue keeps its bytes while both
ends move. Tables are left out: they are built again from the rings.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.layout import Int64s, Mark, State
from foldline.fold.room import RINGS, TABLES, Ring, empty, indexed, resized
from foldline.fold.rule import RewardRule

BLOCK: Final = 4096
"""Rows of a full page: 256 KiB of decisions."""


def dump_pages(rule: RewardRule, state: State) -> list[bytes]:
    """The state as pages; at least one. O(live rows)."""
    head: Arrays = {
        "marks": state.marks[: Mark.KEPT],
        "rule": np.frombuffer(msgspec.json.encode(rule), np.uint8),
    }
    pages = [dump_arrays(head)]
    for ring in RINGS:
        rows: Int64s = getattr(state, ring.field)
        for first, last in _blocks(state.marks, ring):
            start = first & (len(rows) - 1)
            block = rows[start : start + last - first]
            if len(block) < last - first:  # the ring's end stands within it
                block = np.concatenate((block, rows[: last - first - len(block)]))
            pages.append(dump_arrays({ring.field: block}))
    return pages


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
        block = load_arrays(next(pages, b"")).get(ring.field)
        if block is None or block.shape != (last - first, ring.width):
            raise _damaged(
                f"a page without the rows {first} to {last - 1} of {ring.field}", f"width {ring.width}"
            )
        rows[np.arange(first, last) & (capacity - 1)] = block
    return state


def _blocks(marks: Int64s, ring: Ring) -> Iterator[tuple[int, int]]:
    first, tail = int(marks[ring.head]), int(marks[ring.tail])
    while first < tail:
        last = min(tail, (first // BLOCK + 1) * BLOCK)
        yield first, last
        first = last


def _check_order(marks: Int64s) -> None:
    ordered = all(1 <= marks[ring.head] <= marks[ring.tail] for ring in RINGS)
    if not (ordered and marks[Mark.DECISION_HEAD] <= marks[Mark.MATURE] <= marks[Mark.DECISION_TAIL]):
        raise _damaged(f"ends {marks[: Mark.KEPT].tolist()}", "heads before tails")


def _damaged(given: str, expected: str) -> FoldError:
    return FoldError(
        "fold.damaged_page",
        f"loading pending attribution: {given}, expected {expected}; fold from a root before",
    )
