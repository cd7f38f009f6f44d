"""Examples joined with their labels by id, in a window of stream time: what is pending in a model's fold."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.layout import Int64s
from foldline.fold.room import Ring, indexed, narrowed_rings, resized
from foldline.models.join_layout import RINGS, TABLES, Event, JoinState, Live, Mark, Status, empty
from foldline.models.waiting import Waiting, WaitingExamples
from foldline.records.columns import Columns
from foldline.records.types import Value

BLOCK: Final = 4096
"""Rows of a full page."""


class Early(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A label that came before its example."""

    sequence: int
    y: Value


class Join:
    """The join in progress of one partition.

    An example is remembered for `span_ms` of stream time: in that window its label finds it, and the same id again is
    a duplicate. A label without an example waits for it as long. Memory: 50 to 100 bytes an example remembered, its
    features besides while it waits for its label.

    Attributes:
        waiting: examples without a label.
        early: labels without an example, by sequence number.
    """

    def __init__(self, span_ms: int) -> None:
        self._span = span_ms
        self._state = empty()
        self.waiting = WaitingExamples()
        self.early: dict[int, Early] = {}

    @property
    def stream_time(self) -> int:
        """Running maximum of the records' times, milliseconds; 0 before the first."""
        return int(self._state.marks[Mark.TIME])

    def due(self) -> int | None:
        """The least stream time at which an example's window passes without a label; None where none waits. O(1)."""
        first = self.waiting.first()
        if first is None:
            return None
        examples = self._state.examples
        return self._span + int(examples[first & (len(examples) - 1), Live.TIME])

    def apply(self, columns: Columns) -> Int64s:
        """Fold the batch in; (Event.WIDTH, m) what happened, in record order. `waiting` and `early` are the caller's.

        Amortised O(1) a record.
        """
        labelled = columns.examples.labelled(len(columns))
        return self._pass(
            np.ascontiguousarray(columns.kind), np.ascontiguousarray(columns.time),
            np.ascontiguousarray(columns.id).view(np.int64), labelled,
        )  # fmt: skip

    def _pass(self, kind: object, time: Int64s, id: Int64s, labelled: object) -> Int64s:
        from foldline.models.join_kernel import join

        events = np.empty((int(Event.WIDTH), len(time) + 64), np.int64)
        self._state.marks[Mark.EVENTS : Mark.SIZE] = 0
        row = 0
        while True:
            row = join(kind, time, id, labelled, self._state, events, self._span, row, len(time))
            status = int(self._state.marks[Mark.STATUS])
            if status == Status.READY:
                break
            if status == Status.EVENTS_FULL:
                events = np.concatenate((events, np.empty_like(events)), axis=1)
            else:
                self._state = _widened(self._state, status)
        told = events[:, : self._state.marks[Mark.EVENTS]]
        self._state = narrowed_rings(self._state, RINGS, TABLES)
        return told

    def dump(self) -> list[bytes]:
        """The state as pages, a function of the records folded; those in the middle of a queue keep their bytes."""
        pages = [dump_arrays({"marks": self._state.marks[: Mark.KEPT], "span": np.array([self._span])})]
        for ring in RINGS:
            rows: Int64s = getattr(self._state, ring.field)
            texts: Iterator[Waiting | Early]
            texts = self.waiting.in_order() if ring is RINGS[0] else iter(self.early.values())
            following = next(texts, None)
            for first, last in _blocks(self._state.marks, ring):
                at = np.arange(first, last) & (len(rows) - 1)
                lines = []
                while following is not None and following.sequence < last:
                    lines.append(msgspec.json.encode(following))
                    following = next(texts, None)
                block: Arrays = {ring.field: rows[at], "held": np.frombuffer(b"\n".join(lines), np.uint8)}
                pages.append(dump_arrays(block))
        return pages

    @classmethod
    def load(cls, span_ms: int, pages: Sequence[bytes]) -> "Join":
        """The state dumped; going on from it equals going on from the original. O(examples remembered).

        Raises:
            FoldError: `fold.damaged_page` where the pages are not a dump under this window.
        """
        loaded = cls(span_ms)
        head = load_arrays(pages[0]) if pages else {}
        if set(head) != {"marks", "span"} or head["span"].tolist() != [span_ms]:
            raise _damaged(f"page 0 with {sorted(head)}", f"marks and the span {span_ms}")
        state = loaded._state
        rest = iter(pages[1:])
        for ring in RINGS:
            state, held = _load_ring(state, ring, head["marks"].astype(np.int64), rest)
            if ring is RINGS[0]:
                loaded.waiting.restore([_WAITING.decode(line) for line in held])
            else:
                loaded.early = {one.sequence: one for one in (_EARLY.decode(line) for line in held)}
        state.marks[: Mark.KEPT] = head["marks"]
        for table in TABLES:
            state = indexed(state, table)
        loaded._state = state
        return loaded


_WAITING = msgspec.json.Decoder(Waiting)
_EARLY = msgspec.json.Decoder(Early)


def _widened(state: JoinState, status: int) -> JoinState:
    for ring in RINGS:
        if ring.full == status:
            return resized(state, ring, 2 * len(getattr(state, ring.field)))
    return indexed(state, next(table for table in TABLES if table.full == status))


def _load_ring(
    state: JoinState, ring: Ring, marks: Int64s, pages: Iterator[bytes]
) -> tuple[JoinState, list[bytes]]:
    blocks = list(_blocks(marks, ring))
    capacity = len(getattr(state, ring.field))
    while capacity < sum(last - first for first, last in blocks):
        capacity *= 2
    rows = np.zeros((capacity, ring.width), np.int64)
    held: list[bytes] = []
    for first, last in blocks:
        page = load_arrays(next(pages, b""))
        block = page.get(ring.field)
        if block is None or block.shape != (last - first, ring.width) or "held" not in page:
            raise _damaged(f"a page without rows {first} to {last - 1} of {ring.field}", "them")
        rows[np.arange(first, last) & (capacity - 1)] = block
        held += page["held"].tobytes().split(b"\n") if len(page["held"]) else []
    return state._replace(**{ring.field: rows}), held


def _blocks(marks: Int64s, ring: Ring) -> Iterator[tuple[int, int]]:
    first, tail = int(marks[ring.head]), int(marks[ring.tail])
    while first < tail:
        last = min(tail, (first // BLOCK + 1) * BLOCK)
        yield first, last
        first = last


def _damaged(given: str, expected: str) -> FoldError:
    return FoldError(
        "fold.damaged_page",
        f"loading a join of examples: {given}, expected {expected}; fold from a root before",
    )
