"""The steps of an outcome written out: most lines of most logs are outcomes, and looking steps up costs more.

It follows `grammar.STEPS[Kind.OUTCOME]`, as `scanner` does by the table, and reads the same from the same lines.
"""

from typing import Any, Final

import numpy as np

from foldline.kernels import Bytes, Int, inlined
from foldline.records.columns import Kind
from foldline.records.grammar import ID, LATEST, PROPENSITY, STEPS, UNIT, VALUE
from foldline.records.hashing import hash_span
from foldline.records.literals import after, literal
from foldline.records.tokens import LEFT, integer, number, string_end
from foldline.records.words import load64

PLACE, LENGTH = range(2)
"""Where a number stood in the line before, and its length; 0 where it cannot be gone back to."""

_ID, _UNIT, _ACTION, _PROPENSITY, _REWARD, _BUNDLE, _DEFINITION, _OCCURRED = (
    literal(step.literal) for step in STEPS[Kind.OUTCOME]
)
_LONGEST_ID, _LONGEST_UNIT, _LONGEST_ACTION = (step.greatest for step in STEPS[Kind.OUTCOME][:3])
_VERSION: Final = 2
"""Where the definition's version stands beside value and propensity among what stood in the line before."""

_LEAST: Final = 16
"""Bytes that stand at least between the beginning of any literal but the last and the end of the line."""


@inlined
def _past(buffer: Bytes, place: Int, wanted: Any) -> Int:
    """The place after a literal, or LEFT: `after` for where more must follow than a literal may have."""
    if place + _LEAST > buffer.size or load64(buffer, place) & wanted[2] != wanted[1]:
        return LEFT
    if wanted[0] > 8 and load64(buffer, place + wanted[0] - 8) != wanted[3]:
        return LEFT
    return place + wanted[0]


@inlined
def _text(buffer: Bytes, place: Int, wanted: Any, longest: Int) -> Any:
    """Where the text after a literal starts and ends; LEFT for one that is empty, too long, or not there."""
    start, end = _past(buffer, place, wanted), np.int64(LEFT)
    if start >= 0:
        end = string_end(buffer, start)
        if end <= start or end - start > longest:
            start = np.int64(LEFT)
    return start, end


@inlined
def _number(buffer: Bytes, start: Int, which: Int, before: Any, values: Any) -> Any:
    """`number`, which is not read again where the same eight bytes stood in the line before."""
    whole = start + 8 <= buffer.size
    length = before[which, LENGTH]
    if whole and length > 0 and load64(buffer, start) == load64(buffer, before[which, PLACE]):
        return values[which], start + length
    value, end = number(buffer, start)
    before[which, PLACE], before[which, LENGTH] = start, 0
    # What ends a number must stand among the eight bytes too.
    if whole and 0 < end - start < 8:
        values[which], before[which, LENGTH] = value, end - start
    return value, end


@inlined
def _whole(buffer: Bytes, start: Int, before: Any) -> Int:
    """The place after a whole number that goes nowhere; looked at as `_number` does."""
    whole = start + 8 <= buffer.size
    length = before[_VERSION, LENGTH]
    if whole and length > 0 and load64(buffer, start) == load64(buffer, before[_VERSION, PLACE]):
        return start + length
    _, end = integer(buffer, start)
    before[_VERSION, PLACE] = start
    before[_VERSION, LENGTH] = end - start if whole and 0 < end - start < 8 else 0
    return end


@inlined
def outcome_steps(
    buffer: Bytes, place: Int, row: Int, hashes: Any, numbers: Any, action: Any, before: Any, values: Any
) -> Int:
    """Reads an outcome from behind its time into the row; the place after its last step, or LEFT with any row.

    Args:
        buffer: (m,) uint8.
        place: behind the time.
        row: of the columns.
        hashes: see `scanner.scan`; written.
        numbers: likewise.
        action: (2,) int64, written: where the action's text starts and ends.
        before: (3, 2) int64 of `PLACE` and `LENGTH` by number, zeros at first; scratch.
        values: (2,) float64, scratch.
    """
    start, place = _text(buffer, place, _ID, _LONGEST_ID)
    if start < 0:
        return LEFT
    hashes[ID, row, 0], hashes[ID, row, 1] = hash_span(buffer, start, place)
    start, place = _text(buffer, place, _UNIT, _LONGEST_UNIT)
    if start < 0:
        return LEFT
    hashes[UNIT, row, 0], hashes[UNIT, row, 1] = hash_span(buffer, start, place)
    start, place = _text(buffer, place, _ACTION, _LONGEST_ACTION)
    if start < 0:
        return LEFT
    action[0], action[1] = start, place
    start = _past(buffer, place, _PROPENSITY)
    if start < 0:
        return LEFT
    propensity, place = _number(buffer, start, np.int64(PROPENSITY), before, values)
    if place < 0 or not 0.0 <= propensity <= 1.0:
        return LEFT
    numbers[PROPENSITY, row] = propensity
    start = _past(buffer, place, _REWARD)
    if start < 0:
        return LEFT
    value, place = _number(buffer, start, np.int64(VALUE), before, values)
    if place < 0:
        return LEFT
    numbers[VALUE, row] = value
    start = _past(buffer, place, _BUNDLE)
    if start < 0:
        return LEFT
    place = string_end(buffer, start)
    if place < 0:
        return LEFT
    start = _past(buffer, place, _DEFINITION)
    if start < 0:
        return LEFT
    place = _whole(buffer, start, before)
    if place < 0:
        return LEFT
    start = after(buffer, place, _OCCURRED)
    if start < 0:
        return place
    time, place = integer(buffer, start)
    return LEFT if time > LATEST else place
