"""A fixed number of looks planned beforehand: bounds by error spending, and what uncorrected looks cost.

The z values at information shares t₁ < … < t_K are those of a Brownian motion; the density of paths not yet
stopped is carried from look to look by numerical integration (Armitage, McPherson and Rowe 1969; Jennison and
Turnbull 2000, chapter 19), on Gauss-Legendre nodes.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from foldline.errors import InputError
from foldline.stats.tails import normal_below, normal_quantile

Spending = Callable[[float], float]
"""Share of information, 0 to 1, to the two-sided error spent by then."""

_NODES = 256


def obrien_fleming(alpha: float = 0.05) -> Spending:
    """4 (1 - Φ(z / √t)), z the upper alpha/4 quantile: hardly anything early (Lan and DeMets 1983, each side)."""
    z = -normal_quantile(alpha / 4.0)
    return lambda t: 4.0 * normal_below(-z / math.sqrt(t))


def pocock(alpha: float = 0.05) -> Spending:
    """alpha · ln(1 + (e - 1) t): about even bounds (Lan and DeMets 1983)."""
    return lambda t: alpha * math.log1p((math.e - 1.0) * t)


def power_family(alpha: float = 0.05, phi: float = 2.0) -> Spending:
    """alpha · t^phi (Kim and DeMets 1987)."""
    return lambda t: alpha * t**phi


def lan_demets_bounds(shares: Sequence[float], spending: Spending) -> list[float]:
    """The |z| at which to stop at each look, so that the error spent by look k is spending(t_k).

    The increments are spent piecewise: the cumulative spend used as each look's own level, as in some tools, errs
    6 % at five looks and 8 % at twenty.

    Args:
        shares: of the planned information at the looks, ascending, above 0, at most 1.
        spending: see `obrien_fleming`, `pocock`, `power_family`.

    Raises:
        InputError: `input.invalid` for shares outside these ranges or a spending function that falls.

    Example:
        >>> [round(z, 4) for z in lan_demets_bounds([0.5, 1.0], obrien_fleming(0.05))]
        [2.9626, 1.9686]
    """
    paths = _Paths(shares)
    bounds: list[float] = []
    spent = 0.0
    for t in shares:
        target = spending(t)
        if not spent < target < 1.0:
            raise InputError(
                "input.invalid", f"spending({t!r}) is {target!r}; expected above {spent!r}, below 1"
            )
        bounds.append(paths.bound_for(target - spent))
        paths.go_on(bounds[-1])
        spent = target
    return bounds


def error_of_looks(bounds: Sequence[float], shares: Sequence[float] | None = None) -> float:
    """The probability that some look's |z| exceeds its bound though there is no effect.

    Args:
        bounds: of |z| at each look.
        shares: information shares of the looks; equal steps by default.

    Example:
        >>> round(error_of_looks([1.959964] * 5), 5)
        0.14169
    """
    steps = shares or [(look + 1) / len(bounds) for look in range(len(bounds))]
    paths = _Paths(steps)
    stopped = 0.0
    for bound in bounds:
        stopped += paths.beyond(bound)
        paths.go_on(bound)
    return stopped


def found_by_looks(bounds: Sequence[float], shares: Sequence[float], drift: float) -> list[float]:
    """The probability to have found an effect by each look: that its or an earlier look's |z| exceeds its bound.

    Args:
        bounds: of |z| at each look; infinite for a look that never stops.
        shares: information shares of the looks, see `lan_demets_bounds`.
        drift: the expected z with all of the information: the effect in its standard errors.

    Example:
        >>> [round(power, 4) for power in found_by_looks([2.9626, 1.9686], [0.5, 1.0], 3.2415)]
        [0.2513, 0.899]
    """
    paths = _Paths(shares, drift)
    found: list[float] = []
    for bound in bounds:
        found.append((found[-1] if found else 0.0) + paths.beyond(bound))
        paths.go_on(bound)
    return [min(power, 1.0) for power in found]


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[Any, Any]:
    return np.polynomial.legendre.leggauss(_NODES)


class _Paths:
    """The density of Brownian paths, with a drift, that no look has stopped, at the look before the next."""

    def __init__(self, shares: Sequence[float], drift: float = 0.0) -> None:
        ascending = all(a < b for a, b in zip([0.0, *shares], shares, strict=False))
        if not shares or not ascending or shares[-1] > 1.0:
            raise InputError(
                "input.invalid", f"shares {list(shares)!r}; expected ascending, above 0, at most 1"
            )
        self._shares = list(shares)
        self._drift = drift
        self._look = 0
        self._time = 0.0
        # At first all paths stand at zero: one node with all the mass.
        self._nodes: Any = np.zeros(1)
        self._mass: Any = np.ones(1)

    def beyond(self, bound: float) -> float:
        """The probability to be beyond ± bound at the coming look."""
        from scipy.special import ndtr

        t = self._shares[self._look]
        step = math.sqrt(t - self._time)
        edge = bound * math.sqrt(t)
        ahead = self._nodes + self._drift * (t - self._time)
        tails = ndtr((ahead - edge) / step) + ndtr((-edge - ahead) / step)
        return float(self._mass @ tails)

    def bound_for(self, probability: float) -> float:
        """The bound beyond which the coming look is with this probability, by bisection."""
        low, high = 0.0, 1.0
        while self.beyond(high) > probability:
            high *= 2.0
            if high > 64.0:
                return math.inf
        for _ in range(60):
            middle = 0.5 * (low + high)
            if self.beyond(middle) > probability:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def go_on(self, bound: float) -> None:
        """Past the coming look: those within its bound remain."""
        t = self._shares[self._look]
        variance = t - self._time
        # Farther out than 9 standard deviations there is nothing to integrate, and infinity has no nodes.
        edge = min(bound, 9.0 + abs(self._drift)) * math.sqrt(t)
        roots, weights = _gauss_legendre()
        nodes = roots * edge
        ahead = self._nodes + self._drift * variance
        density = np.exp(-((nodes[:, None] - ahead[None, :]) ** 2) / (2.0 * variance)) @ self._mass
        self._mass = density / math.sqrt(2.0 * math.pi * variance) * weights * edge
        self._nodes, self._time = nodes, t
        self._look += 1
