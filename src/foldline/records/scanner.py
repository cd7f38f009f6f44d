"""A scanner of our own canonical JSON: the fast of the two ways from lines to columns.

It knows exactly the lines `codec.encode` writes of decisions, rewards, outcomes, activations, ticks and
observations without `available` or `context`: fields in order, no spaces, ASCII without escapes. Every other
line, also every faulty one, it leaves to `lines`, so that both ways give equal columns. Nothing here decides
that a line is bad.
"""

from typing import Any

import numpy as np

from foldline.records.compiled import Bytes, Int, inlined, kernel, part
from foldline.records.dictionary import index_of
from foldline.records.hashing import hash_span
from foldline.records.tokens import LEFT, after, integer, line_end, literal, number, short, string_end
from foldline.records.words import load64, word_at

ACTIONS, NAMES, DEFAULT_NAME, LEFT_ROWS = range(4)
"""Places in the kernel's counters."""

# The bounds that records.types declares; every character of an ASCII string is one byte.
LONGEST_ID, LONGEST_NAME, LATEST = 512, 256, 1 << 53


_TYPE = short(b'{"type":')


def _opening(tag: str) -> tuple[np.uint64, np.int64, np.uint64, np.uint64]:
    """How lines of a type open after `_TYPE`: the next eight bytes, the length, the last sixteen bytes."""
    text = f'{{"type":"{tag}","time":'.encode()
    return short(text[8:16]), np.int64(len(text)), short(text[-16:-8]), short(text[-8:])


_DECISION, _REWARD, _OUTCOME = _opening("decision"), _opening("reward"), _opening("outcome")
_ACTIVATION, _TICK, _OBSERVATION = _opening("activation"), _opening("tick"), _opening("observation")
_COMMA_DECISION = literal(b',"decision":"')
_UNIT = literal(b'","unit":"')
_ACTION = literal(b'","action":"')
_PROPENSITY = literal(b'","propensity":')
_COMMA_REWARD = literal(b',"reward":')
_BUNDLE = literal(b',"bundle":"')
_DEFINITION = literal(b'","definition":')
_BY_DECISION = literal(b'","decision":"')
_NAME = literal(b'","name":"')
_VALUE = literal(b'","value":')
_OCCURRED = literal(b',"occurred":')
_ID = short(b',"id":"')
_LOW_7 = np.uint64((1 << 56) - 1)
_LOW_6 = np.uint64((1 << 48) - 1)
_REWARD_NAME = short(b"reward")


@kernel
def count_lines(buffer: Bytes) -> Int:
    """Lines of a (m,) uint8 buffer: newlines plus one."""
    newlines = 0
    for byte in buffer:
        newlines += byte == 10
    return newlines + 1


@part
def _quoted(buffer: Bytes, place: Int, literal: Any, longest: Int) -> Any:
    """Start and end of a string of 1 to `longest` characters after its literal; end LEFT where it is not."""
    start = after(buffer, place, literal)
    end = string_end(buffer, start) if start >= 0 else LEFT
    return start, end if start < end <= start + longest else LEFT


@part
def _own_id(buffer: Bytes, place: Int) -> Any:
    """Start and end of the id after `,"id":"`, which is too short for `after`; end LEFT where it is not."""
    if word_at(buffer, place, buffer.size) & _LOW_7 != _ID:
        return place, LEFT
    start = place + 7
    end = string_end(buffer, start)
    return start, end if start < end <= start + LONGEST_ID else LEFT


@part
def _last(buffer: Bytes, place: Int) -> Int:
    """The end of the line after an optional `occurred`, else LEFT."""
    stop = buffer.size
    if place < stop and buffer[place] == 44:
        place = after(buffer, place, _OCCURRED)
        if place < 0:
            return LEFT
        occurred, place = integer(buffer, place)
        if place < 0 or occurred > LATEST:
            return LEFT
    if place < stop and buffer[place] == 125 and (place + 1 == stop or buffer[place + 1] == 10):
        return place + 1
    return LEFT


