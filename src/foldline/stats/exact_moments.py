"""Sums and sums of products of integers, exact: the moments of a tally whose state must not depend on any order.

Values are integers in a declared unit of 2^-k. A unit's value may be replaced by a corrected one without a trace of
the old, which sums of floats cannot do. Means and co-moments follow from the integers with one rounding each, so
nothing cancels. In columns, the sums of products stand in 128 bits (two's complement, two uint64 limbs).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError, InputError
from foldline.kernels import kernel, part
from foldline.stats.moments import Moments

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_SIGN = np.uint64(63)
_ONE = np.uint64(1)


@dataclass(frozen=True, slots=True)
class ExactMoments:
    """Number, sums and sums of products of d integer variables; any order and grouping gives the same.

    Attributes:
        n: number of observations.
        sums: d sums.
        products: d rows of d sums of products.

    Example:
        >>> tally = ExactMoments.empty(1).add([3]).add([8]).replace([8], [5]).merge(ExactMoments.empty(1).add([4]))
        >>> tally.n, tally.sums, tally.products
        (3, (12,), ((50,),))
        >>> tally.moments().covariance()
        1.0
    """

    n: int
    sums: tuple[int, ...]
    products: tuple[tuple[int, ...], ...]

    @classmethod
    def empty(cls, variables: int = 1) -> "ExactMoments":
        """Of no observation."""
        return cls(0, (0,) * variables, ((0,) * variables,) * variables)

    def add(self, values: Sequence[int]) -> "ExactMoments":
        """With one more observation."""
        return self._plus(1, values, 1)

    def remove(self, values: Sequence[int]) -> "ExactMoments":
        """Without one that was added: as if it never had been."""
        return self._plus(-1, values, -1)

    def replace(self, old: Sequence[int], new: Sequence[int]) -> "ExactMoments":
        """With `new` in the place of `old`, which was added before."""
        return self.remove(old).add(new)

    def merge(self, other: "ExactMoments") -> "ExactMoments":
        """Of both together; associative and commutative, exactly."""
        return ExactMoments(
            self.n + other.n,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(
                tuple(a + b for a, b in zip(mine, theirs, strict=True))
                for mine, theirs in zip(self.products, other.products, strict=True)
            ),
        )

    def moments(self, unit_bits: int = 0) -> Moments:
        """Means and co-moments in units of 1, each the nearest float to the exact value.

        Args:
            unit_bits: k where the integers count units of 2^-k.
        """
        if not self.n:
            return Moments.empty(len(self.sums))
        unit = 1 << unit_bits
        return Moments(
            self.n,
            tuple(float(Fraction(total, self.n * unit)) for total in self.sums),
            tuple(
                tuple(
                    float(Fraction(self.n * both - a * b, self.n * unit * unit))
                    for both, b in zip(row, self.sums, strict=True)
                )
                for row, a in zip(self.products, self.sums, strict=True)
            ),
        )

    def _plus(self, count: int, values: Sequence[int], sign: int) -> "ExactMoments":
        if len(values) != len(self.sums) or not all(isinstance(value, int) for value in values):
            raise InputError("input.invalid", f"values {values!r}; expected {len(self.sums)} integers")
        return ExactMoments(
            self.n + count,
            tuple(total + sign * value for total, value in zip(self.sums, values, strict=True)),
            tuple(
                tuple(total + sign * a * b for total, b in zip(row, values, strict=True))
                for row, a in zip(self.products, values, strict=True)
            ),
        )


def learn_products(
    low: UInt64s,
    high: UInt64s,
    group: npt.NDArray[np.int32],
    x: Int64s,
    y: Int64s,
    sign: npt.NDArray[np.int8],
) -> None:
    """Add sign · x · y of each row to the 128-bit sum of its group: high·2^64 + low, two's complement.

    About 12 ns a row.

    Args:
        low: (g,) lower limbs, changed in place.
        high: (g,) upper limbs, changed in place.
        group: (m,) to which sum each row goes: variant, or variant and minute.
        x: (m,).
        y: (m,).
        sign: (m,) 1 to add, -1 to take off again.

    Raises:
        FoldError: `fold.overflow`; the rows before are already added.
        IndexError: a group is outside the arrays.

    Example:
        >>> low, high = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
        >>> learn_products(low, high, np.zeros(2, np.int32), np.array([2**62, 5]), np.array([-8, 7]),
        ...                np.array([1, 1], np.int8))
        >>> wide_integers(low, high) == [-(2**65) + 35]
        True
    """
    row = int(_learn_products(low, high, group, x, y, sign))
    if row < 0:
        return
    if not 0 <= group[row] < len(low):
        raise IndexError(f"row {row} names group {group[row]}, but there are {len(low)}")
    raise FoldError(
        "fold.overflow", f"row {row}: the sum of products of group {group[row]} would leave its 128 bits"
    )


def wide_integers(low: UInt64s, high: UInt64s) -> list[int]:
    """The integers of two's complement limbs."""
    return [
        (int(above) << 64 | int(below)) - (1 << 128 if int(above) >> 63 else 0)
        for below, above in zip(low.tolist(), high.tolist(), strict=True)
    ]


@part
def _magnitude(x: Any) -> Any:
    return np.uint64(x) if x >= 0 else np.uint64(~x) + _ONE


@kernel
def _learn_products(low: Any, high: Any, group: Any, x: Any, y: Any, sign: Any) -> Any:
    for i in range(len(group)):
        g = group[i]
        if g < 0 or g >= len(low):
            return i
        a, b = _magnitude(x[i]), _magnitude(y[i])
        al, ah, bl, bh = a & _LOW_HALF, a >> _HALF, b & _LOW_HALF, b >> _HALF
        # al·bh + ah·bl may carry out of 64 bits, so each goes in on its own.
        cross = al * bh
        product_low = al * bl + (cross << _HALF)
        product_high = ah * bh + (cross >> _HALF)
        if product_low < (cross << _HALF):
            product_high += _ONE
        cross = ah * bl
        product_low += cross << _HALF
        if product_low < (cross << _HALF):
            product_high += _ONE
        product_high += cross >> _HALF
        if ((x[i] < 0) != (y[i] < 0)) != (sign[i] < 0):
            product_low = ~product_low + _ONE
            product_high = ~product_high + (_ONE if product_low == np.uint64(0) else np.uint64(0))
        total_low = low[g] + product_low
        total_high = high[g] + product_high + (_ONE if total_low < product_low else np.uint64(0))
        was, more, now = high[g] >> _SIGN, product_high >> _SIGN, total_high >> _SIGN
        if was == more and now != was:
            return i
        low[g] = total_low
        high[g] = total_high
    return -1
