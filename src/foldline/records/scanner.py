"""A scanner of our own canonical JSON: the fast of the two ways from lines to columns.

It knows exactly the lines `codec.encode` writes of decisions, rewards, outcomes, activations, ticks and
observations without `available` or `context`: fields in order, no spaces, ASCII without escapes. Every other
line, also every faulty one, it leaves to `lines`, so that both ways give equal columns. Nothing here decides
that a line is bad.
"""

from typing import Any

import numpy as np
from numba import njit

from foldline.records.decimals import to_float
from foldline.records.hashing import hash_span
from foldline.records.words import load64, low_zeros, word_at

LEFT = -1
"""Where a line cannot be read further: it is left to the slower way."""

ACTIONS, NAMES, DEFAULT_NAME, LEFT_ROWS = range(4)
"""Places in the kernel's counters."""


def _literal(text: bytes) -> tuple[np.uint64, ...]:
    """A literal of 8 bytes or more as its length and overlapping words, the last one ending with it."""
    places = [*range(0, len(text) - 8, 8), len(text) - 8]
    words = [int.from_bytes(text[place : place + 8], "little") for place in places]
    return tuple(np.uint64(word) for word in [len(text), *words])


def _short(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_TYPE = _literal(b'{"type":')[1]
_DECISION = _literal(b'{"type":"decision","time":')
_OUTCOME = _literal(b'{"type":"outcome","time":')
_REWARD = _literal(b'{"type":"reward","time":')
_ACTIVATION = _literal(b'{"type":"activation","time":')
_TICK = _literal(b'{"type":"tick","time":')
_OBSERVATION = _literal(b'{"type":"observation","time":')
_IS_DECISION, _IS_REWARD, _IS_OUTCOME = _DECISION[2], _REWARD[2], _OUTCOME[2]
_IS_ACTIVATION, _IS_TICK, _IS_OBSERVATION = _ACTIVATION[2], _TICK[2], _OBSERVATION[2]
_COMMA_DECISION = _literal(b',"decision":"')
_UNIT = _literal(b'","unit":"')
_ACTION = _literal(b'","action":"')
_PROPENSITY = _literal(b'","propensity":')
_COMMA_REWARD = _literal(b',"reward":')
_BUNDLE = _literal(b',"bundle":"')
_DEFINITION = _literal(b'","definition":')
_BY_DECISION = _literal(b'","decision":"')
_NAME = _literal(b'","name":"')
_VALUE = _literal(b'","value":')
_OCCURRED = _literal(b',"occurred":')
_ID = _short(b',"id":"')
_LOW_7 = np.uint64((1 << 56) - 1)
_LOW_6 = np.uint64((1 << 48) - 1)
_REWARD_NAME = _short(b"reward")

_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_QUOTES = _ONES * np.uint64(0x22)
_SLASHES = _ONES * np.uint64(0x5C)
_SPACES = _ONES * np.uint64(0x20)
_ZEROS = _ONES * np.uint64(0x30)
_SIXES = _ONES * np.uint64(0x46)
_TEN = np.uint64(10)


@njit(cache=True, _nrt=False)
def count_lines(buffer: Any) -> int:
    """Lines of a (m,) uint8 buffer: newlines plus one."""
    newlines = 0
    for byte in buffer:
        newlines += byte == 10
    return newlines + 1


@njit(cache=True, forceinline=True, _nrt=False)
def _after(buffer: Any, place: int, literal: Any) -> int:
    """The place after the literal, or LEFT where the buffer holds another text."""
    size = np.int64(literal[0])
    if place + size > buffer.size:
        return LEFT
    for k in range(1, len(literal) - 1):
        if load64(buffer, place + 8 * (k - 1)) != literal[k]:
            return LEFT
    if load64(buffer, place + size - 8) != literal[-1]:
        return LEFT
    return place + size


@njit(cache=True, _nrt=False)
def _string_end(buffer: Any, place: int) -> int:
    """The place of the closing quote of an ASCII string without escapes, else LEFT."""
    stop = buffer.size
    while place < stop:
        word = word_at(buffer, place, stop)
        quote, slash = word ^ _QUOTES, word ^ _SLASHES
        # Bit 8k + 7 is set at the first quote, backslash, control character or byte from 128 on.
        ends = ((quote - _ONES) & ~quote) | ((slash - _ONES) & ~slash) | ((word - _SPACES) & ~word) | word
        ends &= _TOPS
        if ends:
            place += np.int64(low_zeros(ends) >> np.uint64(3))
            if place < stop and buffer[place] == 34:
                return place
            return LEFT
        place += 8
    return LEFT


@njit(cache=True, forceinline=True, _nrt=False)
def _eight_digits(word: Any) -> Any:
    """The number of eight ASCII digits; the caller has checked that they are (Lemire 2018)."""
    word = (word - _ZEROS) * _TEN + ((word - _ZEROS) >> np.uint64(8))
    low = (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    high = ((word >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return (low + high) >> np.uint64(32)


@njit(cache=True, forceinline=True, _nrt=False)
def _digits(buffer: Any, place: int, number: Any) -> Any:
    """Appends the digits at `place` to `number`; (number, the place after them). May wrap round."""
    stop = buffer.size
    while place + 8 <= stop:
        word = load64(buffer, place)
        if ((word + _SIXES) | (word - _ZEROS)) & _TOPS:
            break
        number = number * np.uint64(100_000_000) + _eight_digits(word)
        place += 8
    while place < stop:
        digit = np.uint64(buffer[place]) - np.uint64(48)
        if digit > np.uint64(9):
            break
        number = number * _TEN + digit
        place += 1
    return number, place


@njit(cache=True, _nrt=False)
def _integer(buffer: Any, place: int) -> Any:
    """A whole number of at most 18 digits without sign or leading zero as (int64, place after it)."""
    number, end = _digits(buffer, place, np.uint64(0))
    if end == place or end - place > 18 or (end - place > 1 and buffer[place] == 48):
        return np.int64(0), np.int64(LEFT)
    return np.int64(number), np.int64(end)


@njit(cache=True, _nrt=False)
def _float(buffer: Any, place: int) -> Any:
    """A JSON number as (float64, place after it), rounded as `float()` does, else LEFT."""
    stop = buffer.size
    left = 0.0, np.int64(LEFT)
    negative = place < stop and buffer[place] == 45
    place += negative
    digits, end = _digits(buffer, place, np.uint64(0))
    size = end - place
    if size == 0 or (size > 1 and buffer[place] == 48):
        return left
    if digits == np.uint64(0):
        size = 0
    power = 0
    if end < stop and buffer[end] == 46:
        start = end + 1
        digits, end = _digits(buffer, start, digits)
        power = start - end
        if power == 0:
            return left
        size -= power
        if size > 19:
            # Zeros before the first other digit do not count against what 64 bits hold.
            while size > 19 and start < end and buffer[start] == 48 and size == end - start:
                size -= 1
                start += 1
    if size > 19:
        return left
    if end < stop and (buffer[end] | 32) == 101:
        end += 1
        minus = end < stop and buffer[end] == 45
        end += minus or (end < stop and buffer[end] == 43)
        exponent, last = _digits(buffer, end, np.uint64(0))
        if last == end or last - end > 4:
            return left
        power += -np.int64(exponent) if minus else np.int64(exponent)
        end = last
    # msgspec reads -0 as 0.0 but -0.0 as -0.0: such zeros are its own to judge.
    if negative and digits == np.uint64(0):
        return left
    ok, value = to_float(digits, power)
    if not ok:
        return left
    return (-value if negative else value), np.int64(end)


@njit(cache=True, _nrt=False)
def _index_of(buffer: Any, start: int, end: int, table: Any, spans: Any, count: int) -> int:
    """The index of a text in a batch-local dictionary; equal to `count` where it is new, and then added.

    Args:
        buffer: (m,) uint8.
        start: first byte of the text.
        end: the byte after its last.
        table: (power of two,) int32, open addressing, holding index + 1; more than half stays free.
        spans: (at least count + 1, 2) int64, start and end of each text known.
        count: how many are known.
    """
    size = end - start
    stop = buffer.size
    keep = ~np.uint64(0) >> np.uint64(8 * (8 - min(size, 8)))
    head = word_at(buffer, start, stop) & keep
    tail = load64(buffer, end - 8) if size > 8 else head
    mixed = (head ^ (tail * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(size)) * np.uint64(0xC4CEB9FE1A85EC53)
    mask = len(table) - 1
    slot = np.int64(mixed >> np.uint64(33)) & mask
    while table[slot]:
        known = table[slot] - 1
        other = spans[known, 0]
        if spans[known, 1] - other == size and _same(buffer, start, other, size, head, keep, stop):
            return known
        slot = (slot + 1) & mask
    spans[count, 0], spans[count, 1] = start, end
    table[slot] = count + 1
    return count


@njit(cache=True, forceinline=True, _nrt=False)
def _same(buffer: Any, start: int, other: int, size: int, head: Any, keep: Any, stop: int) -> bool:
    if word_at(buffer, other, stop) & keep != head:
        return False
    place = 8
    while place + 8 <= size:
        if load64(buffer, start + place) != load64(buffer, other + place):
            return False
        place += 8
    return size <= 8 or load64(buffer, start + size - 8) == load64(buffer, other + size - 8)


@njit(cache=True, _nrt=False)
def _id_end(buffer: Any, place: int, longest: int) -> int:
    """The closing quote of a string of 1 to `longest` characters, else LEFT."""
    end = _string_end(buffer, place)
    return end if place < end <= place + longest else LEFT


@njit(cache=True, forceinline=True, _nrt=False)
def _store(buffer: Any, start: int, end: int, out: Any, row: int) -> None:
    out[row, 0], out[row, 1] = hash_span(buffer, start, end)


@njit(cache=True, _nrt=False)
def _last(buffer: Any, place: int) -> int:
    """The end of the line after an optional `occurred`, else LEFT."""
    stop = buffer.size
    if place < stop and buffer[place] == 44:
        place = _after(buffer, place, _OCCURRED)
        if place < 0:
            return LEFT
        occurred, place = _integer(buffer, place)
        if place < 0 or occurred > 1 << 53:
            return LEFT
    if place < stop and buffer[place] == 125 and (place + 1 == stop or buffer[place + 1] == 10):
        return place + 1
    return LEFT


@njit(cache=True, _nrt=False)
def _own_id(buffer: Any, place: int, out: Any, row: int) -> int:
    """Reads `,"id":"…` into `out`; the place of the closing quote, else LEFT."""
    if word_at(buffer, place, buffer.size) & _LOW_7 != _ID:
        return LEFT
    end = _id_end(buffer, place + 7, 512)
    if end >= 0:
        _store(buffer, place + 7, end, out, row)
    return end


@njit(cache=True, _nrt=False)
def _text(buffer: Any, place: int, literal: Any, out: Any, row: int) -> int:
    """Reads an id or unit after its literal into `out`; the place of the closing quote, else LEFT."""
    start = _after(buffer, place, literal)
    if start < 0:
        return LEFT
    end = _id_end(buffer, start, 512)
    if end >= 0:
        _store(buffer, start, end, out, row)
    return end


@njit(cache=True, _nrt=False)
def _chosen(
    buffer: Any, place: int, row: int, outcome: bool, ids: Any, units: Any, actions: Any, values: Any,
    propensities: Any, table: Any, spans: Any, counts: Any,
) -> int:  # fmt: skip
    """Reads a decision or outcome after its time; the end of the line, else LEFT."""
    place = _own_id(buffer, place, ids, row)
    if place < 0:
        return LEFT
    place = _text(buffer, place, _UNIT, units, row)
    if place < 0:
        return LEFT
    start = _after(buffer, place, _ACTION)
    if start < 0:
        return LEFT
    stop = _id_end(buffer, start, 256)
    if stop < 0:
        return LEFT
    place = _after(buffer, stop, _PROPENSITY)
    if place < 0:
        return LEFT
    propensity, place = _float(buffer, place)
    if place < 0 or not 0.0 <= propensity <= 1.0:
        return LEFT
    propensities[row] = propensity
    if outcome:
        place = _after(buffer, place, _COMMA_REWARD)
        if place < 0:
            return LEFT
        values[row], place = _float(buffer, place)
        if place < 0:
            return LEFT
    place = _after(buffer, place, _BUNDLE)
    if place < 0:
        return LEFT
    place = _string_end(buffer, place)
    if place < 0:
        return LEFT
    place = _after(buffer, place, _DEFINITION)
    if place < 0:
        return LEFT
    place = _integer(buffer, place)[1]
    if place < 0:
        return LEFT
    place = _last(buffer, place)
    if place >= 0:
        code = _index_of(buffer, start, stop, table, spans, counts[ACTIONS])
        counts[ACTIONS] += code == counts[ACTIONS]
        actions[row] = code
    return place


@njit(cache=True, _nrt=False)
def _valued(
    buffer: Any, place: int, row: int, needs_name: bool, named: Any, values: Any, table: Any, spans: Any,
    counts: Any,
) -> int:  # fmt: skip
    """Reads name, value and what follows of a reward or (needing a name) observation; the end of the line, else LEFT."""
    start = stop = 0
    if word_at(buffer, place, buffer.size) == _NAME[1]:
        start = _after(buffer, place, _NAME)
        if start < 0:
            return LEFT
        stop = _id_end(buffer, start, 256)
        if stop < 0:
            return LEFT
        place = stop
    elif needs_name:
        return LEFT
    place = _after(buffer, place, _VALUE)
    if place < 0:
        return LEFT
    values[row], place = _float(buffer, place)
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
        code = _index_of(buffer, start, stop, table, spans, counts[NAMES])
        counts[NAMES] += code == counts[NAMES]
        named[row] = code
    return place


@njit(cache=True, forceinline=True, _nrt=False)
def _clear(
    row: int, kind: Any, time: Any, ids: Any, units: Any, reward_ids: Any, actions: Any, named: Any,
    values: Any, propensities: Any,
) -> None:  # fmt: skip
    kind[row], time[row] = 0, 0
    for half in range(2):
        ids[row, half] = units[row, half] = reward_ids[row, half] = np.uint64(0)
    values[row] = propensities[row] = np.nan
    actions[row] = named[row] = -1


@njit(cache=True, forceinline=True, _nrt=False)
def _line(
    buffer: Any, place: int, row: int, kind: Any, time: Any, ids: Any, units: Any, reward_ids: Any,
    actions: Any, named: Any, values: Any, propensities: Any, action_table: Any, name_table: Any,
    action_spans: Any, name_spans: Any, counts: Any,
) -> int:  # fmt: skip
    """Reads one line into the columns at `row`; the end of the line, else LEFT with the row in any state."""
    stop = buffer.size
    if place + 24 > stop or load64(buffer, place) != _TYPE:
        return LEFT
    which = load64(buffer, place + 8)
    if which == _IS_DECISION:
        what, place = 1, _after(buffer, place, _DECISION)
    elif which == _IS_REWARD:
        what, place = 2, _after(buffer, place, _REWARD)
    elif which == _IS_OUTCOME:
        what, place = 3, _after(buffer, place, _OUTCOME)
    elif which == _IS_ACTIVATION:
        what, place = 4, _after(buffer, place, _ACTIVATION)
    elif which == _IS_TICK:
        what, place = 5, _after(buffer, place, _TICK)
    elif which == _IS_OBSERVATION:
        what, place = 7, _after(buffer, place, _OBSERVATION)
    else:
        return LEFT
    if place < 0:
        return LEFT
    stamp, place = _integer(buffer, place)
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


@njit(cache=True, _nrt=False)
def scan(
    buffer: Any, kind: Any, time: Any, hashes: Any, numbers: Any, codes: Any, tables: Any, spans: Any,
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
        left: (n, 3) int64, written: row, start and end of each line left.
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
            number = counts[LEFT_ROWS]
            left[number, 0], left[number, 1], left[number, 2] = row, place, end
            counts[LEFT_ROWS] += 1
        place = end + 1
