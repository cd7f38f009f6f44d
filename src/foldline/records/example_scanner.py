"""A scanner of canonical examples, for the lines that `scanner` leaves: features that are numbers or booleans.

It knows the lines `codec.encode` writes of examples whose features and labels are no texts, whose features stand in one
order, and which have at most `FEATURES` names among them. Every other line it leaves, as `scanner` does.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, Int, inlined, kernel, part
from foldline.records.columns import Kind
from foldline.records.examples import ExampleTable, FeatureTable, Form, Texts
from foldline.records.grammar import LATEST, word
from foldline.records.hashing import hash_span
from foldline.records.tokens import LEFT, integer, number, string_end
from foldline.records.words import load64, word_at

FEATURES: Final = 256
"""Names of features known at a time."""

LEAST_BYTES: Final = 4
"""Of a feature: two quotes, a colon and a digit."""

TAKEN, REST, VALUES, NAMES, UNEVEN = range(5)
"""Places in the kernel's counters: examples taken, lines left, values, names, examples with other features."""

_OPENING: Final = b'{"type":"example","time":'
_TRUE, _FALSE = np.uint64(word(b"true")), np.uint64(word(b"false"))
_FOUR, _FIVE = np.uint64((1 << 32) - 1), np.uint64((1 << 40) - 1)


class _Literal(NamedTuple):
    """A text of at most 16 bytes: its first eight, their mask, its last eight."""

    size: Any
    first: Any
    mask: Any
    last: Any


def _literal(text: bytes) -> _Literal:
    head = text[:8]
    return _Literal(
        np.int64(len(text)),
        np.uint64(word(head)),
        np.uint64(word(b"\xff" * len(head))),
        np.uint64(word(text[-8:])),
    )


_START: Final = _literal(_OPENING[:16])
_TIME: Final = _literal(_OPENING[16:])
_ID: Final = _literal(b',"id":"')
_UNIT: Final = _literal(b'","unit":"')
_X: Final = _literal(b'","x":{')
_Y: Final = _literal(b',"y":')
_OCCURRED: Final = _literal(b',"occurred":')


@inlined
def _after(buffer: Bytes, place: Int, literal: Any) -> Int:
    """The place after the literal, or LEFT where the buffer holds another text."""
    stop = buffer.size
    if place + literal[0] > stop or word_at(buffer, place, stop) & literal[2] != literal[1]:
        return LEFT
    if literal[0] > 8 and load64(buffer, place + literal[0] - 8) != literal[3]:
        return LEFT
    return place + literal[0]


@part
def _value(buffer: Bytes, place: Int) -> Any:
    """A number or a boolean as (float64, form, place after it), else LEFT."""
    left = 0.0, np.int64(Form.ABSENT), np.int64(LEFT)
    stop = buffer.size
    text = word_at(buffer, place, stop)
    if text & _FOUR == _TRUE:
        return 1.0, np.int64(Form.TRUE), place + 4
    if text & _FIVE == _FALSE:
        return 0.0, np.int64(Form.FALSE), place + 5
    minus = place < stop and buffer[place] == 45
    whole, end = integer(buffer, place + minus)
    if end < 0:
        return left
    if end == stop or (buffer[end] != 46 and buffer[end] | 32 != 101):
        # Greater ones a float64 would round.
        if whole > LATEST or (minus and whole == 0):
            return left
        return float(-whole if minus else whole), np.int64(Form.INTEGER), end
    value, end = number(buffer, place)
    return (value, np.int64(Form.FLOAT), end) if end >= 0 else left


@inlined
def _is(buffer: Bytes, start: Int, size: Int, other: Int) -> Any:
    """Whether the text at `start` is that at `other`."""
    stop = buffer.size
    place = np.int64(0)
    while place < size:
        keep = ~np.uint64(0) >> np.uint64(8 * (8 - min(size - place, 8)))
        if (word_at(buffer, start + place, stop) ^ word_at(buffer, other + place, stop)) & keep:
            return False
        place += 8
    return True


