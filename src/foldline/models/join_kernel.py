"""One pass over a batch: joins examples with labels by id, within a window of stream time.

Before a record is applied stream time advances to include it; then examples whose window has passed leave, in their
order, and after them labels that waited for an example as long. So what happens depends on the sequence of records
alone. The pass never allocates: where something might not hold what the next record brings it stops before it.
"""

from typing import Any

from foldline.fold.index import locate, put
from foldline.fold.layout import Int64s, Key
from foldline.kernels import inlined, patient
from foldline.models.join_layout import OF_LIVE, Event, JoinState, Live, Mark, Status, What
from foldline.records.columns import Kind


@patient(lambda *given: given[-1] - given[-2])
def join(
    kind: Any,
    time: Int64s,
    id: Int64s,
    labelled: Any,
    state: JoinState,
    events: Int64s,
    span: int,
    row: int,
    stop: int,
) -> int:
    """Apply rows `row` to `stop`; returns the first row not applied and leaves the reason in the marks.

    Args:
        kind: (n,) int8.
        time: (n,) milliseconds.
        id: (n, 2) hashes as int64 of the same bits.
        labelled: (n,) bool, whether an example carries its label.
        state: changed in place.
        events: (Event.WIDTH, m), filled from where the marks stand.
        span: the window, milliseconds.
        row: first row.
        stop: one more than the last row.
    """
    marks = state.marks
    status: int = Status.READY
    while row < stop:
        if kind[row] != Kind.DEAD:
            marks[Mark.TIME] = max(marks[Mark.TIME], time[row])
            status = _advance(state, events, span, row)
            if status == Status.READY and (kind[row] == Kind.EXAMPLE or kind[row] == Kind.LABEL):
                status = _room(state, events)
                if status == Status.READY:
                    key = (id[row, 0], id[row, 1])
                    if kind[row] == Kind.EXAMPLE:
                        _take_example(state, events, key, labelled[row], row)
                    else:
                        _take_label(state, events, key, row)
            if status != Status.READY:
                break
        row += 1
    marks[Mark.STATUS] = status
    return row


@inlined
def _tell(marks: Int64s, events: Int64s, row: int, what: int, sequence: int, early: int) -> None:
    at = marks[Mark.EVENTS]
    events[Event.ROW, at], events[Event.WHAT, at] = row, what
    events[Event.SEQUENCE, at], events[Event.EARLY, at] = sequence, early
    marks[Mark.EVENTS] += 1


@inlined
def _advance(state: JoinState, events: Int64s, span: int, row: int) -> int:
    """Let go what the stream time in the marks has passed."""
    marks, examples, early = state.marks, state.examples, state.early
    now, room = marks[Mark.TIME], events.shape[1]
    while marks[Mark.EXAMPLE_HEAD] < marks[Mark.EXAMPLE_TAIL]:
        at = marks[Mark.EXAMPLE_HEAD] & (examples.shape[0] - 1)
        if examples[at, Live.TIME] + span > now:
            break
        if marks[Mark.EVENTS] >= room:
            return Status.EVENTS_FULL
        if examples[at, Live.DONE] == 0:
            _tell(marks, events, row, What.EXPIRED, marks[Mark.EXAMPLE_HEAD], 0)
        marks[Mark.EXAMPLE_HEAD] += 1
    while marks[Mark.EARLY_HEAD] < marks[Mark.EARLY_TAIL]:
        at = marks[Mark.EARLY_HEAD] & (early.shape[0] - 1)
        if early[at, Live.TIME] + span > now:
            break
        if marks[Mark.EVENTS] >= room:
            return Status.EVENTS_FULL
        if early[at, Live.DONE] == 0:
            _tell(marks, events, row, What.UNMATCHED, marks[Mark.EARLY_HEAD], 0)
        marks[Mark.EARLY_HEAD] += 1
    return Status.READY


@inlined
def _room(state: JoinState, events: Int64s) -> int:
    """What is too full for one more example or label."""
    marks = state.marks
    if marks[Mark.EVENTS] >= events.shape[1]:
        return Status.EVENTS_FULL
    if marks[Mark.EXAMPLE_TAIL] - marks[Mark.EXAMPLE_HEAD] >= state.examples.shape[0]:
        return Status.EXAMPLES_FULL
    if marks[Mark.EARLY_TAIL] - marks[Mark.EARLY_HEAD] >= state.early.shape[0]:
        return Status.EARLY_FULL
    if marks[Mark.BY_EXAMPLE_USED] * 8 >= state.by_example.shape[0] * 5:
        return Status.BY_EXAMPLE_FULL
    if marks[Mark.BY_EARLY_USED] * 8 >= state.by_early.shape[0] * 5:
        return Status.BY_EARLY_FULL
    return Status.READY


@inlined
def _take_example(state: JoinState, events: Int64s, key: Key, labelled: bool, row: int) -> None:
    marks, examples, early = state.marks, state.examples, state.early
    slot, sequence = locate(state.by_example, examples, marks[Mark.EXAMPLE_HEAD], OF_LIVE, key)
    if sequence > 0:
        _tell(marks, events, row, What.DUPLICATE, sequence, 0)
        return
    waited = 0
    if marks[Mark.EARLY_HEAD] < marks[Mark.EARLY_TAIL]:
        _, waited = locate(state.by_early, early, marks[Mark.EARLY_HEAD], OF_LIVE, key)
        if waited > 0:
            early[waited & (early.shape[0] - 1), Live.DONE] = 1
    sequence = marks[Mark.EXAMPLE_TAIL]
    marks[Mark.EXAMPLE_TAIL] = sequence + 1
    marks[Mark.BY_EXAMPLE_USED] += put(state.by_example, slot, sequence, key)
    at = sequence & (examples.shape[0] - 1)
    examples[at, Live.ID], examples[at, Live.ID + 1] = key
    examples[at, Live.TIME] = marks[Mark.TIME]
    examples[at, Live.DONE] = 1 if labelled or waited > 0 else 0
    _tell(marks, events, row, What.EXAMPLE, sequence, waited)


@inlined
def _take_label(state: JoinState, events: Int64s, key: Key, row: int) -> None:
    marks, examples, early = state.marks, state.examples, state.early
    _, sequence = locate(state.by_example, examples, marks[Mark.EXAMPLE_HEAD], OF_LIVE, key)
    if sequence > 0:
        at = sequence & (examples.shape[0] - 1)
        if examples[at, Live.DONE] == 0:
            examples[at, Live.DONE] = 1
            _tell(marks, events, row, What.LABEL, sequence, 0)
        else:
            _tell(marks, events, row, What.LABEL_AGAIN, sequence, 0)
        return
    slot, sequence = locate(state.by_early, early, marks[Mark.EARLY_HEAD], OF_LIVE, key)
    if sequence > 0:
        _tell(marks, events, row, What.LABEL_AGAIN, sequence, 0)
        return
    sequence = marks[Mark.EARLY_TAIL]
    marks[Mark.EARLY_TAIL] = sequence + 1
    marks[Mark.BY_EARLY_USED] += put(state.by_early, slot, sequence, key)
    at = sequence & (early.shape[0] - 1)
    early[at, Live.ID], early[at, Live.ID + 1] = key
    early[at, Live.TIME] = marks[Mark.TIME]
    early[at, Live.DONE] = 0
    _tell(marks, events, row, What.EARLY, sequence, 0)
