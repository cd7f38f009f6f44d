"""Sums in which an entry's weight halves every half-life, with the same bits on every machine.

A sum stands relative to a landmark, a multiple of the half-life H: an entry of time t adds 2^((t - L·H)/H). When
a newer period begins, the landmark moves there and the sum is scaled by a power of two, which is exact; so sums
of different landmarks can be added after an exact scaling. (Forward decay: Cormode, Shkapenyuk, Srivastava and
Xu 2009, with the exponent split into whole and broken half-lives.)

Within a period the weight is 2^(r/H), 0 <= r < H milliseconds: the product, from the lowest bit up, of one
constant 2^(2^j/H) per set bit j of r. The constants are the doubles nearest to the true values, computed with
decimal arithmetic. Products of eight neighbouring bits are stored, so that a weight takes a few multiplications.
"""

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.kernels import numeric

Floats = npt.NDArray[np.float64]

OLDEST = 1000
"""Entries this many half-lives before the landmark have the weight zero, and so has a sum the landmark leaves
this far behind: 2^-1000 of an entry is nothing, and smaller numbers lose their bits."""

POWERS = np.array([2.0**-k for k in range(OLDEST + 1)])
"""2^-k for k = 0 … 1000, each exact."""

_LEARNT = 3
_CORRECTED = 4
_DIGIT = 8


@lru_cache(maxsize=64)
def weight_tables(half_life: int) -> Floats:
    """(d, 256) products of the constants of each group of eight bits of a time below `half_life` milliseconds.

    Entry [g, v] is the product, from the lowest set bit up, of 2^(2^j/half_life) over the bits j of v << 8 g.
    Takes about a millisecond; cached.
    """
    digits = max(1, -(-(half_life - 1).bit_length() // _DIGIT))
    tables = np.ones((digits, 1 << _DIGIT))
    with localcontext() as context:
        context.prec = 40
        ln2 = Decimal(2).ln()
        for g in range(digits):
            for bit in range(_DIGIT):
                time = 1 << (g * _DIGIT + bit)
                if time >= half_life:
                    break
                constant = float((ln2 * time / half_life).exp())
                tables[g, 1 << bit : 2 << bit] = tables[g, : 1 << bit] * constant
    tables.flags.writeable = False
    return tables


def learn_decayed(
    count: Floats,
    total: Floats,
    landmark: npt.NDArray[np.int64],
    kind: npt.NDArray[np.int8],
    action: npt.NDArray[np.int32],
    old: npt.NDArray[np.int64],
    new: npt.NDArray[np.int64],
    time: npt.NDArray[np.int64],
    half_life: int,
) -> bool:
    """Add LEARNT rows with the weight of their time, in order; True if anything changed.

    On CORRECTED rows the old reward is taken off and the new one added, with the weight of the decision's time.
    A row `OLDEST` half-lives or more before its action's landmark changes nothing.

    Args:
        count: (n,) decayed counts, changed in place.
        total: (n,) decayed sums of rewards, in reward units, changed in place.
        landmark: (n,) whole half-lives since 1970, changed in place.
        kind: (m,) see `foldline.fold.emits`, also for the columns that follow.
        action: (m,).
        old: (m,) reward units.
        new: (m,) reward units.
        time: (m,) milliseconds since 1970.
        half_life: milliseconds, at least 1.

    Raises:
        IndexError: an action is outside the arrays.
    """
    done, row = _learn_decayed(
        count, total, landmark, kind, action, old, new, time, half_life, weight_tables(half_life), POWERS
    )
    if done < 0:
        raise IndexError(
            f"emit {row} names action {int(action[row])}, but the state has {len(count)}; grow it first"
        )
    return bool(done)


def add_decayed(
    left: tuple[Floats, Floats, npt.NDArray[np.int64]], right: tuple[Floats, Floats, npt.NDArray[np.int64]]
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """The sum of two (count, total, landmark) triples, at the later landmark of each action."""
    # An action nothing was learnt of stands at landmark 0, which must not scale the other side.
    landmark = np.maximum(left[2], right[2])
    scale_left, scale_right = moved(left[2], landmark), moved(right[2], landmark)
    return (
        left[0] * scale_left + right[0] * scale_right,
        left[1] * scale_left + right[1] * scale_right,
        landmark,
    )


def moved(landmark: npt.NDArray[np.int64], to: npt.NDArray[np.int64]) -> Floats:
    """(n,) exact powers of two that scale sums from their landmark to a later one; 0 from `OLDEST` on."""
    periods = to - landmark
    return np.where(periods >= OLDEST, 0.0, POWERS[np.clip(periods, 0, OLDEST)])


def decay_at(landmark: npt.NDArray[np.int64], time: int, half_life: int) -> Floats:
    """(n,) factors that take sums from their landmarks to `time`, milliseconds.

    A landmark may be later than `time` where the time of a bundle lags; the factor is then above one.
    """
    tables = weight_tables(half_life)
    period, rest = divmod(time, half_life)
    within = float(_weight(rest, tables))
    late = landmark > period
    scale = moved(np.where(late, period, landmark), np.full_like(landmark, period))
    ahead = np.where(late, 1.0 / POWERS[np.clip(landmark - period, 0, OLDEST)], 1.0)
    return scale * ahead / within


@numeric
def _weight(rest: Any, tables: Any) -> Any:
    w = tables[0, rest & 255]
    for g in range(1, len(tables)):
        rest >>= 8
        w *= tables[g, rest & 255]
    return w


@numeric
def _learn_decayed(
    count: Any,
    total: Any,
    landmark: Any,
    kind: Any,
    action: Any,
    old: Any,
    new: Any,
    time: Any,
    half_life: Any,
    tables: Any,
    powers: Any,
) -> Any:
    changed = 0
    n = len(count)
    for i in range(len(kind)):
        k = kind[i]
        if k != _LEARNT and k != _CORRECTED:
            continue
        a = action[i]
        if a < 0 or a >= n:
            return -1, i
        period = time[i] // half_life
        weight = _weight(time[i] - period * half_life, tables)
        ahead = period - landmark[a]
        if ahead > 0:
            scale = powers[ahead] if ahead < OLDEST else 0.0
            count[a] *= scale
            total[a] *= scale
            landmark[a] = period
            changed = 1
        elif ahead < 0:
            if ahead <= -OLDEST:
                continue
            weight *= powers[-ahead]
        if k == _LEARNT:
            count[a] += weight
            total[a] += weight * float(new[i])
            changed = 1
        elif old[i] != new[i]:
            total[a] -= weight * float(old[i])
            total[a] += weight * float(new[i])
            changed = 1
    return changed, 0