@inlined
def _column(buffer: Bytes, start: Int, end: Int, names: Any, counts: Any, column: Int) -> Int:
    """The column of a feature's name, from `column` on; a new one is added, LEFT where there is no room."""
    size = end - start
    while column < counts[NAMES]:
        if names[column, 1] - names[column, 0] == size and _is(buffer, start, size, names[column, 0]):
            return column
        column += 1
    # A name that stands before would be out of order, or twice in one example.
    for known in range(counts[NAMES]):
        if names[known, 1] - names[known, 0] == size and _is(buffer, start, size, names[known, 0]):
            return LEFT
    if counts[NAMES] == len(names):
        return LEFT
    names[column, 0], names[column, 1] = start, end
    counts[NAMES] += 1
    return column


@inlined
def _features(
    buffer: Bytes, place: Int, names: Any, counts: Any, columns: Any, values: Any, forms: Any
) -> Int:
    """Reads the features from the opening brace on; the place after the closing one, else LEFT."""
    stop = buffer.size
    if place < stop and buffer[place] == 125:
        return place + 1
    column, at = np.int64(-1), counts[VALUES]
    while True:
        if place >= stop or buffer[place] != 34:
            return LEFT
        end = string_end(buffer, place + 1)
        if end < 0 or end + 1 >= stop or buffer[end + 1] != 58:
            return LEFT
        column = _column(buffer, place + 1, end, names, counts, column + 1)
        if column < 0:
            return LEFT
        value, form, place = _value(buffer, end + 2)
        if place < 0 or place >= stop:
            return LEFT
        columns[at], values[at], forms[at] = column, value, form
        at += 1
        if buffer[place] == 125:
            counts[VALUES] = at
            return place + 1
        if buffer[place] != 44:
            return LEFT
        place += 1


@inlined
def _opened(buffer: Bytes, place: Int) -> Any:
    """The beginning of an example as (time, place of its id), else LEFT."""
    place = _after(buffer, place, _START)
    if place >= 0:
        place = _after(buffer, place, _TIME)
    if place < 0:
        return np.int64(0), np.int64(LEFT)
    time, place = integer(buffer, place)
    if place >= 0:
        place = _after(buffer, place, _ID)
    return time, (np.int64(LEFT) if time > LATEST else place)


@inlined
def _closed(buffer: Bytes, place: Int, end: Int, y: Any, y_forms: Any, nth: Int) -> Any:
    """Reads what comes after the features; whether the line ends there."""
    y[nth], y_forms[nth] = np.nan, Form.ABSENT
    after = _after(buffer, place, _Y)
    if after >= 0:
        value, form, place = _value(buffer, after)
        if place < 0:
            return False
        y[nth], y_forms[nth] = value, form
    after = _after(buffer, place, _OCCURRED)
    if after >= 0:
        time, place = integer(buffer, after)
        if place < 0 or time > LATEST:
            return False
    return place + 1 == end and buffer[place] == 125


