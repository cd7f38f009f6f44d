"""What a reward does: it finds its decision, waits for it, or is unmatched."""

import numpy as np

from foldline.fold.compiled import step
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.index import locate, put
from foldline.fold.layout import (
    Batch,
    Dangling,
    Flag,
    Held,
    Int64s,
    Mark,
    Output,
    Reason,
    State,
    Status,
    Term,
)
from foldline.fold.notes import bury, earn, remember, tell
from foldline.fold.rule import AGGREGATIONS

_FIRST, _LAST, _MAX, _MEAN = (AGGREGATIONS.index(name) for name in ("first", "last", "max", "mean"))


@step
def reward(
    batch: Batch,
    state: State,
    output: Output,
    terms: Int64s,
    scale: float,
    low: float,
    high: float,
    name: int,
    row: int,
) -> int:
    """Take a reward in and credit its decision, if it is there."""
    if batch.name[row] != name:
        state.counts[Counter.OTHER_REWARDS] += 1
        return Status.READY
    value = batch.value[row]
    if not low <= value <= high:
        bury(state, output, row, Reason.OUT_OF_RANGE)
        return Status.READY
    first, second = batch.reward_id[row, 0], batch.reward_id[row, 1]
    if not remember(state, first, second | 1):
        state.counts[Counter.DUPLICATE_REWARDS] += 1
        return Status.READY
    if not earn(state, value * scale):
        return Status.OVERFLOW
    state.counts[Counter.REWARDS] += 1
    units = int(np.rint(value * scale))
    sequence = _find(batch, state, row)
    if sequence > 0:
        return _credit(state, output, terms, sequence, units, row)
    if terms[Term.WAIT] == 0 or (batch.id[row, 0] == 0 and batch.id[row, 1] == 0):
        state.counts[Counter.UNMATCHED] += 1
    else:
        _hold(batch, state, units, row)
    return Status.READY


@step
def _find(batch: Batch, state: State, row: int) -> int:
    """Sequence number of the decision a reward names, or of its unit's last one; 0 if there is none."""
    head, decisions = state.marks[Mark.DECISION_HEAD], state.decisions
    first, second = batch.id[row, 0], batch.id[row, 1]
    if first != 0 or second != 0:
        _, sequence = locate(state.by_id, decisions, head, Held.ID, first, second)
        return sequence
    first, second = batch.unit[row, 0], batch.unit[row, 1]
    _, sequence = locate(state.by_unit, decisions, head, Held.UNIT, first, second)
    return sequence


@step
def _credit(state: State, output: Output, terms: Int64s, sequence: int, units: int, row: int) -> int:
    held = state.decisions[sequence & (state.decisions.shape[0] - 1)]
    old = worth(held, terms)
    if not add(held, units, terms):
        return Status.OVERFLOW
    if sequence < state.marks[Mark.MATURE]:
        state.counts[Counter.LATE] += 1
        if held[Held.META] & Flag.LEARNT:
            state.counts[Counter.CORRECTED] += 1
            new = worth(held, terms)
            tell(state, output, Emit.CORRECTED, held[Held.META] >> 8, old, new, held[Held.TIME], row)
    return Status.READY


@step
def _hold(batch: Batch, state: State, units: int, row: int) -> None:
    """Keep a reward whose decision may still come."""
    marks, danglings = state.marks, state.danglings
    first, second = batch.id[row, 0], batch.id[row, 1]
    head = marks[Mark.DANGLING_HEAD]
    slot, before = locate(state.by_dangling, danglings, head, Dangling.ID, first, second)
    sequence = marks[Mark.DANGLING_TAIL]
    marks[Mark.DANGLING_TAIL] += 1
    marks[Mark.BY_DANGLING_USED] += put(state.by_dangling, slot, sequence, second)
    reward = danglings[sequence & (danglings.shape[0] - 1)]
    reward[Dangling.ID], reward[Dangling.ID + 1] = first, second
    reward[Dangling.TIME] = marks[Mark.TIME]
    reward[Dangling.UNITS] = units
    reward[Dangling.BEFORE] = before


@step
def add(held: Int64s, units: int, terms: Int64s) -> bool:
    """Aggregate one more reward; False where the sum leaves 64 bits."""
    aggregation, before = terms[Term.AGGREGATION], held[Held.SUM]
    held[Held.COUNT] += 1
    if held[Held.COUNT] == 1 or aggregation == _LAST:
        held[Held.SUM] = units
    elif aggregation == _MAX:
        held[Held.SUM] = max(before, units)
    elif aggregation != _FIRST:
        held[Held.SUM] = before + units
        within: bool = (before ^ held[Held.SUM]) & (units ^ held[Held.SUM]) >= 0
        return within
    return True


@step
def worth(held: Int64s, terms: Int64s) -> int:
    """The aggregate so far: the default without rewards; a mean is rounded down to whole units."""
    if held[Held.COUNT] == 0:
        return int(terms[Term.DEFAULT])
    if terms[Term.AGGREGATION] == _MEAN:
        return int(held[Held.SUM] // held[Held.COUNT])
    return int(held[Held.SUM])
