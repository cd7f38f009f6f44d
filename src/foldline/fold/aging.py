"""What the advance of stream time does: decisions mature and leave, what waited too long is forgotten."""

from foldline.fold.compiled import step
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.layout import Dangling, Flag, Held, Int64s, Mark, Output, Seen, State, Status, Term
from foldline.fold.notes import tell
from foldline.fold.rewards import worth


@step
def advance(state: State, output: Output, terms: Int64s, row: int) -> int:
    """Mature and let expire what the stream time in the marks has reached."""
    marks, decisions = state.marks, state.decisions
    now = marks[Mark.TIME]
    ring = decisions.shape[0] - 1
    room = output.kind.shape[0]
    while marks[Mark.MATURE] < marks[Mark.DECISION_TAIL]:
        at = marks[Mark.MATURE] & ring
        if decisions[at, Held.TIME] + terms[Term.WAIT] > now:
            break
        if marks[Mark.EMITS] >= room:
            return Status.OUTPUT_FULL
        mature(state, output, terms, at, row)
    while marks[Mark.DECISION_HEAD] < marks[Mark.MATURE]:
        at = marks[Mark.DECISION_HEAD] & ring
        if decisions[at, Held.TIME] + terms[Term.SPAN] > now:
            break
        if marks[Mark.EMITS] >= room:
            return Status.OUTPUT_FULL
        _expire(state, output, terms, at, row)
    _forget(state, terms, now)
    return Status.READY


@step
def mature(state: State, output: Output, terms: Int64s, at: int, row: int) -> None:
    """Pass the deadline of the decision in row `at`, the first that had not."""
    state.marks[Mark.MATURE] += 1
    if terms[Term.ACTIVATION] == 0 or state.decisions[at, Held.META] & Flag.ACTIVATED:
        learn(state, output, terms, at, row)


@step
def learn(state: State, output: Output, terms: Int64s, at: int, row: int) -> None:
    """Announce what the decision in row `at` is worth."""
    held = state.decisions[at]
    held[Held.META] |= Flag.LEARNT
    state.counts[Counter.LEARNT] += 1
    tell(state, output, Emit.LEARNT, held[Held.META] >> 8, 0, worth(held, terms), held[Held.TIME], row)


@step
def _expire(state: State, output: Output, terms: Int64s, at: int, row: int) -> None:
    state.marks[Mark.DECISION_HEAD] += 1
    held = state.decisions[at]
    if terms[Term.ACTIVATION] != 0 and held[Held.META] & Flag.LEARNT == 0:
        state.counts[Counter.UNACTIVATED] += 1
        tell(state, output, Emit.UNDECIDED, held[Held.META] >> 8, 0, 0, held[Held.TIME], row)


@step
def _forget(state: State, terms: Int64s, now: int) -> None:
    marks, danglings, seen = state.marks, state.danglings, state.seen
    while marks[Mark.DANGLING_HEAD] < marks[Mark.DANGLING_TAIL]:
        at = marks[Mark.DANGLING_HEAD] & (danglings.shape[0] - 1)
        if danglings[at, Dangling.TIME] + terms[Term.WAIT] > now:
            break
        if danglings[at, Dangling.BEFORE] >= 0:
            state.counts[Counter.UNMATCHED] += 1
        marks[Mark.DANGLING_HEAD] += 1
    while marks[Mark.SEEN_HEAD] < marks[Mark.SEEN_TAIL]:
        at = marks[Mark.SEEN_HEAD] & (seen.shape[0] - 1)
        if seen[at, Seen.TIME] + terms[Term.SPAN] > now:
            break
        marks[Mark.SEEN_HEAD] += 1
