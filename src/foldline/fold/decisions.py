"""What a decision and its activation do to the joins in progress."""

from foldline.fold.aging import learn, mature
from foldline.fold.compiled import step
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.index import locate, put
from foldline.fold.layout import (
    TOMBSTONE,
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
from foldline.fold.notes import action_of, bury, tell
from foldline.fold.rewards import add


@step
def decide(batch: Batch, state: State, output: Output, terms: Int64s, row: int) -> int:
    """Take a decision in, with the rewards that came before it."""
    action = action_of(batch, row)
    if action < 0:
        bury(state, output, row, Reason.UNKNOWN_ACTION)
        return Status.READY
    marks, decisions = state.marks, state.decisions
    first, second = batch.id[row, 0], batch.id[row, 1]
    slot, sequence = locate(state.by_id, decisions, marks[Mark.DECISION_HEAD], Held.ID, first, second)
    if sequence > 0:
        _retry(batch, state, output, action, sequence, row)
        return Status.READY
    sequence = marks[Mark.DECISION_TAIL]
    marks[Mark.DECISION_TAIL] += 1
    marks[Mark.BY_ID_USED] += put(state.by_id, slot, sequence, second)
    at = sequence & (decisions.shape[0] - 1)
    held = decisions[at]
    held[Held.ID], held[Held.ID + 1] = first, second
    first, second = batch.unit[row, 0], batch.unit[row, 1]
    held[Held.UNIT], held[Held.UNIT + 1] = first, second
    held[Held.TIME] = marks[Mark.TIME]
    held[Held.META] = action << 8
    held[Held.SUM] = held[Held.COUNT] = 0
    slot, _ = locate(state.by_unit, decisions, marks[Mark.DECISION_HEAD], Held.UNIT, first, second)
    marks[Mark.BY_UNIT_USED] += put(state.by_unit, slot, sequence, second)
    state.counts[Counter.DECISIONS] += 1
    tell(state, output, Emit.DECIDED, action, 0, 0, marks[Mark.TIME], row)
    if terms[Term.WAIT] == 0:
        mature(state, output, terms, at, row)
        return Status.READY
    return _match(state, terms, at)


@step
def _retry(batch: Batch, state: State, output: Output, action: int, sequence: int, row: int) -> None:
    """The same id again: before maturity the last one counts, in the first one's place."""
    held = state.decisions[sequence & (state.decisions.shape[0] - 1)]
    same = held[Held.UNIT] == batch.unit[row, 0]
    if not (same and held[Held.UNIT + 1] == batch.unit[row, 1]):
        state.counts[Counter.CONFLICTS] += 1
        return
    state.counts[Counter.DUPLICATE_DECISIONS] += 1
    before = held[Held.META] >> 8
    if sequence < state.marks[Mark.MATURE] or before == action:
        return
    held[Held.META] = (action << 8) | (held[Held.META] & 255)
    tell(state, output, Emit.UNDECIDED, before, 0, 0, held[Held.TIME], row)
    tell(state, output, Emit.DECIDED, action, 0, 0, held[Held.TIME], row)


@step
def _match(state: State, terms: Int64s, at: int) -> int:
    """Credit a new decision with the rewards that came before it, in their order."""
    marks, danglings = state.marks, state.danglings
    if marks[Mark.DANGLING_HEAD] == marks[Mark.DANGLING_TAIL]:
        return Status.READY
    held = state.decisions[at]
    head, ring = marks[Mark.DANGLING_HEAD], danglings.shape[0] - 1
    first, second = held[Held.ID], held[Held.ID + 1]
    slot, sequence = locate(state.by_dangling, danglings, head, Dangling.ID, first, second)
    if sequence == 0:
        return Status.READY
    state.by_dangling[slot] = TOMBSTONE
    after = 0
    while sequence >= head:  # turn the chain round, so that it runs in order of arrival
        before = danglings[sequence & ring, Dangling.BEFORE]
        danglings[sequence & ring, Dangling.BEFORE] = after
        after, sequence = sequence, before
    status = Status.READY
    while after > 0:
        reward = danglings[after & ring]
        after = reward[Dangling.BEFORE]
        reward[Dangling.BEFORE] = -1
        if not add(held, reward[Dangling.UNITS], terms):
            status = Status.OVERFLOW
    return status


@step
def activate(batch: Batch, state: State, output: Output, terms: Int64s, row: int) -> None:
    """Note that a decision was shown; past its deadline it is learnt now."""
    marks, decisions = state.marks, state.decisions
    first, second = batch.id[row, 0], batch.id[row, 1]
    _, sequence = locate(state.by_id, decisions, marks[Mark.DECISION_HEAD], Held.ID, first, second)
    if sequence == 0:
        state.counts[Counter.UNMATCHED_ACTIVATIONS] += 1
        return
    at = sequence & (decisions.shape[0] - 1)
    if decisions[at, Held.META] & Flag.ACTIVATED:
        state.counts[Counter.DUPLICATE_ACTIVATIONS] += 1
        return
    decisions[at, Held.META] |= Flag.ACTIVATED
    state.counts[Counter.ACTIVATIONS] += 1
    if terms[Term.ACTIVATION] != 0 and sequence < marks[Mark.MATURE]:
        learn(state, output, terms, at, row)