@part
def _chosen(buffer: Bytes, place: Int, outcome: Any) -> Any:
    """A decision or outcome from its action on, as (end of the line or LEFT, action's span, value, propensity)."""
    value = np.nan
    start, stop = _quoted(buffer, place, _ACTION, LONGEST_NAME)
    place = after(buffer, stop, _PROPENSITY) if stop >= 0 else LEFT
    if place < 0:
        return LEFT, start, stop, value, value
    propensity, place = number(buffer, place)
    if place < 0 or not 0.0 <= propensity <= 1.0:
        return LEFT, start, stop, value, propensity
    if outcome:
        place = after(buffer, place, _COMMA_REWARD)
        if place >= 0:
            value, place = number(buffer, place)
    place = after(buffer, place, _BUNDLE) if place >= 0 else LEFT
    place = string_end(buffer, place) if place >= 0 else LEFT
    place = after(buffer, place, _DEFINITION) if place >= 0 else LEFT
    if place >= 0:
        _, place = integer(buffer, place)
    return (_last(buffer, place) if place >= 0 else LEFT), start, stop, value, propensity


@part
def _valued(buffer: Bytes, place: Int, needs_name: Any) -> Any:
    """A reward or observation from its name on, as (end of the line or LEFT, name's span, value).

    The name `reward`, written or not, has the span (0, 0).
    """
    start = stop = 0
    if word_at(buffer, place, buffer.size) == _NAME[1]:
        start, stop = _quoted(buffer, place, _NAME, LONGEST_NAME)
        if stop < 0:
            return LEFT, start, stop, np.nan
        place = stop
        if stop - start == 6 and word_at(buffer, start, buffer.size) & _LOW_6 == _REWARD_NAME:
            start = stop = 0
    elif needs_name:
        return LEFT, start, stop, np.nan
    place = after(buffer, place, _VALUE)
    if place < 0:
        return LEFT, start, stop, np.nan
    value, place = number(buffer, place)
    return (_last(buffer, place) if place >= 0 else LEFT), start, stop, value


@part
def _opened(buffer: Bytes, place: Int) -> Any:
    """The beginning of a line as (place after its time or LEFT, kind, time)."""
    stop = buffer.size
    if place + 24 > stop or load64(buffer, place) != _TYPE:
        return LEFT, 0, 0
    which = load64(buffer, place + 8)
    if which == _DECISION[0]:
        kind, opening = 1, _DECISION
    elif which == _REWARD[0]:
        kind, opening = 2, _REWARD
    elif which == _OUTCOME[0]:
        kind, opening = 3, _OUTCOME
    elif which == _ACTIVATION[0]:
        kind, opening = 4, _ACTIVATION
    elif which == _TICK[0]:
        kind, opening = 5, _TICK
    elif which == _OBSERVATION[0]:
        kind, opening = 7, _OBSERVATION
    else:
        return LEFT, 0, 0
    place += opening[1]
    if place > stop or load64(buffer, place - 16) != opening[2] or load64(buffer, place - 8) != opening[3]:
        return LEFT, 0, 0
    time, place = integer(buffer, place)
    return (place if time <= LATEST else LEFT), kind, time


@inlined
def _line(buffer: Bytes, place: Int) -> Any:
    """One line as (its end or LEFT, kind, time, spans of id, unit, reward id and text, value, propensity).

    A span is a start and an end; (0, 0) where there is none. The text is the action or the name.
    """
    id_start = id_end = unit_start = unit_end = reward_start = reward_end = start = stop = 0
    value = propensity = np.nan
    place, kind, time = _opened(buffer, place)
    if place >= 0:
        if kind == 2:
            reward_start, reward_end = _own_id(buffer, place)
            place = reward_end
            if place >= 0 and word_at(buffer, place, buffer.size) == _BY_DECISION[1]:
                id_start, id_end = _quoted(buffer, place, _BY_DECISION, LONGEST_ID)
                place = id_end
            elif place >= 0:
                unit_start, unit_end = _quoted(buffer, place, _UNIT, LONGEST_ID)
                place = unit_end
        elif kind == 4:
            id_start, id_end = _quoted(buffer, place, _COMMA_DECISION, LONGEST_ID)
            place = _last(buffer, id_end + 1) if id_end >= 0 else LEFT
        elif kind == 5:
            place = _last(buffer, place)
        else:
            id_start, id_end = _own_id(buffer, place)
            if id_end >= 0:
                unit_start, unit_end = _quoted(buffer, id_end, _UNIT, LONGEST_ID)
            place = unit_end if id_end >= 0 else LEFT
    if place >= 0 and (kind == 1 or kind == 3):
        place, start, stop, value, propensity = _chosen(buffer, place, kind == 3)
    elif place >= 0 and (kind == 2 or kind == 7):
        place, start, stop, value = _valued(buffer, place, kind == 7)
    return (
        place, kind, time, id_start, id_end, unit_start, unit_end, reward_start, reward_end, start, stop, value,
        propensity,
    )  # fmt: skip


