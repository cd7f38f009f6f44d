"""Score counts: different scores, or their bins, rising, and how many negatives and positives have each."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from foldline.kernels import patient

Int64s = npt.NDArray[np.int64]

ScoreCounts: TypeAlias = tuple[npt.NDArray[np.generic], Int64s]
"""(n,) keys, doubles or int64, different and rising; (n, 2) negatives and positives of each."""


def counted(key: npt.NDArray[np.generic], positive: npt.NDArray[np.bool_]) -> ScoreCounts:
    """The different keys, rising, and how many negatives and positives each has. O(n log n).

    Args:
        key: (n,) doubles without the zero below 0, or int64.
        positive: (n,) whether each is of the positive class.

    Example:
        >>> key, of = counted(np.array([0.5, 0.2, 0.5]), np.array([True, False, False]))
        >>> key.tolist(), of.tolist()
        ([0.2, 0.5], [[1, 0], [1, 1]])
    """
    if (_rising(key) < 0).any():
        return grouped(key, np.stack((~positive, positive), axis=1).astype(np.int64))
    # Whole numbers that rise with key and class are sorted several times as fast as their places are.
    words = (key.view(np.uint64) << np.uint64(1)) | positive
    words.sort()
    rank = words >> np.uint64(1)
    first = np.flatnonzero(rank[1:] != rank[:-1]) + 1
    bounds = np.concatenate(([0], first, [len(words)])) if len(words) else np.zeros(1, np.int64)
    positives = np.diff(np.concatenate(([0], np.cumsum(words & np.uint64(1), dtype=np.int64)))[bounds])
    of = np.stack((np.diff(bounds) - positives, positives), axis=1)
    return rank[bounds[:-1]].view(key.dtype), of


def merged(
    key: npt.NDArray[np.generic], of: Int64s, more: npt.NDArray[np.generic], of_more: Int64s
) -> ScoreCounts:
    """Two of them as one. O(n + m)."""
    size = len(key) + len(more)
    ranks, counts = np.empty(size, np.int64), np.empty((size, 2), np.int64)
    count = _merge(_rising(key), of, _rising(more), of_more, ranks, counts)
    ranks, counts = ranks[:count], counts[:count]
    return (ranks if more.dtype == np.int64 else _rising(ranks.view(np.float64)).view(np.float64)), counts


def grouped(key: npt.NDArray[np.generic], of: Int64s) -> ScoreCounts:
    """Those of keys in any order, equal ones among them. O(n log n)."""
    if not len(key):
        return key, of
    order = np.argsort(key)  # equal ones become one, in whatever order
    key, of = key[order], of[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return key[first], np.add.reduceat(of, first, axis=0)


def _rising(key: npt.NDArray[np.generic]) -> Int64s:
    """(n,) int64 that rise with doubles, or the integers given; of those of doubles again it gives their bits."""
    if key.dtype == np.int64:
        return key.view(np.int64)
    bits = key.view(np.int64)
    # Those of doubles below 0 fall with them.
    return bits ^ ((bits >> 63) & np.int64((1 << 63) - 1))


def _merge_plainly(key: Any, of: Any, more: Any, of_more: Any, out: Any, out_of: Any) -> int:
    """`_merge` by numpy."""
    both, at = np.unique(np.concatenate((key, more)), return_inverse=True)
    counts = np.zeros((len(both), 2), np.int64)
    counts[at[: len(key)]] += of
    counts[at[len(key) :]] += of_more
    out[: len(both)], out_of[: len(both)] = both, counts
    return len(both)


@patient(lambda *given: given[4].size, plain=_merge_plainly)
def _merge(key: Any, of: Any, more: Any, of_more: Any, out: Any, out_of: Any) -> int:
    """Merges two of them; how many keys there are.

    Args:
        key: (n,) int64, different and rising.
        of: (n, 2) negatives and positives of each.
        more: (m,) as `key`.
        of_more: (m, 2) as `of`.
        out: (n + m,) written.
        out_of: (n + m, 2) written.
    """
    a = b = count = 0
    while a < key.shape[0] or b < more.shape[0]:
        left = a < key.shape[0] and (b == more.shape[0] or key[a] <= more[b])
        right = b < more.shape[0] and (a == key.shape[0] or more[b] <= key[a])
        out_of[count, 0] = out_of[count, 1] = 0
        if left:
            out[count] = key[a]
            out_of[count, 0] += of[a, 0]
            out_of[count, 1] += of[a, 1]
            a += 1
        if right:
            out[count] = more[b]
            out_of[count, 0] += of_more[b, 0]
            out_of[count, 1] += of_more[b, 1]
            b += 1
        count += 1
    return count
