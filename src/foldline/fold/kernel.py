"""One pass over a batch: joins decisions with rewards. Compiled, and bit-equal to the plain loop it states.

Before a record is applied stream time advances to include it, and then, in this order: decisions whose deadline
has come mature, in decision order; decisions whose expiry has come leave, in decision order; dangling rewards
that have waited long enough are given up; ids seen long enough ago are forgotten. So the order of what happens
depends on the sequence of records only. With a wait of zero a decision matures after its own record is applied.

The pass never allocates. Where a ring, a table or the output might not hold what the next record brings, it stops
before that record (or between two steps of advancing, which go on where they stopped) and says what is full.
"""

import numpy as np

from foldline.fold.aging import advance
from foldline.fold.compiled import entry, step
from foldline.fold.counters import Counter
from foldline.fold.decisions import activate, decide
from foldline.fold.emits import Emit
from foldline.fold.layout import TAG_BITS, Batch, Held, Int64s, Mark, Output, Reason, State, Status
from foldline.fold.notes import action_of, bury, earn, remember, tell
from foldline.fold.rewards import reward
from foldline.records.columns import Kind

_AHEAD = 1024
"""Rows whose look-ups are fetched at once; few enough that they are still in the cache when their turn comes."""


@entry
def join(
    batch: Batch,
    state: State,
    output: Output,
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
        output: filled from where the marks stand.
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
    while row < stop:
        if row >= ahead:
            ahead = min(row + _AHEAD, stop)
            marks[Mark.TOUCHED] = _touch(batch, state, row, ahead)
        kind = batch.kind[row]
        if kind != Kind.DEAD:
            marks[Mark.TIME] = max(marks[Mark.TIME], batch.time[row])
            status = advance(state, output, terms, row)
            if status == Status.READY:
                status = _room(state, output, kind)
            if status == Status.READY:
                if kind == Kind.OUTCOME:
                    status = _outcome(batch, state, output, scale, low, high, row)
                elif kind == Kind.DECISION:
                    status = decide(batch, state, output, terms, row)
                elif kind == Kind.REWARD:
                    status = reward(batch, state, output, terms, scale, low, high, name, row)
                elif kind == Kind.ACTIVATION:
                    activate(batch, state, output, terms, row)
            if status != Status.READY:
                marks[Mark.STATUS] = status
                return row
        row += 1
    marks[Mark.STATUS] = Status.READY
    return row


@step
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


@step
def _room(state: State, output: Output, kind: int) -> int:
    """What is too full for one more record of this kind."""
    marks = state.marks
    if marks[Mark.EMITS] + 2 > output.kind.shape[0] or marks[Mark.DEAD] >= output.dead.shape[0]:
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


@step
def _outcome(
    batch: Batch, state: State, output: Output, scale: float, low: float, high: float, row: int
) -> int:
    action = action_of(batch, row)
    value = batch.value[row]
    if action < 0:
        bury(state, output, row, Reason.UNKNOWN_ACTION)
        return Status.READY
    if not low <= value <= high:
        bury(state, output, row, Reason.OUT_OF_RANGE)
        return Status.READY
    first, second = batch.id[row, 0], batch.id[row, 1]
    if not remember(state, first, second & -2):
        state.counts[Counter.DUPLICATE_OUTCOMES] += 1
        return Status.READY
    if not earn(state, value * scale):
        return Status.OVERFLOW
    state.counts[Counter.OUTCOMES] += 1
    state.counts[Counter.LEARNT] += 1
    now = state.marks[Mark.TIME]
    tell(state, output, Emit.DECIDED, action, 0, 0, now, row)
    tell(state, output, Emit.LEARNT, action, 0, int(np.rint(value * scale)), now, row)
    return Status.READY
