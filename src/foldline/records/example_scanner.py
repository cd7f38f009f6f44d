"""A scanner of canonical examples, for the lines that `scanner` leaves: features that are numbers, booleans or texts.

It knows the lines `codec.encode` writes of examples whose labels are no texts, whose features stand in one order, and
which have at most `FEATURES` names and `WORDS` different texts among them. Every other line it leaves, as `scanner`
does.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, Int, inlined, kernel
from foldline.records.columns import Kind
from foldline.records.dictionary import index_of
from foldline.records.examples import ExampleTable, FeatureTable, Form, Texts
from foldline.records.hashing import hash_span
from foldline.records.literals import after, closed, literal, opened, value_at
from foldline.records.tokens import LEFT, string_end
from foldline.records.words import word_at

FEATURES: Final = 256
"""Names of features known at a time."""

WORDS: Final = 4_096
"""Different texts known at a time."""

LEAST_BYTES: Final = 4
"""Of a feature: two quotes, a colon and a digit."""

TAKEN, REST, VALUES, NAMES, UNEVEN, TEXTS = range(6)
"""Places in the kernel's counters: examples taken, lines left, values, names, examples with other features, texts."""

_OPENING: Final = b'{"type":"example","time":'
_START: Final = literal(_OPENING[:16])
_TIME: Final = literal(_OPENING[16:])
_ID: Final = literal(b',"id":"')
_UNIT: Final = literal(b'","unit":"')
_X: Final = literal(b'","x":{')


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
    buffer: Bytes,
    place: Int,
    names: Any,
    counts: Any,
    columns: Any,
    values: Any,
    forms: Any,
    words: Any,
    table: Any,
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
        place = end + 2
        if place < stop and buffer[place] == 34:
            end = string_end(buffer, place + 1)
            if end <= place + 1 or counts[TEXTS] == WORDS:
                return LEFT
            code = index_of(buffer, place + 1, end, table, words, counts[TEXTS], buffer)
            counts[TEXTS] += code == counts[TEXTS]
            value, form, place = float(code), np.int64(Form.TEXT), end + 1
        else:
            value, form, place = value_at(buffer, place)
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


@kernel
def _scan(
    buffer: Bytes, left: Any, kinds: Any, times: Any, ids: Any, units: Any, rows: Any, texts: Any, names: Any,
    starts: Any, columns: Any, values: Any, forms: Any, y: Any, y_forms: Any, rest: Any, words: Any, table: Any,
    counts: Any,
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
        words: (WORDS + 1, 3) int64, written: where each text among the features first stood, and its slot.
        table: (power of two above 2 WORDS,) int32, zeros, scratch.
        counts: (6,) int64, written.
    """
    counts[:] = 0
    for line in range(left.shape[1]):
        nth, known = counts[TAKEN], counts[NAMES]
        first = starts[nth] = counts[VALUES]
        end = left[2, line]
        time, id = opened(buffer, left[1, line], _START, _TIME, _ID)
        place = np.int64(LEFT)
        id_end = unit = unit_end = np.int64(0)
        if id >= 0:
            id_end = string_end(buffer, id)
            if 1 <= id_end - id <= 512:
                unit = after(buffer, id_end, _UNIT)
                if unit >= 0:
                    unit_end = string_end(buffer, unit)
                    if 1 <= unit_end - unit <= 512:
                        place = after(buffer, unit_end, _X)
        if place >= 0:
            place = _features(buffer, place, names, counts, columns, values, forms, words, table)
        if place >= 0 and closed(buffer, place, end, y, y_forms, nth):
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
    starts, rest, counts = np.empty(count + 1, np.int64), np.empty(count, np.int64), np.empty(6, np.int64)
    columns, values, forms = np.empty(most, np.int64), np.empty(most), np.empty(most, np.uint8)
    y, y_forms, words = np.empty(count), np.empty(count, np.uint8), np.empty((WORDS + 1, 3), np.int64)
    _scan(
        np.frombuffer(data, np.uint8), left, kinds, times, ids, units, rows, texts, names, starts, columns, values,
        forms, y, y_forms, rest, words, np.zeros(4 * WORDS, np.int32), counts,
    )  # fmt: skip
    taken, remaining, total, width, uneven, several = counts.tolist()
    if not taken:
        return None, left
    known, said = (
        tuple(data[start:end].decode() for start, end in spans.tolist())
        for spans in (names[:width], words[:several, :2])
    )
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
        FeatureTable(known, table, how, said),
        y[:taken],
        y_forms[:taken],
    )
    return found, np.ascontiguousarray(left[:, rest[:remaining]])
