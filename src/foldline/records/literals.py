"""Kernels that read what stands alike in every line, and values that are numbers or booleans."""

from typing import Any, Final, NamedTuple

import numpy as np

from foldline.kernels import Bytes, Int, inlined, part
from foldline.records.examples import Form
from foldline.records.grammar import LATEST, word
from foldline.records.tokens import LEFT, integer, number
from foldline.records.words import load64, word_at

_TRUE, _FALSE = np.uint64(word(b"true")), np.uint64(word(b"false"))
_FOUR, _FIVE = np.uint64((1 << 32) - 1), np.uint64((1 << 40) - 1)


class Literal(NamedTuple):
    """A text of at most 16 bytes: its first eight, their mask, its last eight."""

    size: Any
    first: Any
    mask: Any
    last: Any


def literal(text: bytes) -> Literal:
    """Of at most 16 bytes."""
    head = text[:8]
    return Literal(
        np.int64(len(text)),
        np.uint64(word(head)),
        np.uint64(word(b"\xff" * len(head))),
        np.uint64(word(text[-8:])),
    )


_Y: Final = literal(b',"y":')
_OCCURRED: Final = literal(b',"occurred":')


@inlined
def after(buffer: Bytes, place: Int, literal: Any) -> Int:
    """The place after the literal, or LEFT where the buffer holds another text."""
    stop = buffer.size
    if place + literal[0] > stop or word_at(buffer, place, stop) & literal[2] != literal[1]:
        return LEFT
    if literal[0] > 8 and load64(buffer, place + literal[0] - 8) != literal[3]:
        return LEFT
    return place + literal[0]


@part
def value_at(buffer: Bytes, place: Int) -> Any:
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
def opened(buffer: Bytes, place: Int, opening: Any, rest: Any, id: Any) -> Any:
    """The beginning of a record as (time, place of its id), else LEFT.

    Args:
        buffer: holds it.
        place: where it begins.
        opening: literal of the line's first 16 bytes.
        rest: literal that the time follows.
        id: literal that the id follows.
    """
    place = after(buffer, place, opening)
    if place >= 0:
        place = after(buffer, place, rest)
    if place < 0:
        return np.int64(0), np.int64(LEFT)
    time, place = integer(buffer, place)
    if place >= 0:
        place = after(buffer, place, id)
    return time, (np.int64(LEFT) if time > LATEST else place)


@inlined
def closed(buffer: Bytes, place: Int, end: Int, y: Any, y_forms: Any, nth: Int) -> Any:
    """Reads a label, which may be absent, and what a client claims of the time; whether the line ends there.

    Args:
        buffer: holds the line.
        place: where to begin.
        end: of the line.
        y: written at `nth`; NaN where absent.
        y_forms: likewise, a `Form`.
        nth: which record.
    """
    y[nth], y_forms[nth] = np.nan, Form.ABSENT
    found = after(buffer, place, _Y)
    if found >= 0:
        value, form, place = value_at(buffer, found)
        if place < 0:
            return False
        y[nth], y_forms[nth] = value, form
    found = after(buffer, place, _OCCURRED)
    if found >= 0:
        time, place = integer(buffer, found)
        if place < 0 or time > LATEST:
            return False
    return place + 1 == end and buffer[place] == 125