@inlined
def _store(buffer: Bytes, start: Int, end: Int, out: Any, row: Int) -> None:
    """The hash of a span; zeros where it is empty."""
    if end > start:
        out[row, 0], out[row, 1] = hash_span(buffer, start, end)
    else:
        out[row, 0] = out[row, 1] = np.uint64(0)


@part
def _default_name(spans: Any, counts: Any) -> Int:
    """The index of the name `reward`."""
    if counts[DEFAULT_NAME] < 0:
        counts[DEFAULT_NAME] = counts[NAMES]
        spans[counts[NAMES], 0] = spans[counts[NAMES], 1] = 0
        counts[NAMES] += 1
    return counts[DEFAULT_NAME]


@kernel
def scan(
    buffer: Bytes, kinds: Any, times: Any, hashes: Any, numbers: Any, codes: Any, tables: Any, spans: Any,
    left: Any, counts: Any,
) -> None:  # fmt: skip
    """Reads every line it knows into columns, and names the lines it leaves. O(bytes).

    Args:
        buffer: (m,) uint8, n lines.
        kinds: (n,) int8, written; 0 on rows left.
        times: (n,) int64, written; 0 on rows left.
        hashes: (3, n, 2) uint64, written: id, unit, reward id.
        numbers: (2, n) float64, written: value, propensity.
        codes: (2, n) int32, written: action, name.
        tables: (2, power of two above 2 n) int32, zeros, scratch.
        spans: (2, n, 2) int64, written: where each action and name first stood; (0, 0) is the name `reward`.
        left: (3, n) int64, written: row, start and end of each line left.
        counts: (4,) int64, written: actions, names, code of the default name or -1, rows left.
    """
    counts[ACTIONS], counts[NAMES], counts[DEFAULT_NAME], counts[LEFT_ROWS] = 0, 0, -1, 0
    ids, units, reward_ids = hashes[0], hashes[1], hashes[2]
    values, propensities, actions, names = numbers[0], numbers[1], codes[0], codes[1]
    action_table, name_table, action_spans, name_spans = tables[0], tables[1], spans[0], spans[1]
    place = 0
    for row in range(len(kinds)):
        (
            end, kind, time, id_start, id_end, unit_start, unit_end, reward_start, reward_end, start, stop, value,
            propensity,
        ) = _line(buffer, place)  # fmt: skip
        if end < 0:
            kind = time = 0
            id_start = id_end = unit_start = unit_end = reward_start = reward_end = 0
            value = propensity = np.nan
            end = line_end(buffer, place)
            nth = counts[LEFT_ROWS]
            left[0, nth], left[1, nth], left[2, nth] = row, place, end
            counts[LEFT_ROWS] += 1
        kinds[row], times[row] = kind, time
        values[row], propensities[row] = value, propensity
        _store(buffer, id_start, id_end, ids, row)
        _store(buffer, unit_start, unit_end, units, row)
        _store(buffer, reward_start, reward_end, reward_ids, row)
        action = name = -1
        if kind == 1 or kind == 3:
            action = index_of(buffer, start, stop, action_table, action_spans, counts[ACTIONS])
            counts[ACTIONS] += action == counts[ACTIONS]
        elif (kind == 2 or kind == 7) and stop > 0:
            name = index_of(buffer, start, stop, name_table, name_spans, counts[NAMES])
            counts[NAMES] += name == counts[NAMES]
        elif kind == 2 or kind == 7:
            name = _default_name(name_spans, counts)
        actions[row], names[row] = action, name
        place = end + 1
