"""What every step of attribution writes down: emits, ids seen, values earned."""

import numpy as np

from foldline.fold.counters import Counter
from foldline.fold.layout import Int32s, Int64s, Key, Mark, Seen
from foldline.fold.places import enter, find
from foldline.kernels import inlined

_TOO_LARGE = 2.0**63


@inlined
def tell(
    marks: Int64s, emits: Int64s, kind: int, action: int, old: int, new: int, time: int, row: int
) -> None:
    """Write an emit."""
    at = marks[Mark.EMITS]
    marks[Mark.EMITS] = at + 1
    emits[0, at] = kind
    emits[1, at] = action
    emits[2, at] = old
    emits[3, at] = new
    emits[4, at] = time
    emits[5, at] = row


@inlined
def remember(marks: Int64s, seen: Int64s, by_seen: Int32s, key: Key) -> bool:
    """Enter the id into the duplicate filter; False if it is there already."""
    sequence = marks[Mark.SEEN_TAIL]
    slot, found = find(by_seen, seen, marks[Mark.SEEN_HEAD], sequence, key)
    if found:
        return False
    marks[Mark.SEEN_TAIL] = sequence + 1
    marks[Mark.BY_SEEN_USED] += enter(by_seen, slot, seen, sequence, key)
    at = sequence & (seen.shape[0] - 1)
    seen[at, Seen.ID], seen[at, Seen.ID + 1] = key
    seen[at, Seen.TIME] = marks[Mark.TIME]
    return True


@inlined
def earn(marks: Int64s, counts: Int64s, scaled: float) -> bool:
    """Add an accepted value to the running total; False where value or total leave 64 bits."""
    if not abs(scaled) < _TOO_LARGE:
        return False
    units = int(np.rint(scaled))
    before = marks[Mark.REWARD_TOTAL]
    total = before + units
    marks[Mark.REWARD_TOTAL] = total
    counts[Counter.REWARD_UNITS] += units
    within: bool = (before ^ total) & (units ^ total) >= 0
    return within
