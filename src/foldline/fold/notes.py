"""What every step of attribution writes down: emits, dead rows, ids seen, values earned."""

import numpy as np

from foldline.fold.compiled import step
from foldline.fold.counters import Counter
from foldline.fold.index import locate, put
from foldline.fold.layout import Batch, Mark, Output, Seen, State

_TOO_LARGE = 2.0**63


@step
def tell(
    state: State, output: Output, kind: int, action: int, old: int, new: int, time: int, row: int
) -> None:
    """Write an emit."""
    at = state.marks[Mark.EMITS]
    state.marks[Mark.EMITS] += 1
    output.kind[at] = kind
    output.action[at] = action
    output.numbers[0, at] = old
    output.numbers[1, at] = new
    output.numbers[2, at] = time
    output.numbers[3, at] = row


@step
def bury(state: State, output: Output, row: int, reason: int) -> None:
    """Mark the row dead."""
    at = state.marks[Mark.DEAD]
    output.dead[at, 0], output.dead[at, 1] = row, reason
    state.marks[Mark.DEAD] += 1
    state.counts[Counter.DEAD] += 1


@step
def remember(state: State, first: int, second: int) -> bool:
    """Enter the id into the duplicate filter; False if it is there already."""
    marks, seen = state.marks, state.seen
    slot, sequence = locate(state.by_seen, seen, marks[Mark.SEEN_HEAD], Seen.ID, first, second)
    if sequence > 0:
        return False
    sequence = marks[Mark.SEEN_TAIL]
    marks[Mark.SEEN_TAIL] += 1
    marks[Mark.BY_SEEN_USED] += put(state.by_seen, slot, sequence, second)
    entry = seen[sequence & (seen.shape[0] - 1)]
    entry[Seen.ID], entry[Seen.ID + 1] = first, second
    entry[Seen.TIME] = marks[Mark.TIME]
    return True


@step
def earn(state: State, scaled: float) -> bool:
    """Add an accepted value to the running total; False where value or total leave 64 bits."""
    if not abs(scaled) < _TOO_LARGE:
        return False
    units = int(np.rint(scaled))
    before = state.marks[Mark.REWARD_TOTAL]
    total = before + units
    state.marks[Mark.REWARD_TOTAL] = total
    state.counts[Counter.REWARD_UNITS] += units
    within: bool = (before ^ total) & (units ^ total) >= 0
    return within


@step
def action_of(batch: Batch, row: int) -> int:
    """The fold's index of the row's action, -1 where it has none."""
    action = batch.action[row]
    if action < 0:
        return -1
    return int(batch.remap[action])
