"""Counts, sums and sums of squares of integers, exact: no order and no grouping of the terms changes them.

Sums are int64 with overflow refused. Squares of int64 need more, so their sum stands in 128 bits as two uint64
limbs with carries.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.kernels import part, patient

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_LEARNT = 3
_CORRECTED = 4
_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_BAD_INDEX = -1
_OVERFLOW = -2


def learn_sums(
    count: Int64s,
    total: Int64s,
    kind: npt.NDArray[np.int8],
    action: npt.NDArray[np.int32],
    old: Int64s,
    new: Int64s,
) -> bool:
    """Add LEARNT rows to `count` and `total`, replace old by new on CORRECTED rows; True if anything changed.

    About 1 ns a row. `count` and `total` are (n,), changed in place; the rest (m,), see `foldline.fold.emits`.

    Raises:
        FoldError: `fold.overflow`; the rows before are already added.
        IndexError: an action is outside the arrays.

    Example:
        >>> import numpy as np
        >>> count, total = np.zeros(2, np.int64), np.zeros(2, np.int64)
        >>> learn_sums(count, total, np.array([3, 4], np.int8), np.array([1, 1], np.int32),
        ...            np.array([0, 5]), np.array([5, 7]))
        True
        >>> count.tolist(), total.tolist()
        ([0, 1], [0, 7])
    """
    done, row = _learn_sums(count, total, kind, action, old, new)
    if done < 0:
        _refuse(done, row, int(action[row]), len(count))
    return bool(done)


def learn_squares(
    low: UInt64s,
    high: UInt64s,
    kind: npt.NDArray[np.int8],
    action: npt.NDArray[np.int32],
    old: Int64s,
    new: Int64s,
) -> None:
    """Add the squares of LEARNT rows to the 128-bit sums high·2^64 + low, replace them on CORRECTED rows.

    Raises:
        FoldError: `fold.overflow`.
        IndexError: an action is outside the arrays.
    """
    done, row = _learn_squares(low, high, kind, action, old, new)
    if done < 0:
        _refuse(done, row, int(action[row]), len(low))


def count_pulls(pulls: Int64s, kind: npt.NDArray[np.int8], action: npt.NDArray[np.int32]) -> bool:
    """Add one on DECIDED rows, take one off on UNDECIDED rows; True if anything changed.

    Raises:
        IndexError: an action is outside the array.
    """
    done, row = _count_pulls(pulls, kind, action)
    if done < 0:
        _refuse(done, row, int(action[row]), len(pulls))
    return bool(done)


def add_sums(left: Int64s, right: Int64s) -> Int64s:
    """left + right, elementwise.

    Raises:
        FoldError: `fold.overflow`.
    """
    total = left + right
    if (((left ^ total) & (right ^ total)) < 0).any():
        raise FoldError("fold.overflow", "merging two states: an exact sum would leave its 64 bits")
    return total


def add_squares(left: tuple[UInt64s, UInt64s], right: tuple[UInt64s, UInt64s]) -> tuple[UInt64s, UInt64s]:
    """The sum of two (low, high) pairs, elementwise.

    Raises:
        FoldError: `fold.overflow`.
    """
    low = left[0] + right[0]
    carry = (low < left[0]).astype(np.uint64)
    partial = left[1] + right[1]
    high = partial + carry
    if ((partial < left[1]) | (high < partial)).any():
        raise FoldError("fold.overflow", "merging two states: a sum of squares would leave its 128 bits")
    return low, high


def _refuse(done: int, row: int, action: int, actions: int) -> None:
    if done == _BAD_INDEX:
        raise IndexError(f"emit {row} names action {action}, but the state has {actions}; grow it first")
    raise FoldError(
        "fold.overflow",
        f"learning emit {row} of action {action}: its exact sum would leave its bits; "
        "declare a coarser reward unit in a new loop",
    )


@patient(lambda *given: len(given[2]))
def _learn_sums(count: Any, total: Any, kind: Any, action: Any, old: Any, new: Any) -> Any:
    changed = 0
    n = len(count)
    for i in range(len(kind)):
        k = kind[i]
        if k != _LEARNT and k != _CORRECTED:
            continue
        a = action[i]
        if a < 0 or a >= n:
            return _BAD_INDEX, i
        was = total[a]
        if k == _LEARNT:
            now = was + new[i]
            if ((was ^ now) & (new[i] ^ now)) < 0:
                return _OVERFLOW, i
            count[a] += 1
            changed = 1
        else:
            # The sum without the old reward is a sum of rewards itself: it may not leave its bits either.
            without = was - old[i]
            now = without + new[i]
            if ((was ^ old[i]) & (was ^ without)) < 0 or ((without ^ now) & (new[i] ^ now)) < 0:
                return _OVERFLOW, i
            if old[i] != new[i]:
                changed = 1
        total[a] = now
    return changed, 0


@part
def _square(x: Any) -> Any:
    """x² as (low, high) limbs; the magnitude is taken as uint64, since -2^63 has no positive int64."""
    m = np.uint64(x) if x >= 0 else np.uint64(~x) + np.uint64(1)
    b = m & _LOW_HALF
    a = m >> _HALF
    middle = a * b
    shifted = middle << np.uint64(33)
    low = b * b + shifted
    carry = np.uint64(1) if low < shifted else np.uint64(0)
    return low, a * a + (middle >> np.uint64(31)) + carry


@patient(lambda *given: len(given[2]))
def _learn_squares(low: Any, high: Any, kind: Any, action: Any, old: Any, new: Any) -> Any:
    n = len(low)
    for i in range(len(kind)):
        k = kind[i]
        if k != _LEARNT and k != _CORRECTED:
            continue
        a = action[i]
        if a < 0 or a >= n:
            return _BAD_INDEX, i
        lo, hi = low[a], high[a]
        if k == _CORRECTED:
            sl, sh = _square(old[i])
            borrow = np.uint64(1) if lo < sl else np.uint64(0)
            lo = lo - sl
            hi = hi - sh - borrow
        sl, sh = _square(new[i])
        lo = lo + sl
        carry = np.uint64(1) if lo < sl else np.uint64(0)
        partial = hi + sh
        total = partial + carry
        if partial < hi or total < partial:
            return _OVERFLOW, i
        low[a] = lo
        high[a] = total
    return 0, 0


@patient(lambda *given: len(given[1]))
def _count_pulls(pulls: Any, kind: Any, action: Any) -> Any:
    changed = 0
    n = len(pulls)
    for i in range(len(kind)):
        k = kind[i]
        if k > 2 or k < 1:
            continue
        a = action[i]
        if a < 0 or a >= n:
            return _BAD_INDEX, i
        pulls[a] += 3 - 2 * k
        changed = 1
    return changed, 0