@kernel
def _scan(
    buffer: Bytes, left: Any, kinds: Any, times: Any, ids: Any, units: Any, rows: Any, texts: Any, names: Any,
    starts: Any, columns: Any, values: Any, forms: Any, y: Any, y_forms: Any, rest: Any, counts: Any,
) -> None:  # fmt: skip
    """Reads the examples it knows among the lines left. O(bytes).

    Args:
        buffer: (m,) uint8.
        left: (3, n) int64, row, start and end of each line.
        kinds: written at the rows of examples; likewise `times`, and `ids` and `units` with their hashes.
        times: (rows,) int64.
        ids: (rows, 2) uint64.
        units: (rows, 2) uint64.
        rows: (n,) int64, written: the row of each example taken.
        texts: (n, 4) int64, written: start and end of its id and of its unit.
        names: (most, 2) int64, written: where each feature's name first stood.
        starts: (n + 1,) int64, written: the first value of each example.
        columns: (most values,) int64, written: each value's column; likewise `values` and `forms`.
        values: (most values,) float64.
        forms: (most values,) uint8.
        y: (n,) float64, written: labels; likewise `y_forms`.
        y_forms: (n,) uint8.
        rest: (n,) int64, written: which lines are left.
        counts: (5,) int64, written.
    """
    counts[:] = 0
    for line in range(left.shape[1]):
        nth, known = counts[TAKEN], counts[NAMES]
        first = starts[nth] = counts[VALUES]
        end = left[2, line]
        time, id = _opened(buffer, left[1, line])
        place = np.int64(LEFT)
        id_end = unit = unit_end = np.int64(0)
        if id >= 0:
            id_end = string_end(buffer, id)
            if 1 <= id_end - id <= 512:
                unit = _after(buffer, id_end, _UNIT)
                if unit >= 0:
                    unit_end = string_end(buffer, unit)
                    if 1 <= unit_end - unit <= 512:
                        place = _after(buffer, unit_end, _X)
        if place >= 0:
            place = _features(buffer, place, names, counts, columns, values, forms)
        if place >= 0 and _closed(buffer, place, end, y, y_forms, nth):
            row = left[0, line]
            kinds[row], times[row], rows[nth] = Kind.EXAMPLE, time, row
            ids[row, 0], ids[row, 1] = hash_span(buffer, id, id_end)
            units[row, 0], units[row, 1] = hash_span(buffer, unit, unit_end)
            texts[nth, 0], texts[nth, 1], texts[nth, 2], texts[nth, 3] = id, id_end, unit, unit_end
            counts[UNEVEN] += counts[NAMES] != counts[VALUES] - first
            counts[TAKEN] += 1
        else:
            rest[counts[REST]] = line
            counts[REST] += 1
            counts[VALUES], counts[NAMES] = first, known
    starts[counts[TAKEN]] = counts[VALUES]


def scan_examples(
    data: bytes,
    left: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int8],
    times: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
    units: npt.NDArray[np.uint64],
) -> tuple[ExampleTable | None, npt.NDArray[np.int64]]:
    """The examples among lines left by the scanner, and the lines that are left then.

    Args:
        data: newline-joined lines.
        left: (3, n) row, start and end of each.
        kinds: of the batch, written at the rows of examples; likewise the others.
        times: milliseconds.
        ids: (rows, 2) hashes.
        units: (rows, 2) hashes.
    """
    count, most = left.shape[1], int((left[2] - left[1]).sum()) // LEAST_BYTES
    rows, texts, names = (
        np.empty(count, np.int64),
        np.empty((count, 4), np.int64),
        np.empty((FEATURES, 2), np.int64),
    )
    starts, rest, counts = np.empty(count + 1, np.int64), np.empty(count, np.int64), np.empty(5, np.int64)
    columns, values, forms = np.empty(most, np.int64), np.empty(most), np.empty(most, np.uint8)
    y, y_forms = np.empty(count), np.empty(count, np.uint8)
    _scan(
        np.frombuffer(data, np.uint8), left, kinds, times, ids, units, rows, texts, names, starts, columns, values,
        forms, y, y_forms, rest, counts,
    )  # fmt: skip
    taken, remaining, total, width, uneven = counts.tolist()
    if not taken:
        return None, left
    known = tuple(data[start:end].decode() for start, end in names[:width].tolist())
    if uneven or total != taken * width:
        table, how = np.full((taken, width), np.nan), np.zeros((taken, width), np.uint8)
        at = np.repeat(np.arange(taken), np.diff(starts[: taken + 1])), columns[:total]
        table[at], how[at] = values[:total], forms[:total]
    else:
        table, how = values[:total].reshape(taken, width).copy(), forms[:total].reshape(taken, width).copy()
    found = ExampleTable(
        rows[:taken],
        Texts(data, texts[:taken, :2]),
        Texts(data, texts[:taken, 2:]),
        FeatureTable(known, table, how),
        y[:taken],
        y_forms[:taken],
    )
    return found, np.ascontiguousarray(left[:, rest[:remaining]])
