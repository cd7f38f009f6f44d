"""A scanner of our own canonical JSON: the fast of the two ways from lines to columns.

It knows exactly the lines `codec.encode` writes of decisions, rewards, outcomes, activations, ticks and
observations without `available` or `context`: fields in order, no spaces, ASCII without escapes. Every other
line, also every faulty one, it leaves to `lines`, so that both ways give equal columns. Nothing here decides
that a line is bad.
"""

from typing import Any, Final

import numpy as np

from foldline.kernels import Bytes, Int, inlined, kernel, part
from foldline.records.dictionary import index_of
from foldline.records.grammar import (
    END,
    GOES,
    GREATEST,
    LATEST,
    LEAST,
    NUMBER,
    OPENINGS,
    OPTIONAL,
    PROBABILITY,
    PROPENSITY,
    READS,
    REWARD_ID,
    RULES,
    SIZE,
    STRING,
    TEXT,
    TYPE,
    WORDS,
    word,
)
from foldline.records.hashing import hash_span
from foldline.records.outcome_scanner import LENGTH, outcome_steps
from foldline.records.tokens import LEFT, integer, line_end, number, string_end
from foldline.records.words import load64, text_at, word_at

ACTIONS, NAMES, DEFAULT_NAME, LEFT_ROWS, START, STOP, TEXTS = range(7)
"""Places in the kernel's counters; `TEXTS` is how many bytes of actions and names are known."""

_KINDS = len(OPENINGS)
AGAIN: Final = -2
"""The place given where the line has what there is no room for."""

READ, CRAMPED, MISTOLD = range(3)
"""How a scan ends: all is read; a line has something rare, for which there is no room; a piece holds another number of
lines than was told."""

_REWARD_NAME, _SIX = np.uint64(word(b"reward")), np.uint64((1 << 48) - 1)


@kernel
def count_lines(buffer: Bytes) -> Int:
    """Lines of a (m,) uint8 buffer: newlines plus one."""
    newlines = 0
    for byte in buffer:
        newlines += byte == 10
    return newlines + 1


@part
def _opened(buffer: Bytes, place: Int) -> Any:
    """The beginning of a line as (place after its time or LEFT, kind, time)."""
    stop = buffer.size
    if place + 24 > stop or load64(buffer, place) != TYPE:
        return LEFT, 0, 0
    second = load64(buffer, place + 8)
    kind = 1
    while kind < _KINDS and OPENINGS[kind, 0] != second:
        kind += 1
    if kind == _KINDS:
        return LEFT, 0, 0
    place += np.int64(OPENINGS[kind, 1])
    if place > stop or load64(buffer, place - 16) != OPENINGS[kind, 2]:
        return LEFT, 0, 0
    if load64(buffer, place - 8) != OPENINGS[kind, 3]:
        return LEFT, 0, 0
    time, place = integer(buffer, place)
    return (place if time <= LATEST else LEFT), kind, time


@inlined
def _after(buffer: Bytes, place: Int, kind: Int, step: Int) -> Int:
    """The place after a step's literal, or LEFT where the buffer holds another text."""
    stop = buffer.size
    size = RULES[kind, step, SIZE]
    if word_at(buffer, place, stop) & WORDS[kind, step, 1] != WORDS[kind, step, 0] or place + size > stop:
        return LEFT
    if size > 8 and load64(buffer, place + size - 8) != WORDS[kind, step, 2]:
        return LEFT
    return place + size


