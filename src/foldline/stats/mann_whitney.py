"""Does one variant tend to larger values than the other?"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import normal_p_value


class RankTest(NamedTuple):
    """The rank test's result.

    Attributes:
        u: pairs in which treatment is above control, ties half.
        share: u over the number of pairs: the chance that treatment is above control.
        p_value: two-sided.
    """

    u: float
    share: float
    p_value: float


def mann_whitney(control: npt.ArrayLike, treatment: npt.ArrayLike) -> RankTest | NotEstimable:
    """The test of Mann and Whitney (1947): normal approximation, corrected for ties and continuity.

    Of revenue it asks another question than a test of means: which variant is larger more often, not by how much.

    Args:
        control: (m,) finite values.
        treatment: (n,) finite values.

    Returns:
        The test, or `NotEstimable` where a variant is empty or all values are the same.

    Example:
        >>> round(mann_whitney([1, 2, 3], [4, 5, 6]).p_value, 4)
        0.0809
    """
    a, b = np.asarray(control, np.float64), np.asarray(treatment, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("input.not_finite", "values hold NaN or infinity; expected finite ones")
    if not len(a) or not len(b):
        return NotEstimable("a variant has no values")
    everything = np.concatenate([a, b])
    _, places, sizes = np.unique(everything, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2.0)[places]
    pairs, total = len(a) * len(b), len(everything)
    u = float(ranks[len(a) :].sum() - len(b) * (len(b) + 1) / 2)
    ties = float((sizes.astype(np.float64) ** 3 - sizes).sum())
    variance = pairs / 12.0 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0.0:
        return NotEstimable("all values are the same: there is no order")
    z = max(abs(u - pairs / 2) - 0.5, 0.0) / math.sqrt(variance)
    return RankTest(u, u / pairs, normal_p_value(z))
