"""The score interval of the difference of two proportions."""

import math
from collections.abc import Callable

from foldline.stats.interval import Interval
from foldline.stats.tails import normal_quantile
from foldline.stats.trials import Trials


def score_interval(control: Trials, treatment: Trials, confidence: float = 0.95) -> Interval:
    """All differences that the score test of Miettinen and Nurminen (1985) does not reject.

    The variance at a difference D is that of the most likely rates with this difference, times N / (N - 1).

    Args:
        control: its counts, n above 0.
        treatment: its counts, n above 0.
        confidence: above 0, below 1.

    Example:
        >>> low, high = score_interval(Trials(79, 1124), Trials(124, 1124))[1:3]
        >>> round(low, 6), round(high, 6)
        (0.01646, 0.064023)
    """
    z = normal_quantile(0.5 + confidence / 2)
    estimate = treatment.rate - control.rate
    total = control.n + treatment.n

    def excess(difference: float) -> float:
        p0, p1 = likely_rates(control, treatment, difference)
        variance = p0 * (1.0 - p0) / control.n + p1 * (1.0 - p1) / treatment.n
        variance *= total / (total - 1) if total > 1 else 1.0
        distance = abs(estimate - difference)
        return distance - z * math.sqrt(max(variance, 0.0))

    return Interval(estimate, _edge(excess, estimate, -1.0), _edge(excess, estimate, 1.0), confidence)


def likely_rates(control: Trials, treatment: Trials, difference: float) -> tuple[float, float]:
    """The most likely rates (p0, p0 + difference): the cubic of Miettinen and Nurminen (1985), appendix 1."""
    n0, n1 = control.n, treatment.n
    x0, x1 = control.successes, treatment.successes
    total = n0 + n1
    a = float(total)
    b = (n1 + 2 * n0) * difference - total - (x0 + x1)
    c = (n0 * difference - total - 2 * x0) * difference + x0 + x1
    d = x0 * difference * (1.0 - difference)
    q = b**3 / (3 * a) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    p = math.copysign(math.sqrt(max(b * b / (3 * a) ** 2 - c / (3 * a), 0.0)), q)
    angle = 1.0 if p == 0.0 else max(-1.0, min(1.0, q / p**3))
    turn = (math.pi + math.acos(angle)) / 3.0
    p0 = 2.0 * p * math.cos(turn) - b / (3 * a)
    p0 = min(max(p0, 0.0, -difference), 1.0, 1.0 - difference)
    return p0, p0 + difference


def _edge(excess: Callable[[float], float], inner: float, outer: float) -> float:
    """Where `excess` turns positive between the estimate and the bound, by bisection to the last bit."""
    if excess(outer) <= 0.0:
        return outer
    while True:
        middle = 0.5 * (inner + outer)
        if middle in (inner, outer):
            return middle
        if excess(middle) <= 0.0:
            inner = middle
        else:
            outer = middle
