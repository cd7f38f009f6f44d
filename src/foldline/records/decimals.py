"""Decimal numbers to float64 in kernels, correctly rounded: the same bits as Python's `float()`.

Up to 2^53 with a power of ten up to 22 one exact product or quotient suffices (Clinger 1990); otherwise the
product with a 128-bit power of five (Lemire, "Number Parsing at a Gigabyte per Second", 2021, algorithm 1).
Results below the normal range or beyond the greatest float64 are left to the caller's slower way.
"""

from typing import Any

import numpy as np

from foldline.kernels import Int, kernel, part
from foldline.records.words import as_float, high_product, high_zeros

LEAST, GREATEST = -342, 308
"""Powers of ten outside these give zero or infinity with any 64-bit integer before them."""

_TENS = np.array([10.0**power for power in range(23)])


def _fifth(power: int) -> int:
    """The upper 128 bits of 5^power: cut off for positive powers, rounded up for negative ones."""
    if power >= 0:
        five: int = 5**power
        shift = five.bit_length() - 128
        return five >> shift if shift > 0 else five << -shift
    five = 5**-power
    bits = (five - 1).bit_length()
    exact = power >= -27
    reciprocal = (1 << (bits + 127 if exact else 2 * bits + 128)) // five + 1
    return reciprocal >> max(0, reciprocal.bit_length() - 128)


_FIVES = np.array([divmod(_fifth(power), 1 << 64) for power in range(LEAST, GREATEST + 1)], dtype=np.uint64)


@kernel
def to_float(digits: Any, power: Int) -> Any:
    """digits x 10^power as (ok, value); not ok where the caller must find the value another way.

    Args:
        digits: uint64, any.
        power: of ten.
    """
    if digits < np.uint64(1 << 53) and -22 <= power <= 22:
        if power < 0:
            return True, np.float64(digits) / _TENS[-power]
        return True, np.float64(digits) * _TENS[power]
    if digits == np.uint64(0) or power < LEAST or power > GREATEST:
        return False, 0.0
    return _rounded(digits, power)


@part
def _rounded(digits: Any, power: Int) -> Any:
    zeros = high_zeros(digits)
    digits = digits << zeros
    first, second = _FIVES[power - LEAST, 0], _FIVES[power - LEAST, 1]
    upper, lower = high_product(digits, first), digits * first
    if upper & np.uint64(0x1FF) == np.uint64(0x1FF):
        more = high_product(digits, second)
        lower += more
        if lower < more:
            upper += np.uint64(1)
        # Lemire's section 5: only here could more than 128 bits of the power matter.
        if lower == ~np.uint64(0) and not -27 <= power <= 55:
            return False, 0.0
    top = upper >> np.uint64(63)
    mantissa = upper >> (top + np.uint64(9))
    exponent = ((217706 * power) >> 16) + 63 + np.int64(top) - np.int64(zeros) + 1023
    if exponent <= 0:
        return False, 0.0
    # Half way between two floats, which only small powers can be: round to even.
    halfway = lower <= np.uint64(1) and -4 <= power <= 23 and mantissa & np.uint64(3) == np.uint64(1)
    if halfway and mantissa << (top + np.uint64(9)) == upper:
        mantissa &= ~np.uint64(1)
    mantissa = (mantissa + (mantissa & np.uint64(1))) >> np.uint64(1)
    if mantissa >= np.uint64(1 << 53):
        mantissa = np.uint64(1 << 52)
        exponent += 1
    if exponent >= 0x7FF:
        return False, 0.0
    bits = (mantissa & np.uint64((1 << 52) - 1)) | (np.uint64(exponent) << np.uint64(52))
    return True, as_float(bits)