@inlined
def _steps(
    buffer: Bytes, place: Int, kind: Int, row: Int, hashes: Any, numbers: Any, rare: Any, counts: Any
) -> Int:  # fmt: skip
    """Follows the steps of a kind into the row; the place after the last one, else LEFT or AGAIN with any row."""
    step = np.int64(0)
    while RULES[kind, step, READS] != END:
        start = _after(buffer, place, kind, step)
        reads, goes, greatest = RULES[kind, step, READS], RULES[kind, step, GOES], RULES[kind, step, GREATEST]
        if start < 0:
            if not RULES[kind, step, OPTIONAL]:
                return LEFT
        elif reads == STRING:
            place = string_end(buffer, start)
            if place < start + RULES[kind, step, LEAST] or place - start > greatest:
                return LEFT
            if goes < REWARD_ID:
                hashes[goes, row, 0], hashes[goes, row, 1] = hash_span(buffer, start, place)
            elif goes < TEXT:
                if row >= rare.name.size:
                    return AGAIN
                which = goes - REWARD_ID
                rare.hashes[which, row, 0], rare.hashes[which, row, 1] = hash_span(buffer, start, place)
            elif goes == TEXT:
                counts[START], counts[STOP] = start, place
        elif reads == NUMBER:
            value, place = number(buffer, start)
            if place < 0 or (goes >= PROPENSITY and not 0.0 <= value <= 1.0):
                return LEFT
            if goes < PROBABILITY:
                numbers[goes, row] = value
            elif row < rare.name.size:
                rare.probability[row] = value
            else:
                return AGAIN
        else:
            whole, place = integer(buffer, start)
            if place < 0 or whole > greatest:
                return LEFT
        step += 1
    return place


@part
def _end(buffer: Bytes, place: Int) -> Int:
    """The end of a line whose closing brace is at `place`, else LEFT."""
    stop = buffer.size
    if place < stop and buffer[place] == 125 and (place + 1 == stop or buffer[place + 1] == 10):
        return place + 1
    return LEFT


@part
def _clear(row: Int, hashes: Any, numbers: Any, actions: Any) -> None:
    for which in range(2):
        hashes[which, row, 0] = hashes[which, row, 1] = np.uint64(0)
    numbers[0, row] = numbers[1, row] = np.nan
    actions[row] = -1


@part
def _clear_rare(row: Int, rare: Any) -> None:
    if row < rare.name.size:
        for which in range(3):
            rare.hashes[which, row, 0] = rare.hashes[which, row, 1] = np.uint64(0)
        rare.probability[row], rare.name[row] = np.nan, -1


@part
def _index(buffer: Bytes, table: Any, spans: Any, texts: Any, counts: Any, which: Int) -> Int:
    """The index of the line's action or name; the name `reward`, written or not, has the span (0, 0)."""
    start, stop = counts[START], counts[STOP]
    plain = stop - start == 6 and word_at(buffer, start, buffer.size) & _SIX == _REWARD_NAME
    if which == NAMES and (stop == 0 or plain):
        if counts[DEFAULT_NAME] < 0:
            counts[DEFAULT_NAME] = counts[NAMES]
            spans[counts[NAMES], 0] = spans[counts[NAMES], 1] = spans[counts[NAMES], 2] = 0
            counts[NAMES] += 1
        return counts[DEFAULT_NAME]
    found = index_of(buffer, start, stop, table, spans, counts[which], texts)
    if found == counts[which]:
        counts[which] += 1
        first = counts[TEXTS]
        for place in range(start, stop):
            texts[first + place - start] = buffer[place]
        counts[TEXTS] += stop - start
        spans[found, 0], spans[found, 1] = first, counts[TEXTS]
    return found


@inlined
def _line(
    buffer: Bytes, place: Int, row: Int, kinds: Any, times: Any, hashes: Any, numbers: Any, actions: Any, rare: Any,
    tables: Any, spans: Any, texts: Any, counts: Any, before: Any, values: Any,
) -> Int:  # fmt: skip
    """Reads one line into its row; the place after it, LEFT with the row clear, or AGAIN with any row."""
    counts[START], counts[STOP] = 0, 0
    end, kind, time = _opened(buffer, place)
    if end >= 0:
        if kind == 3:
            end = outcome_steps(buffer, end, row, hashes, numbers, counts[START : STOP + 1], before, values)
        else:
            _clear(row, hashes, numbers, actions)
            end = _steps(buffer, end, kind, row, hashes, numbers, rare, counts)
    if end >= 0:
        # Only an activation ends with a string, whose closing quote is still to be passed.
        end = _end(buffer, end + (kind == 4))
    if kind == 2 and end >= 0 and (hashes[0, row, 0] == 0) == (hashes[1, row, 0] == 0):
        end = LEFT
    named = kind == 2 or kind == 7
    if end >= 0 and named and row >= rare.name.size:
        end = AGAIN
    if end >= 0 and (named or kind == 1 or kind == 3):
        which = np.int64(NAMES if named else ACTIONS)
        code = _index(buffer, tables[which], spans[which], texts, counts, which)
        if named:
            rare.name[row] = code
        else:
            actions[row] = code
    if end == LEFT:
        kind = time = np.int64(0)
        _clear(row, hashes, numbers, actions)
        _clear_rare(row, rare)
    kinds[row], times[row] = kind, time
    return end


