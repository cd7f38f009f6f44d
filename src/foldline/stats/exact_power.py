"""The exact power of a test of two proportions, by enumeration of what may be counted."""

import math
from typing import Any, Literal

import numpy as np

from foldline.errors import InputError
from foldline.stats.fisher import hypergeometric

_NEGLIGIBLE = 1e-12
"""Counts beyond the two tails of this probability are left out: the power is exact to twice that for each rate."""


def exact_power(
    rates: tuple[float, float],
    sizes: tuple[int, int],
    test: Literal["pooled_z", "yates", "fisher"] = "yates",
    alpha: float = 0.05,
) -> float:
    """The probability that the two-sided test rejects; with equal rates, its true rate of false alarms.

    O(√(n₀ n₁)) pairs of counts: 3 ms at 10,000 units a variant, 0.25 s at 300,000.

    Args:
        rates: of control and treatment, 0 to 1.
        sizes: units of control and treatment, above 0.
        test: see `stats.two_proportions`.
        alpha: its level.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> round(exact_power((0.07, 0.11), (1124, 1124), "yates"), 5)
        0.90266
        >>> round(exact_power((0.07, 0.11), (1124, 1124), "pooled_z"), 5)
        0.91532
    """
    if not all(0.0 <= rate <= 1.0 for rate in rates) or min(sizes) < 1 or not 0 < alpha < 1:
        raise InputError(
            "input.invalid", f"rates {rates!r}, sizes {sizes!r}, alpha {alpha!r}; expected 0 to 1, above 0"
        )
    (x0, p0), (x1, p1) = (_binomial(n, rate) for n, rate in zip(sizes, rates, strict=True))
    if test == "fisher":
        table = _fisher_rejects(x0, x1, sizes, alpha)
    else:
        table = _z_rejects(x0, x1, sizes, alpha, yates=test == "yates")
    # Probabilities of millions of counts sum to 1 up to 1e-9.
    return min(1.0, float(p0 @ table @ p1))


def _binomial(n: int, rate: float) -> tuple[Any, Any]:
    """Counts and their probabilities, without negligible tails."""
    from scipy.special import bdtrik, gammaln, xlog1py, xlogy

    if rate in (0.0, 1.0):
        return np.array([round(n * rate)]), np.ones(1)
    low = max(0, math.floor(float(bdtrik(_NEGLIGIBLE, n, rate)) - 1) if (1 - rate) ** n < _NEGLIGIBLE else 0)
    high = n - max(0, math.floor(float(bdtrik(_NEGLIGIBLE, n, 1 - rate)) - 1) if rate**n < _NEGLIGIBLE else 0)
    x = np.arange(low, high + 1)
    logs = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0) + xlogy(x, rate) + xlog1py(n - x, -rate)
    return x, np.exp(logs)


def _z_rejects(x0: Any, x1: Any, sizes: tuple[int, int], alpha: float, *, yates: bool) -> Any:
    from scipy.special import ndtri

    n0, n1 = sizes
    difference = np.abs(x1[None, :] / n1 - x0[:, None] / n0)
    if yates:
        difference = np.maximum(difference - 0.5 / n0 - 0.5 / n1, 0.0)
    rate = (x0[:, None] + x1[None, :]) / (n0 + n1)
    error = np.sqrt(rate * (1.0 - rate) * (1.0 / n0 + 1.0 / n1))
    return (difference > error * float(ndtri(1.0 - alpha / 2))).astype(np.float64)


def _fisher_rejects(x0: Any, x1: Any, sizes: tuple[int, int], alpha: float) -> Any:
    table = np.zeros((len(x0), len(x1)))
    for successes in range(int(x0[0] + x1[0]), int(x0[-1] + x1[-1]) + 1):
        counts, probabilities = hypergeometric(successes, *sizes)
        order = np.argsort(probabilities, kind="stable")
        ascending, summed = probabilities[order], np.cumsum(probabilities[order])
        # As likely as the one seen counts with it: the sum up to the last of the ties.
        last = np.searchsorted(ascending, probabilities * (1.0 + 1e-7), side="right") - 1
        rejected = summed[last] <= alpha
        columns = counts - x1[0]
        rows = successes - counts - x0[0]
        inside = (columns >= 0) & (columns < len(x1)) & (rows >= 0) & (rows < len(x0)) & rejected
        table[rows[inside], columns[inside]] = 1.0
    return table
