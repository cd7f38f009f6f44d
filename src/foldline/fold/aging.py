"""What the advance of stream time does: decisions mature and leave, what waited too long is forgotten."""

from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.layout import NOTHING, Dangling, Flag, Held, Int64s, Mark, Seen, State, Status, Term
from foldline.fold.notes import tell
from foldline.kernels import inlined


@inlined
def advance(state: State, emits: Int64s, terms: Int64s, row: int) -> int:
    """Mature and let expire what the stream time in the marks has reached."""
    marks, counts, decisions = state.marks, state.counts, state.decisions
    now = marks[Mark.TIME]
    ring = decisions.shape[0] - 1
    room = emits.shape[1]
    while marks[Mark.MATURE] < marks[Mark.DECISION_TAIL]:
        at = marks[Mark.MATURE] & ring
        if decisions[at, Held.TIME] + terms[Term.WAIT] > now:
            break
        if marks[Mark.EMITS] >= room:
            return Status.OUTPUT_FULL
        mature(marks, counts, decisions[at], emits, terms, row)
    while marks[Mark.DECISION_HEAD] < marks[Mark.MATURE]:
        at = marks[Mark.DECISION_HEAD] & ring
        if decisions[at, Held.TIME] + terms[Term.SPAN] > now:
            break
        if marks[Mark.EMITS] >= room:
            return Status.OUTPUT_FULL
        _expire(marks, counts, decisions[at], emits, terms, row)
    _forget(marks, counts, state.danglings, state.seen, terms)
    return Status.READY


@inlined
def mature(marks: Int64s, counts: Int64s, held: Int64s, emits: Int64s, terms: Int64s, row: int) -> None:
    """Pass the deadline of the first decision that had not: `held`, its row of the ring."""
    marks[Mark.MATURE] += 1
    if terms[Term.ACTIVATION] == 0 or held[Held.META] & Flag.ACTIVATED:
        learn(marks, counts, held, emits, terms, row)


@inlined
def learn(marks: Int64s, counts: Int64s, held: Int64s, emits: Int64s, terms: Int64s, row: int) -> None:
    """Announce what the decision is worth."""
    held[Held.META] |= Flag.LEARNT
    counts[Counter.LEARNT] += 1
    tell(marks, emits, Emit.LEARNT, held[Held.META] >> 8, NOTHING, worth(held, terms), held[Held.TIME], row)


@inlined
def worth(held: Int64s, terms: Int64s) -> int:
    """The aggregate so far: the default without rewards; a mean is rounded down to whole units."""
    if held[Held.COUNT] == 0:
        return int(terms[Term.DEFAULT])
    if terms[Term.MEAN] != 0:
        return int(held[Held.SUM] // held[Held.COUNT])
    return int(held[Held.SUM])


@inlined
def _expire(marks: Int64s, counts: Int64s, held: Int64s, emits: Int64s, terms: Int64s, row: int) -> None:
    marks[Mark.DECISION_HEAD] += 1
    if terms[Term.ACTIVATION] != 0 and held[Held.META] & Flag.LEARNT == 0:
        counts[Counter.UNACTIVATED] += 1
        tell(marks, emits, Emit.UNDECIDED, held[Held.META] >> 8, NOTHING, NOTHING, held[Held.TIME], row)


@inlined
def _forget(marks: Int64s, counts: Int64s, danglings: Int64s, seen: Int64s, terms: Int64s) -> None:
    now = marks[Mark.TIME]
    while marks[Mark.DANGLING_HEAD] < marks[Mark.DANGLING_TAIL]:
        at = marks[Mark.DANGLING_HEAD] & (danglings.shape[0] - 1)
        if danglings[at, Dangling.TIME] + terms[Term.WAIT] > now:
            break
        if danglings[at, Dangling.BEFORE] >= 0:
            counts[Counter.UNMATCHED] += 1
        marks[Mark.DANGLING_HEAD] += 1
    while marks[Mark.SEEN_HEAD] < marks[Mark.SEEN_TAIL]:
        at = marks[Mark.SEEN_HEAD] & (seen.shape[0] - 1)
        if seen[at, Seen.TIME] + terms[Term.SPAN] > now:
            break
        marks[Mark.SEEN_HEAD] += 1
