"""Outcomes next to each other, at which nothing else happens: most of what a log of outcomes holds.

What `kernel.join` does for each record is done here for many: ends and sums stand in variables meanwhile, and what can
change only now and then is looked at once. Whatever is not plain is left to `join`, record by record.
"""

import numpy as np

from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.layout import NOTHING, Batch, Int64s, Mark, Seen, State, Term
from foldline.fold.places import enter, find
from foldline.kernels import inlined
from foldline.records.columns import Kind

_TOO_LARGE = 2.0**63


@inlined
def plain_outcomes(
    batch: Batch,
    state: State,
    emits: Int64s,
    terms: Int64s,
    scale: float,
    low: float,
    high: float,
    row: int,
    stop: int,
) -> int:
    """Apply rows from `row` on while they are plain outcomes; the first row not applied. Arguments as `join`'s.

    An outcome is plain where nothing matures, expires or is forgotten at it, where there is room for it, and where its
    action, value and sum are good.
    """
    marks, seen, by_seen = state.marks, state.seen, state.by_seen
    head, tail = marks[Mark.SEEN_HEAD], marks[Mark.SEEN_TAIL]
    others = marks[Mark.DECISION_TAIL] - marks[Mark.DECISION_HEAD]
    others += marks[Mark.DANGLING_TAIL] - marks[Mark.DANGLING_HEAD]
    if head == tail or others > 0:
        return row
    ring = seen.shape[0] - 1
    forgets = seen[head & ring, Seen.TIME] + terms[Term.SPAN]
    at, used, room = marks[Mark.EMITS], marks[Mark.BY_SEEN_USED], by_seen.shape[0] * 5
    stop = min(stop, row + (emits.shape[1] - at) // 2, row + seen.shape[0] - (tail - head))
    now, before, total = marks[Mark.TIME], marks[Mark.REWARD_TOTAL], marks[Mark.REWARD_TOTAL]
    duplicates, first = 0, tail
    while row < stop and batch.kind[row] == Kind.OUTCOME and used * 8 < room:
        time = max(now, batch.time[row])
        action = batch.action[row]
        if action >= 0:
            action = batch.remap[action]
        value = batch.value[row]
        scaled = value * scale
        if time >= forgets or action < 0 or not low <= value <= high or not abs(scaled) < _TOO_LARGE:
            break
        units = int(np.rint(scaled))
        grown = total + units
        if (total ^ grown) & (units ^ grown) < 0:
            break
        key = (batch.id[row, 0], batch.id[row, 1] & -2)
        slot, found = find(by_seen, seen, head, tail, key)
        if found:
            duplicates += 1
        else:
            used += enter(by_seen, slot, seen, tail, key)
            place = tail & ring
            seen[place, Seen.ID], seen[place, Seen.ID + 1] = key
            seen[place, Seen.TIME] = time
            emits[0, at], emits[0, at + 1] = Emit.DECIDED, Emit.LEARNT
            emits[1, at] = emits[1, at + 1] = action
            emits[2, at] = emits[2, at + 1] = emits[3, at] = NOTHING
            emits[3, at + 1] = units
            emits[4, at] = emits[4, at + 1] = time
            emits[5, at] = emits[5, at + 1] = row
            at, tail, total = at + 2, tail + 1, grown
        now = time
        row += 1
    taken = tail - first
    state.counts[Counter.DUPLICATE_OUTCOMES] += duplicates
    state.counts[Counter.OUTCOMES] += taken
    state.counts[Counter.LEARNT] += taken
    state.counts[Counter.REWARD_UNITS] += total - before
    marks[Mark.TIME], marks[Mark.SEEN_TAIL], marks[Mark.EMITS] = now, tail, at
    marks[Mark.BY_SEEN_USED], marks[Mark.REWARD_TOTAL] = used, total
    return row
