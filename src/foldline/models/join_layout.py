"""How the join of examples with labels lies in memory: two rings, a table over each, and the marks that move.

Rings, sequence numbers and tables are those of `foldline.fold.layout`.
"""

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np

from foldline.fold.layout import Int64s
from foldline.fold.room import LEAST, Ring, Table


class Mark(IntEnum):
    """Index into the marks. Those before `KEPT` are part of the state; the others serve the pass."""

    TIME = 0
    """Stream time, milliseconds."""
    EXAMPLE_HEAD = 1
    EXAMPLE_TAIL = 2
    EARLY_HEAD = 3
    EARLY_TAIL = 4
    KEPT = 5

    BY_EXAMPLE_USED = 5
    """Slots of the table that are not empty; likewise the next."""
    BY_EARLY_USED = 6
    EVENTS = 7
    """Events written in this pass."""
    STATUS = 8
    SIZE = 9


class Status(IntEnum):
    """Why the pass returned: it is through, or lacks room."""

    READY = 0
    EVENTS_FULL = 1
    EXAMPLES_FULL = 2
    EARLY_FULL = 3
    BY_EXAMPLE_FULL = 4
    BY_EARLY_FULL = 5


class Live(IntEnum):
    """Columns of a row of either ring: examples remembered, labels that came before their example."""

    ID = 0
    TIME = 2
    """Stream time when it came."""
    DONE = 3
    """1 for an example that has its label, for a label that found its example."""
    WIDTH = 4


class What(IntEnum):
    """What happened to an example or a label."""

    EXAMPLE = 0
    """A new one; `early` is the sequence number of the label that came before it, 0 for none."""
    DUPLICATE = 1
    """An example whose id is remembered: dropped."""
    LABEL = 2
    """A label, with the sequence number of the example it found waiting."""
    LABEL_AGAIN = 3
    """A label of an example that has one: dropped."""
    EARLY = 4
    """A label without an example so far; `sequence` is its own."""
    EXPIRED = 5
    """An example whose label did not come within the window."""
    UNMATCHED = 6
    """A label whose example did not come within the window; `sequence` is its own."""


class Event(IntEnum):
    """Rows of the events told by a pass."""

    ROW = 0
    WHAT = 1
    SEQUENCE = 2
    EARLY = 3
    WIDTH = 4


class JoinState(NamedTuple):
    """The join's state."""

    marks: Int64s
    examples: Int64s
    early: Int64s
    by_example: Int64s
    by_early: Int64s


EXAMPLES: Final = Ring("examples", Mark.EXAMPLE_HEAD, Mark.EXAMPLE_TAIL, Live.WIDTH, Status.EXAMPLES_FULL)
EARLY: Final = Ring("early", Mark.EARLY_HEAD, Mark.EARLY_TAIL, Live.WIDTH, Status.EARLY_FULL)
RINGS: Final = (EXAMPLES, EARLY)
TABLES: Final = (
    Table("by_example", EXAMPLES, Live.ID, Mark.BY_EXAMPLE_USED, Status.BY_EXAMPLE_FULL),
    Table("by_early", EARLY, Live.ID, Mark.BY_EARLY_USED, Status.BY_EARLY_FULL),
)

# As numpy integers, since numba compiles a function anew for each plain constant it is called with.
OF_LIVE: Final[Any] = np.int64(Live.ID)


def empty() -> JoinState:
    """The state of the empty prefix."""
    marks = np.zeros(Mark.SIZE, np.int64)
    for ring in RINGS:
        marks[ring.head] = marks[ring.tail] = 1
    rings = (np.zeros((LEAST, ring.width), np.int64) for ring in RINGS)
    tables = (np.zeros(LEAST, np.int64) for _ in TABLES)
    return JoinState(marks, *rings, *tables)