@inlined
def _lines(
    addresses: Any, sizes: Any, told: Any, kinds: Any, times: Any, hashes: Any, numbers: Any, actions: Any, rare: Any,
    tables: Any, spans: Any, texts: Any, left: Any, counts: Any, before: Any, values: Any,
) -> Any:  # fmt: skip
    """See `scan`."""
    row = base = np.int64(0)  # a literal would have what it is passed to compiled once more, for itself
    for piece in range(len(addresses)):
        buffer = text_at(addresses[piece], sizes[piece])
        for which in range(len(before)):
            before[which, LENGTH] = 0
        first, place = row, np.int64(0)
        while place <= buffer.size and row < len(kinds):
            end = _line(
                buffer, place, row, kinds, times, hashes, numbers, actions, rare, tables, spans, texts, counts, before,
                values,
            )  # fmt: skip
            if end == AGAIN:
                return CRAMPED
            if end < 0:
                end = line_end(buffer, place)
                nth = counts[LEFT_ROWS]
                left[0, nth], left[1, nth], left[2, nth] = row, base + place, base + end
                counts[LEFT_ROWS] += 1
            place = end + 1
            row += 1
        if len(told) > 0 and (row - first != told[piece] or place <= buffer.size):
            return MISTOLD
        base += buffer.size + 1
    return READ


@kernel
def scan(
    addresses: Any, sizes: Any, told: Any, kinds: Any, times: Any, hashes: Any, numbers: Any, actions: Any, rare: Any,
    tables: Any, spans: Any, texts: Any, left: Any, counts: Any, before: Any, values: Any,
) -> Any:  # fmt: skip
    """Reads every line it knows into columns, and names the lines it leaves. O(bytes).

    Returns:
        `READ`; `CRAMPED` where `rare` must have rows; `MISTOLD`.

    Args:
        addresses: (k,) int64, see `Pieces`; n lines in all.
        sizes: (k,) int64, likewise.
        told: (k,) int64, likewise, or (0,).
        kinds: (n,) int8, written; 0 on rows left.
        times: (n,) int64, written; likewise.
        hashes: (2, n, 2) uint64, written: id, unit; zeros where there is none.
        numbers: (2, n) float64, written: value, propensity; NaN where there is none.
        actions: (n,) int32, written; -1 where there is none.
        rare: a `Rare` of n rows, written, or of none.
        tables: (2, power of two above 2 n) int32, zeros before and after.
        spans: (2, n, 3) int64, written: where among the texts each action and name stands; (0, 0) is the name `reward`.
        texts: uint8, as large as all pieces, written: actions and names, each once.
        left: (3, n) int64, written: row, start and end of each line left, as the pieces are when joined.
        counts: (7,) int64, written: actions, names, code of the default name or -1, rows left, scratch, bytes of texts.
        before: (3, 2) int64, scratch; see `outcome_steps`.
        values: (2,) float64, scratch.
    """
    for nth in range(len(counts)):
        counts[nth] = 0
    counts[DEFAULT_NAME] = -1
    ended = _lines(
        addresses, sizes, told, kinds, times, hashes, numbers, actions, rare, tables, spans, texts, left, counts,
        before, values,
    )  # fmt: skip
    # Cleared where something was entered: to clear the whole table for each batch would take longer than to use it.
    for which in range(2):
        for nth in range(counts[which]):
            tables[which, spans[which, nth, 2]] = 0
    return ended
