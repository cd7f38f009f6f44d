"""What a reward does: it finds its decision, waits for it, or is unmatched; and what a complete outcome does."""

import numpy as np

from foldline.fold.aging import worth
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.index import locate, put
from foldline.fold.layout import (
    NOTHING,
    OF_DANGLING,
    OF_DECISION,
    OF_UNIT,
    Dangling,
    Flag,
    Held,
    Int64s,
    Key,
    Mark,
    State,
    Status,
    Term,
)
from foldline.fold.notes import earn, remember, tell
from foldline.fold.rule import AGGREGATIONS
from foldline.kernels import inlined

_FIRST, _LAST, _MAX = (AGGREGATIONS.index(name) for name in ("first", "last", "max"))


@inlined
def outcome(state: State, emits: Int64s, key: Key, action: int, scaled: float, row: int) -> int:
    """Take in a decision with its reward, at once."""
    marks, counts = state.marks, state.counts
    if not remember(marks, state.seen, state.by_seen, (key[0], key[1] & -2)):
        counts[Counter.DUPLICATE_OUTCOMES] += 1
        return Status.READY
    if not earn(marks, counts, scaled):
        return Status.OVERFLOW
    counts[Counter.OUTCOMES] += 1
    counts[Counter.LEARNT] += 1
    now = marks[Mark.TIME]
    tell(marks, emits, Emit.DECIDED, action, NOTHING, NOTHING, now, row)
    tell(marks, emits, Emit.LEARNT, action, NOTHING, int(np.rint(scaled)), now, row)
    return Status.READY


@inlined
def reward(
    state: State, emits: Int64s, terms: Int64s, own: Key, key: Key, unit: Key, scaled: float, row: int
) -> int:
    """Take a reward in and credit its decision, if it is there.

    Args:
        state: changed in place.
        emits: written.
        terms: the rule.
        own: the reward's own id.
        key: the decision's id, zeros where the unit is named.
        unit: the unit.
        scaled: the value in units, not rounded.
        row: the record's row.
    """
    marks, counts, decisions = state.marks, state.counts, state.decisions
    if not remember(marks, state.seen, state.by_seen, (own[0], own[1] | 1)):
        counts[Counter.DUPLICATE_REWARDS] += 1
        return Status.READY
    if not earn(marks, counts, scaled):
        return Status.OVERFLOW
    counts[Counter.REWARDS] += 1
    units = int(np.rint(scaled))
    named = key[0] != 0 or key[1] != 0
    if named:
        _, sequence = locate(state.by_id, decisions, marks[Mark.DECISION_HEAD], OF_DECISION, key)
    else:
        _, sequence = locate(state.by_unit, decisions, marks[Mark.DECISION_HEAD], OF_UNIT, unit)
    if sequence > 0:
        held = decisions[sequence & (decisions.shape[0] - 1)]
        late = sequence < marks[Mark.MATURE]
        return _credit(marks, counts, held, emits, terms, units, late, row)
    if named and terms[Term.WAIT] != 0:
        _hold(marks, state.danglings, state.by_dangling, key, units)
    else:
        counts[Counter.UNMATCHED] += 1
    return Status.READY


@inlined
def _credit(
    marks: Int64s,
    counts: Int64s,
    held: Int64s,
    emits: Int64s,
    terms: Int64s,
    units: int,
    late: bool,
    row: int,
) -> int:
    old = worth(held, terms)
    if not add(held, units, terms):
        return Status.OVERFLOW
    if late:
        counts[Counter.LATE] += 1
        if held[Held.META] & Flag.LEARNT:
            counts[Counter.CORRECTED] += 1
            new = worth(held, terms)
            tell(marks, emits, Emit.CORRECTED, held[Held.META] >> 8, old, new, held[Held.TIME], row)
    return Status.READY


@inlined
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


@inlined
def _hold(marks: Int64s, danglings: Int64s, by_dangling: Int64s, key: Key, units: int) -> None:
    """Keep a reward whose decision may still come."""
    slot, before = locate(by_dangling, danglings, marks[Mark.DANGLING_HEAD], OF_DANGLING, key)
    sequence = marks[Mark.DANGLING_TAIL]
    marks[Mark.DANGLING_TAIL] = sequence + 1
    marks[Mark.BY_DANGLING_USED] += put(by_dangling, slot, sequence, key)
    at = sequence & (danglings.shape[0] - 1)
    danglings[at, Dangling.ID], danglings[at, Dangling.ID + 1] = key
    danglings[at, Dangling.TIME] = marks[Mark.TIME]
    danglings[at, Dangling.UNITS] = units
    danglings[at, Dangling.BEFORE] = before
