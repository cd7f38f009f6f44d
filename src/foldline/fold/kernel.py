"""One pass over a batch: joins decisions with rewards. Compiled, and bit-equal to the plain loop it states.

Before a record is applied stream time advances to include it, and then, in this order: decisions whose deadline
has come mature, in decision order; decisions whose expiry has come leave, in decision order; dangling rewards
that have waited long enough are given up; ids seen long enough ago are forgotten. So the order of what happens
depends on the sequence of records only. With a wait of zero a decision matures after its own record is applied.

The pass never allocates. Where a ring, a table or the output might not hold what the next record brings, it stops
before that record (or between two steps of advancing, which go on where they stopped) and says what is full.
"""

from foldline.fold.aging import advance
from foldline.fold.counters import Counter
from foldline.fold.decisions import activate, decide
from foldline.fold.layout import TAG_BITS, Batch, Held, Int64s, Mark, Reason, State, Status
from foldline.fold.outcomes import plain_outcomes
from foldline.fold.rewards import outcome, reward
from foldline.kernels import inlined, patient
from foldline.records.columns import Kind

_AHEAD = 1024
"""Rows whose look-ups are fetched at once; few enough that they are still in the cache when their turn comes."""


@patient(lambda *given: given[-1] - given[-2])
def join(
    batch: Batch,
    state: State,
    emits: Int64s,
    dead: Int64s,
    terms: Int64s,
    scale: float,
    low: float,
    high: float,
    name: int,
    row: int,
    stop: int,
) -> int:
    """Apply rows `row` to `stop`; returns the first row not applied and leaves the reason in the marks.

    Args:
        batch: the columns.
        state: changed in place.
        emits: (6, m) kind, action, old, new, time and row, filled from where the marks stand.
        dead: (2, n) row and `Reason`, likewise.
        terms: (Term.SIZE,) the rule.
        scale: 2^unit_bits.
        low: least reward allowed.
        high: greatest reward allowed.
        name: index of the rule's reward name in the batch's names, below -1 where it is not there.
        row: first row.
        stop: one more than the last row.
    """
    marks = state.marks
    ahead = row
    status: int = Status.READY
    while row < stop:
        if row >= ahead:
            ahead = min(row + _AHEAD, stop)
            marks[Mark.TOUCHED] = _touch(batch, state, row, ahead)
        row = plain_outcomes(batch, state, emits, terms, scale, low, high, row, ahead)
        if row == ahead:
            continue
        kind = batch.kind[row]
        if kind != Kind.DEAD:
            marks[Mark.TIME] = max(marks[Mark.TIME], batch.time[row])
            status = advance(state, emits, terms, row)
            if status == Status.READY:
                status = _room(state, emits, kind)
            if status == Status.READY:
                status = _take(batch, state, emits, dead, terms, scale, low, high, name, row)
            if status != Status.READY:
                break
        row += 1
    marks[Mark.STATUS] = status
    return row


@inlined
def _take(
    batch: Batch,
    state: State,
    emits: Int64s,
    dead: Int64s,
    terms: Int64s,
    scale: float,
    low: float,
    high: float,
    name: int,
    row: int,
) -> int:
    """Apply one record."""
    kind = batch.kind[row]
    key = (batch.id[row, 0], batch.id[row, 1])
    unit = (batch.unit[row, 0], batch.unit[row, 1])
    action = batch.action[row]
    if kind == Kind.DECISION or kind == Kind.OUTCOME:
        if action >= 0:
            action = batch.remap[action]
        if action < 0:
            return _bury(state, dead, row, Reason.UNKNOWN_ACTION)
        if kind == Kind.DECISION:
            return decide(state, emits, terms, key, unit, int(action), row)
    elif kind == Kind.ACTIVATION:
        return activate(state, emits, terms, key, row)
    elif kind != Kind.REWARD:
        return Status.READY
    elif batch.name[row] != name:
        state.counts[Counter.OTHER_REWARDS] += 1
        return Status.READY
    value = batch.value[row]
    if not low <= value <= high:
        return _bury(state, dead, row, Reason.OUT_OF_RANGE)
    if kind == Kind.OUTCOME:
        return outcome(state, emits, key, int(action), value * scale, row)
    own = (batch.reward_id[row, 0], batch.reward_id[row, 1])
    return reward(state, emits, terms, own, key, unit, value * scale, row)


@inlined
def _bury(state: State, dead: Int64s, row: int, reason: int) -> int:
    """Mark the row dead."""
    at = state.marks[Mark.DEAD]
    dead[0, at], dead[1, at] = row, reason
    state.marks[Mark.DEAD] += 1
    state.counts[Counter.DEAD] += 1
    return Status.READY


@inlined
def _touch(batch: Batch, state: State, row: int, stop: int) -> int:
    """Read what the next rows will look up, so that memory fetches it all at once and not one by one."""
    touched = 0
    for ahead in range(row, stop):
        kind = batch.kind[ahead]
        if kind == Kind.OUTCOME:
            touched ^= state.by_seen[batch.id[ahead, 0] & (state.by_seen.shape[0] - 1)]
        elif kind == Kind.REWARD:
            touched ^= state.by_seen[batch.reward_id[ahead, 0] & (state.by_seen.shape[0] - 1)]
            entry = state.by_id[batch.id[ahead, 0] & (state.by_id.shape[0] - 1)]
            touched ^= state.decisions[(entry >> TAG_BITS) & (state.decisions.shape[0] - 1), Held.META]
        elif kind == Kind.DECISION:
            touched ^= state.by_id[batch.id[ahead, 0] & (state.by_id.shape[0] - 1)]
            touched ^= state.by_unit[batch.unit[ahead, 0] & (state.by_unit.shape[0] - 1)]
    return touched


@inlined
def _room(state: State, emits: Int64s, kind: int) -> int:
    """What is too full for one more record of this kind."""
    marks = state.marks
    if marks[Mark.EMITS] + 2 > emits.shape[1]:
        return Status.OUTPUT_FULL
    if kind == Kind.OUTCOME or kind == Kind.REWARD:
        if marks[Mark.SEEN_TAIL] - marks[Mark.SEEN_HEAD] >= state.seen.shape[0]:
            return Status.SEEN_FULL
        if marks[Mark.BY_SEEN_USED] * 8 >= state.by_seen.shape[0] * 5:
            return Status.BY_SEEN_FULL
    if kind == Kind.REWARD:
        if marks[Mark.DANGLING_TAIL] - marks[Mark.DANGLING_HEAD] >= state.danglings.shape[0]:
            return Status.DANGLINGS_FULL
        if marks[Mark.BY_DANGLING_USED] * 8 >= state.by_dangling.shape[0] * 5:
            return Status.BY_DANGLING_FULL
    if kind == Kind.DECISION:
        if marks[Mark.DECISION_TAIL] - marks[Mark.DECISION_HEAD] >= state.decisions.shape[0]:
            return Status.DECISIONS_FULL
        if marks[Mark.BY_ID_USED] * 8 >= state.by_id.shape[0] * 5:
            return Status.BY_ID_FULL
        if marks[Mark.BY_UNIT_USED] * 8 >= state.by_unit.shape[0] * 5:
            return Status.BY_UNIT_FULL
    return Status.READY
