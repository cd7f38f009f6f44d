"""Kullback-Leibler divergence of Bernoulli distributions and the upper bound of KL-UCB."""

import math

import numpy as np
import numpy.typing as npt

from foldline.kernels import numeric
from foldline.stats.portable import log

Floats = npt.NDArray[np.float64]

_HALVINGS = 50


@numeric
def divergence(p: float, q: float) -> float:
    """kl(p, q) = p log(p/q) + (1-p) log((1-p)/(1-q)), with 0 log 0 = 0; infinite where q excludes what p allows.

    Example:
        >>> round(divergence(0.5, 0.25), 6)
        0.143841
    """
    result = 0.0
    if p > 0.0:
        if q <= 0.0:
            return math.inf
        result += p * log(p / q)
    if p < 1.0:
        if q >= 1.0:
            return math.inf
        result += (1.0 - p) * log((1.0 - p) / (1.0 - q))
    return max(result, 0.0)


@numeric
def upper_bounds(means: Floats, pulls: Floats, level: float) -> Floats:
    """(n,) the greatest q with pulls · kl(mean, q) <= level, by bisection (Garivier and Cappé 2011, algorithm 1).

    Args:
        means: (n,) averages, 0 to 1.
        pulls: (n,) above 0.
        level: at least 0.

    About 1 us an entry; the same bits on every machine.

    Example:
        >>> import numpy as np
        >>> upper_bounds(np.array([0.5]), np.array([10.0]), 1.0).round(4).tolist()
        [0.7129]
    """
    bounds = np.empty_like(means)
    for i in range(len(means)):
        low, high = means[i], 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            if pulls[i] * divergence(means[i], middle) <= level:
                low = middle
            else:
                high = middle
        bounds[i] = low
    return bounds
