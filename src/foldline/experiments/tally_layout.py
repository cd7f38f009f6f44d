"""Where things stand in a tally's rows: the units of an experiment, their decisions, the ids already counted."""

from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Int64s: TypeAlias = npt.NDArray[np.int64]

MINUTE_MS: Final = 60_000


class Unit(IntEnum):
    """Columns of a unit's row; its values follow."""

    HASH = 0
    """Two columns."""
    VARIANT = 2
    """-1 before the first exposure."""
    TIME = 3
    """Stream time at the first exposure, milliseconds."""
    FLAGS = 4
    VALUES = 5


class Flag(IntEnum):
    """Bits of a unit's flags."""

    MATURED = 1
    MIXED = 2


class Held(IntEnum):
    """Columns of a decision's row."""

    ID = 0
    """Two columns."""
    UNIT = 2
    """Row of the unit."""
    WIDTH = 3


class Seen(IntEnum):
    """Columns of a counted record's row."""

    ID = 0
    """Two columns."""
    TIME = 2
    WIDTH = 3


class Mark(IntEnum):
    """Entries of the marks."""

    TIME = 0
    """Stream time, milliseconds."""
    UNITS = 1
    HEAD = 2
    """First of the queue that has not matured."""
    TAIL = 3
    HELD = 4
    SEEN = 5
    RUNNING = 6
    """1 while the newest marker says so."""
    DELTAS = 7
    SIZE = 8


class Count(IntEnum):
    """What a minute counts of each variant, in units."""

    ENROLLED = 0
    """Met the variant for the first time."""
    MATURED = 1
    """Whose window has closed: these are analysed. Less those found in two variants afterwards."""
    MIXED = 2
    """Found in another variant too: left out from then on."""


class Counter(IntEnum):
    """What became of records, over the whole prefix."""

    COUNTED = 0
    """Rewards and observations added to a unit."""
    FOREIGN = 1
    """Of measured names, but of no unit or decision of the experiment."""
    DUPLICATES = 2
    LATE = 3
    """Too late even to correct."""
    OUTSIDE = 4
    """After their unit's window."""
    REVISIONS = 5
    """Changed a unit that had matured."""
    REFUSED = 6
    """Values, or sums, that have no room in their units."""
    FORCED = 7
    """Exposures without chance: not analysed."""
    UNKNOWN_VARIANT = 8


class Source(IntEnum):
    """What a value of a unit is made of."""

    AFTER = 0
    """Records within the window after the first exposure."""
    BEFORE = 1
    """Records before it."""


class Rows(NamedTuple):
    """The half of a tally's state that does not merge.

    Attributes:
        marks: (Mark.SIZE,).
        units: (capacity, 5 + values), in order of appearance.
        by_unit: power of two slots, row + 1 or 0.
        queue: (capacity,) rows of units, in order of exposure.
        held: (capacity, 3) decisions whose rewards still count.
        by_held: likewise.
        seen: (capacity, 3) ids of records counted.
        by_seen: likewise.
    """

    marks: Int64s
    units: Int64s
    by_unit: Int64s
    queue: Int64s
    held: Int64s
    by_held: Int64s
    seen: Int64s
    by_seen: Int64s


class Terms(NamedTuple):
    """What the kernel needs to know of a definition.

    Attributes:
        experiment: (2,) hash of its name.
        variants: (k, 2) hashes of the variants' keys.
        window: milliseconds.
        wait: window and maturity, milliseconds.
        span: wait and lateness, milliseconds.
        scale: units of 1.
        sources: (v,) a `Source` of each value.
        indicator: (v,) 1 where only whether it is above 0 counts.
        low: (v,) least value counted.
        high: (v,) greatest.
    """

    experiment: Int64s
    variants: Int64s
    window: int
    wait: int
    span: int
    scale: float
    sources: Int64s
    indicator: Int64s
    low: Int64s
    high: Int64s


class Batch(NamedTuple):
    """The columns the kernel reads, hashes as int64.

    Attributes:
        wanted: (n, v) as columns do not name values: (names, v) int8, which names feed which value.
    """

    kind: Any
    time: Any
    id: Any
    unit: Any
    reward_id: Any
    name: Any
    value: Any
    experiment: Any
    variant: Any
    probability: Any
    wanted: Any


class Deltas(NamedTuple):
    """What changed in which minute, in record order.

    Attributes:
        head: (5, m) int64: minute, variant, `Count`, 1 or -1, and the minute it belongs to, if an earlier one.
        values: (m, v) int64, of MATURED only.
    """

    head: Int64s
    values: Int64s
