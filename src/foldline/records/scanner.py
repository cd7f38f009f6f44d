"""A scanner of our own canonical JSON: the fast of the two ways from lines to columns.

It knows exactly the lines `codec.encode` writes of decisions, rewards, outcomes, activations, ticks and
observations without `available` or `context`: fields in order, no spaces, ASCII without escapes. Every other
line, also every faulty one, it leaves to `lines`, so that both ways give equal columns. Nothing here decides
that a line is bad.
"""

from typing import Any

import numpy as np

from foldline.records.compiled import Bytes, Int, inlined, kernel
from foldline.records.dictionary import index_of
from foldline.records.hashing import hash_span
from foldline.records.tokens import LEFT, after, integer, literal, number, short, string_end
from foldline.records.words import load64, word_at

ACTIONS, NAMES, DEFAULT_NAME, LEFT_ROWS = range(4)
"""Places in the kernel's counters."""


_TYPE = literal(b'{"type":')[1]
_DECISION = literal(b'{"type":"decision","time":')
_OUTCOME = literal(b'{"type":"outcome","time":')
_REWARD = literal(b'{"type":"reward","time":')
_ACTIVATION = literal(b'{"type":"activation","time":')
_TICK = literal(b'{"type":"tick","time":')
_OBSERVATION = literal(b'{"type":"observation","time":')
_IS_DECISION, _IS_REWARD, _IS_OUTCOME = _DECISION[2], _REWARD[2], _OUTCOME[2]
_IS_ACTIVATION, _IS_TICK, _IS_OBSERVATION = _ACTIVATION[2], _TICK[2], _OBSERVATION[2]
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


@kernel
def _id_end(buffer: Bytes, place: Int, longest: Int) -> Int:
    """The closing quote of a string of 1 to `longest` characters, else LEFT."""
    end = string_end(buffer, place)
    return end if place < end <= place + longest else LEFT


@inlined
def _store(buffer: Bytes, start: Int, end: Int, out: Any, row: Int) -> None:
    out[row, 0], out[row, 1] = hash_span(buffer, start, end)


@kernel
def _last(buffer: Bytes, place: Int) -> Int:
    """The end of the line after an optional `occurred`, else LEFT."""
    stop = buffer.size
    if place < stop and buffer[place] == 44:
        place = after(buffer, place, _OCCURRED)
        if place < 0:
            return LEFT
        occurred, place = integer(buffer, place)
        if place < 0 or occurred > 1 << 53:
            return LEFT
    if place < stop and buffer[place] == 125 and (place + 1 == stop or buffer[place + 1] == 10):
        return place + 1
    return LEFT


@kernel
def _own_id(buffer: Bytes, place: Int, out: Any, row: Int) -> Int:
    """Reads `,"id":"…` into `out`; the place of the closing quote, else LEFT."""
    if word_at(buffer, place, buffer.size) & _LOW_7 != _ID:
        return LEFT
    end = _id_end(buffer, place + 7, 512)
    if end >= 0:
        _store(buffer, place + 7, end, out, row)
    return end


@kernel
def _text(buffer: Bytes, place: Int, literal: Any, out: Any, row: Int) -> Int:
    """Reads an id or unit after its literal into `out`; the place of the closing quote, else LEFT."""
    start = after(buffer, place, literal)
    if start < 0:
        return LEFT
    end = _id_end(buffer, start, 512)
    if end >= 0:
        _store(buffer, start, end, out, row)
    return end


@kernel
def _chosen(
    buffer: Bytes, place: Int, row: Int, outcome: bool, ids: Any, units: Any, actions: Any, values: Any,
    propensities: Any, table: Any, spans: Any, counts: Any,
) -> Int:  # fmt: skip
    """Reads a decision or outcome after its time; the end of the line, else LEFT."""
    place = _own_id(buffer, place, ids, row)
    if place < 0:
        return LEFT
    place = _text(buffer, place, _UNIT, units, row)
    if place < 0:
        return LEFT
    start = after(buffer, place, _ACTION)
    if start < 0:
        return LEFT
    stop = _id_end(buffer, start, 256)
    if stop < 0:
        return LEFT
    place = after(buffer, stop, _PROPENSITY)
    if place < 0:
        return LEFT
    propensity, place = number(buffer, place)
    if place < 0 or not 0.0 <= propensity <= 1.0:
        return LEFT
    propensities[row] = propensity
    if outcome:
        place = after(buffer, place, _COMMA_REWARD)
        if place < 0:
            return LEFT
        values[row], place = number(buffer, place)
        if place < 0:
            return LEFT
    place = after(buffer, place, _BUNDLE)
    if place < 0:
        return LEFT
    place = string_end(buffer, place)
    if place < 0:
        return LEFT
    place = after(buffer, place, _DEFINITION)
    if place < 0:
        return LEFT
    place = integer(buffer, place)[1]
    if place < 0:
        return LEFT
    place = _last(buffer, place)
    if place >= 0:
        code = index_of(buffer, start, stop, table, spans, counts[ACTIONS])
        counts[ACTIONS] += code == counts[ACTIONS]
        actions[row] = code
    return place


