"""Kernels that read one token of JSON text: a string's end, a line's end, an integer, a number.

Each takes a (m,) uint8 buffer and a place in it, and gives the place after the token, or LEFT where the text is
anything but the plainest form: such text is not wrong, only left to a slower reader.
"""

from typing import Any, Final

import numpy as np

from foldline.kernels import Bytes, Int, inlined, part
from foldline.records.decimals import to_float
from foldline.records.words import load64, low_zeros, word_at

LEFT: Final = -1
"""The place given where the text is left to a slower reader."""

_ONES = np.uint64(0x0101010101010101)
_TOPS = np.uint64(0x8080808080808080)
_QUOTES = _ONES * np.uint64(0x22)
_SLASHES = _ONES * np.uint64(0x5C)
_SPACES = _ONES * np.uint64(0x20)
_NEWLINES = _ONES * np.uint64(0x0A)
_ZEROS = _ONES * np.uint64(0x30)
_SIXES = _ONES * np.uint64(0x46)
_TEN = np.uint64(10)


@part
def string_end(buffer: Bytes, place: Int) -> Int:
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


@part
def line_end(buffer: Bytes, place: Int) -> Int:
    """The place of the next newline, or the buffer's end."""
    stop = buffer.size
    while place + 8 <= stop:
        word = load64(buffer, place) ^ _NEWLINES
        ends = (word - _ONES) & ~word & _TOPS
        if ends:
            return place + np.int64(low_zeros(ends) >> np.uint64(3))
        place += 8
    while place < stop and buffer[place] != 10:
        place += 1
    return place


@inlined
def _eight_digits(word: Any) -> Any:
    """The number of eight ASCII digits; the caller has checked that they are (Lemire 2018)."""
    word = (word - _ZEROS) * _TEN + ((word - _ZEROS) >> np.uint64(8))
    low = (word & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    high = ((word >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return (low + high) >> np.uint64(32)


@part
def _digits(buffer: Bytes, place: Int, value: Any) -> Any:
    """Appends the digits at `place` to `value`; (value, the place after them). May wrap round."""
    stop = buffer.size
    while place + 8 <= stop:
        word = load64(buffer, place)
        if ((word + _SIXES) | (word - _ZEROS)) & _TOPS:
            break
        value = value * np.uint64(100_000_000) + _eight_digits(word)
        place += 8
    while place < stop:
        digit = np.uint64(buffer[place]) - np.uint64(48)
        if digit > np.uint64(9):
            break
        value = value * _TEN + digit
        place += 1
    return value, place


@part
def integer(buffer: Bytes, place: Int) -> Any:
    """A whole number of at most 18 digits without sign or leading zero as (int64, place after it)."""
    value, end = _digits(buffer, place, np.uint64(0))
    if end == place or end - place > 18 or (end - place > 1 and buffer[place] == 48):
        return np.int64(0), np.int64(LEFT)
    return np.int64(value), np.int64(end)


@part
def number(buffer: Bytes, place: Int) -> Any:
    """A JSON number as (float64, place after it), rounded as `float()` does, else LEFT."""
    stop = buffer.size
    left = 0.0, np.int64(LEFT)
    negative = place < stop and buffer[place] == 45
    place += negative
    digits, end = _digits(buffer, place, np.uint64(0))
    size = end - place
    if size == 0 or (size > 1 and buffer[place] == 48):
        return left
    if buffer[place] == 48:
        size = 0
    power: Int = 0
    if end < stop and buffer[end] == 46:
        start = end + 1
        digits, end = _digits(buffer, start, digits)
        power = start - end
        if power == 0:
            return left
        size -= power
        # Zeros before the first other digit do not count against what 64 bits hold.
        while size > 19 and size == end - start and buffer[start] == 48:
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
