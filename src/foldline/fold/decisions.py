"""What a decision and its activation do to the joins in progress."""

from foldline.fold.aging import learn, mature
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.index import locate, put
from foldline.fold.layout import (
    NOTHING,
    OF_DANGLING,
    OF_DECISION,
    OF_UNIT,
    TOMBSTONE,
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
from foldline.fold.notes import tell
from foldline.fold.rewards import add
from foldline.kernels import inlined


@inlined
def decide(state: State, emits: Int64s, terms: Int64s, key: Key, unit: Key, action: int, row: int) -> int:
    """Take a decision in, with the rewards that came before it."""
    marks, counts, decisions = state.marks, state.counts, state.decisions
    head = marks[Mark.DECISION_HEAD]
    slot, sequence = locate(state.by_id, decisions, head, OF_DECISION, key)
    if sequence > 0:
        held = decisions[sequence & (decisions.shape[0] - 1)]
        _retry(marks, counts, held, emits, unit, action, sequence < marks[Mark.MATURE], row)
        return Status.READY
    sequence = marks[Mark.DECISION_TAIL]
    marks[Mark.DECISION_TAIL] = sequence + 1
    marks[Mark.BY_ID_USED] += put(state.by_id, slot, sequence, key)
    held = decisions[sequence & (decisions.shape[0] - 1)]
    held[Held.ID], held[Held.ID + 1] = key
    held[Held.UNIT], held[Held.UNIT + 1] = unit
    held[Held.TIME] = marks[Mark.TIME]
    held[Held.META] = action << 8
    held[Held.SUM] = held[Held.COUNT] = 0
    slot, _ = locate(state.by_unit, decisions, head, OF_UNIT, unit)
    marks[Mark.BY_UNIT_USED] += put(state.by_unit, slot, sequence, unit)
    counts[Counter.DECISIONS] += 1
    tell(marks, emits, Emit.DECIDED, action, NOTHING, NOTHING, marks[Mark.TIME], row)
    if terms[Term.WAIT] == 0:
        mature(marks, counts, held, emits, terms, row)
    elif marks[Mark.DANGLING_HEAD] < marks[Mark.DANGLING_TAIL]:
        return _match(marks, state.danglings, state.by_dangling, held, terms, key)
    return Status.READY


@inlined
def _retry(
    marks: Int64s,
    counts: Int64s,
    held: Int64s,
    emits: Int64s,
    unit: Key,
    action: int,
    late: bool,
    row: int,
) -> None:
    """The same id again: before maturity the last one counts, in the first one's place."""
    if held[Held.UNIT] != unit[0] or held[Held.UNIT + 1] != unit[1]:
        counts[Counter.CONFLICTS] += 1
        return
    counts[Counter.DUPLICATE_DECISIONS] += 1
    before = held[Held.META] >> 8
    if late or before == action:
        return
    held[Held.META] = (action << 8) | (held[Held.META] & 255)
    tell(marks, emits, Emit.UNDECIDED, before, NOTHING, NOTHING, held[Held.TIME], row)
    tell(marks, emits, Emit.DECIDED, action, NOTHING, NOTHING, held[Held.TIME], row)


@inlined
def _match(
    marks: Int64s, danglings: Int64s, by_dangling: Int64s, held: Int64s, terms: Int64s, key: Key
) -> int:
    """Credit a new decision with the rewards that came before it, in their order."""
    head, ring = marks[Mark.DANGLING_HEAD], danglings.shape[0] - 1
    slot, sequence = locate(by_dangling, danglings, head, OF_DANGLING, key)
    if sequence == 0:
        return Status.READY
    by_dangling[slot] = TOMBSTONE
    after = 0
    while sequence >= head:  # turn the chain round, so that it runs in order of arrival
        before = danglings[sequence & ring, Dangling.BEFORE]
        danglings[sequence & ring, Dangling.BEFORE] = after
        after, sequence = sequence, before
    status = Status.READY
    while after > 0:
        at = after & ring
        after = danglings[at, Dangling.BEFORE]
        danglings[at, Dangling.BEFORE] = -1
        if not add(held, danglings[at, Dangling.UNITS], terms):
            status = Status.OVERFLOW
    return status


@inlined
def activate(state: State, emits: Int64s, terms: Int64s, key: Key, row: int) -> int:
    """Note that a decision was shown; past its deadline it is learnt now."""
    marks, counts, decisions = state.marks, state.counts, state.decisions
    _, sequence = locate(state.by_id, decisions, marks[Mark.DECISION_HEAD], OF_DECISION, key)
    held = decisions[sequence & (decisions.shape[0] - 1)]
    if sequence == 0:
        counts[Counter.UNMATCHED_ACTIVATIONS] += 1
    elif held[Held.META] & Flag.ACTIVATED:
        counts[Counter.DUPLICATE_ACTIVATIONS] += 1
    else:
        held[Held.META] |= Flag.ACTIVATED
        counts[Counter.ACTIVATIONS] += 1
        if terms[Term.ACTIVATION] != 0 and sequence < marks[Mark.MATURE]:
            learn(marks, counts, held, emits, terms, row)
    return Status.READY