@kernel
def _valued(
    buffer: Bytes, place: Int, row: Int, needs_name: bool, named: Any, values: Any, table: Any, spans: Any,
    counts: Any,
) -> Int:  # fmt: skip
    """Reads a reward or observation from its name on; the end of the line, else LEFT."""
    start = stop = 0
    if word_at(buffer, place, buffer.size) == _NAME[1]:
        start = after(buffer, place, _NAME)
        if start < 0:
            return LEFT
        stop = _id_end(buffer, start, 256)
        if stop < 0:
            return LEFT
        place = stop
    elif needs_name:
        return LEFT
    place = after(buffer, place, _VALUE)
    if place < 0:
        return LEFT
    values[row], place = number(buffer, place)
    if place < 0:
        return LEFT
    place = _last(buffer, place)
    if place < 0:
        return LEFT
    size = stop - start
    if size == 0 or (size == 6 and word_at(buffer, start, buffer.size) & _LOW_6 == _REWARD_NAME):
        if counts[DEFAULT_NAME] < 0:
            counts[DEFAULT_NAME] = counts[NAMES]
            spans[counts[NAMES], 0], spans[counts[NAMES], 1] = 0, 0
            counts[NAMES] += 1
        named[row] = counts[DEFAULT_NAME]
    else:
        code = index_of(buffer, start, stop, table, spans, counts[NAMES])
        counts[NAMES] += code == counts[NAMES]
        named[row] = code
    return place


@inlined
def _clear(
    row: Int, kind: Any, time: Any, ids: Any, units: Any, reward_ids: Any, actions: Any, named: Any,
    values: Any, propensities: Any,
) -> None:  # fmt: skip
    kind[row], time[row] = 0, 0
    for half in range(2):
        ids[row, half] = units[row, half] = reward_ids[row, half] = np.uint64(0)
    values[row] = propensities[row] = np.nan
    actions[row] = named[row] = -1


@inlined
def _line(
    buffer: Bytes, place: Int, row: Int, kind: Any, time: Any, ids: Any, units: Any, reward_ids: Any,
    actions: Any, named: Any, values: Any, propensities: Any, action_table: Any, name_table: Any,
    action_spans: Any, name_spans: Any, counts: Any,
) -> Int:  # fmt: skip
    """Reads one line into the columns at `row`; the end of the line, else LEFT with the row in any state."""
    stop = buffer.size
    if place + 24 > stop or load64(buffer, place) != _TYPE:
        return LEFT
    which = load64(buffer, place + 8)
    if which == _IS_DECISION:
        what, place = 1, after(buffer, place, _DECISION)
    elif which == _IS_REWARD:
        what, place = 2, after(buffer, place, _REWARD)
    elif which == _IS_OUTCOME:
        what, place = 3, after(buffer, place, _OUTCOME)
    elif which == _IS_ACTIVATION:
        what, place = 4, after(buffer, place, _ACTIVATION)
    elif which == _IS_TICK:
        what, place = 5, after(buffer, place, _TICK)
    elif which == _IS_OBSERVATION:
        what, place = 7, after(buffer, place, _OBSERVATION)
    else:
        return LEFT
    if place < 0:
        return LEFT
    stamp, place = integer(buffer, place)
    if place < 0 or stamp > 1 << 53:
        return LEFT
    kind[row], time[row] = what, stamp
    if what == 1 or what == 3:
        return _chosen(
            buffer, place, row, what == 3, ids, units, actions, values, propensities, action_table,
            action_spans, counts,
        )  # fmt: skip
    if what == 2:
        place = _own_id(buffer, place, reward_ids, row)
        if place < 0:
            return LEFT
        if word_at(buffer, place, stop) == _BY_DECISION[1]:
            place = _text(buffer, place, _BY_DECISION, ids, row)
        else:
            place = _text(buffer, place, _UNIT, units, row)
    elif what == 4:
        place = _text(buffer, place, _COMMA_DECISION, ids, row)
        return _last(buffer, place + 1) if place >= 0 else LEFT
    elif what == 5:
        return _last(buffer, place)
    else:
        place = _own_id(buffer, place, ids, row)
        if place >= 0:
            place = _text(buffer, place, _UNIT, units, row)
    if place < 0:
        return LEFT
    return _valued(buffer, place, row, what == 7, named, values, name_table, name_spans, counts)


@kernel
def scan(
    buffer: Bytes, kind: Any, time: Any, hashes: Any, numbers: Any, codes: Any, tables: Any, spans: Any,
    left: Any, counts: Any,
) -> None:  # fmt: skip
    """Reads every line it knows into columns, and names the lines it leaves. O(bytes).

    Args:
        buffer: (m,) uint8, n lines.
        kind: (n,) int8, written; 0 on rows left.
        time: (n,) int64, written.
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
    values, propensities = numbers[0], numbers[1]
    actions, named = codes[0], codes[1]
    action_table, name_table = tables[0], tables[1]
    action_spans, name_spans = spans[0], spans[1]
    place = 0
    for row in range(len(kind)):
        _clear(row, kind, time, ids, units, reward_ids, actions, named, values, propensities)
        end = _line(
            buffer, place, row, kind, time, ids, units, reward_ids, actions, named, values, propensities,
            action_table, name_table, action_spans, name_spans, counts,
        )  # fmt: skip
        if end < 0:
            _clear(row, kind, time, ids, units, reward_ids, actions, named, values, propensities)
            end = place
            while end < buffer.size and buffer[end] != 10:
                end += 1
            nth = counts[LEFT_ROWS]
            left[0, nth], left[1, nth], left[2, nth] = row, place, end
            counts[LEFT_ROWS] += 1
        place = end + 1
