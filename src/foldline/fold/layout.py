"""How attribution's state lies in memory: rings of rows, hash tables over them, and the marks that move.

A ring is a (capacity, width) int64 array, capacity a power of two. Its rows carry sequence numbers that count up
from 1 and never return; the row of sequence number s is `rows[s & (capacity - 1)]`. Rows from head to tail - 1
are live. As stream time never runs backwards, what came first expires first, so a ring is a queue.

A table is a (slots,) int64 array of `sequence << TAG_BITS | tag`, 0 where empty, in open addressing. An entry
whose sequence number lies before its ring's head is stale: it only keeps its slot until it is reused, or the
table is built again from the ring. Tables therefore never need deletion and say nothing that rings do not. That of the
duplicate filter, the largest, has entries of half the size: see `foldline.fold.places`.
"""

from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

Key = tuple[int, int]
"""Both halves of an id, as int64."""

TAG_BITS = 16
"""Tags spare a look at the ring where hashes differ; 47 bits remain for the sequence number."""

TOMBSTONE = 1
"""A table entry of sequence number 0: always stale."""


class Mark(IntEnum):
    """Index into the marks. Those before `KEPT` are part of the state; the others serve the pass."""

    TIME = 0
    """Stream time, milliseconds."""
    DECISION_HEAD = 1
    MATURE = 2
    """The first decision not yet mature, by sequence number."""
    DECISION_TAIL = 3
    DANGLING_HEAD = 4
    DANGLING_TAIL = 5
    SEEN_HEAD = 6
    SEEN_TAIL = 7
    REWARD_TOTAL = 8
    """Sum of all accepted reward units since the first record: its overflow must not depend on batches."""
    KEPT = 9

    BY_ID_USED = 9
    """Slots of the table that are not empty; likewise the next three."""
    BY_UNIT_USED = 10
    BY_DANGLING_USED = 11
    BY_SEEN_USED = 12
    EMITS = 13
    """Emits written in this pass."""
    DEAD = 14
    """Dead rows written in this pass."""
    STATUS = 15
    """Why the kernel returned, a `Status`."""
    TOUCHED = 16
    """Scratch."""
    SIZE = 17


class Status(IntEnum):
    """Why the kernel returned: it is through, lacks room, or cannot go on."""

    READY = 0
    OUTPUT_FULL = 1
    DECISIONS_FULL = 2
    DANGLINGS_FULL = 3
    SEEN_FULL = 4
    BY_ID_FULL = 5
    BY_UNIT_FULL = 6
    BY_DANGLING_FULL = 7
    BY_SEEN_FULL = 8
    OVERFLOW = 9


class Reason(IntEnum):
    """Why a row is dead."""

    UNKNOWN_ACTION = 0
    OUT_OF_RANGE = 1


class Held(IntEnum):
    """Columns of the decisions ring: 64 bytes, one cache line a row."""

    ID = 0
    UNIT = 2
    TIME = 4
    """Stream time at the decision."""
    META = 5
    """`action << 8 | flags`."""
    SUM = 6
    """The aggregate of its rewards in reward units; the plain sum where the rule asks for the mean."""
    COUNT = 7
    """Rewards aggregated."""
    WIDTH = 8


class Flag(IntEnum):
    """Bits of META; that a decision is mature is told by its place in the ring."""

    ACTIVATED = 1
    LEARNT = 2


class Dangling(IntEnum):
    """Columns of the ring of rewards that found no decision yet."""

    ID = 0
    """Of the decision named."""
    TIME = 2
    UNITS = 3
    BEFORE = 4
    """Sequence number of the last one before that named the same decision, 0 for none, -1 once matched."""
    WIDTH = 5


class Seen(IntEnum):
    """Columns of the duplicate filter. The lowest bit of its id tells rewards (1) from outcomes (0)."""

    ID = 0
    TIME = 2
    WIDTH = 3


class Term(IntEnum):
    """Index into the rule's terms, an int64 array."""

    WAIT = 0
    SPAN = 1
    DEFAULT = 2
    AGGREGATION = 3
    MEAN = 4
    """1 where the aggregation is the mean."""
    ACTIVATION = 5
    SIZE = 6


# As numpy integers, since numba compiles a function anew for each plain constant it is called with.
NOTHING: Final[Any] = np.int64(0)
OF_DECISION: Final[Any] = np.int64(Held.ID)
OF_UNIT: Final[Any] = np.int64(Held.UNIT)
OF_DANGLING: Final[Any] = np.int64(Dangling.ID)


class State(NamedTuple):
    """Attribution's state."""

    marks: Int64s
    counts: Int64s
    decisions: Int64s
    danglings: Int64s
    seen: Int64s
    by_id: Int64s
    by_unit: Int64s
    by_dangling: Int64s
    by_seen: Int32s


class Batch(NamedTuple):
    """The columns read, ids as int64 of the same bits; `remap` goes from the batch's action index to the fold's."""

    kind: npt.NDArray[np.int8]
    time: Int64s
    id: Int64s
    unit: Int64s
    reward_id: Int64s
    action: npt.NDArray[np.int32]
    name: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    remap: npt.NDArray[np.int32]
