"""Intervals and tests that hold at every moment, however often one looks: the normal mixture.

With an estimate d of standard error s, z = d / s, and the information ratio k = (prior variance of the effect) / s²,
the mixture likelihood ratio

    e = exp(k z² / (2 (k + 1))) / √(k + 1)

is a test martingale under "no effect" (Robbins 1970), so the probability that it ever reaches 1 / alpha is at most
alpha. Inverting it gives limits d ± s √((k + 1)/k · 2 ln(√(k + 1) / alpha)): Howard, Ramdas, McAuliffe and Sekhon
(2021), equations 3.4 and 3.7. With estimated standard errors it holds asymptotically (Waudby-Smith, Arbour, Sinha,
Kennedy and Ramdas 2024). GrowthBook's and Eppo's sequential intervals are this curve.

Tuned, k = n ρ²: then the interval is narrowest, for its alpha, at a chosen number of units N*. Every number of units of
this module counts all variants compared together.
"""

import math
from dataclasses import dataclass

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import normal_below


@dataclass(frozen=True, slots=True)
class NormalMixture:
    """A two-sided mixture, fixed before the first look.

    Attributes:
        rho_squared: information per unit, k = n · rho_squared; above 0.

    Example:
        >>> mixture = NormalMixture.tuned(5000, alpha=0.05)
        >>> interval = mixture.interval(0.0400355872, 0.0120605854, 2248)
        >>> round(interval.low, 6), round(interval.high, 6)
        (0.002637, 0.077434)
    """

    rho_squared: float

    def __post_init__(self) -> None:
        if not 0 < self.rho_squared < math.inf:
            raise InputError(
                "input.invalid", f"rho_squared is {self.rho_squared!r}; expected a finite number above 0"
            )

    @classmethod
    def tuned(cls, units: float, alpha: float = 0.05) -> "NormalMixture":
        """Narrowest, about, when `units` of both variants together are in (Howard et al. 2021, equation 3.5).

        Raises:
            InputError: `input.invalid` for units not above 0 or alpha outside 0 to 1.
        """
        check_alpha(alpha)
        if not 0 < units < math.inf:
            raise InputError(
                "input.invalid", f"units is {units!r}; expected a finite number above 0", field="units"
            )
        drop = -2.0 * math.log(alpha)
        return cls((drop + math.log1p(drop)) / units)

    def interval(
        self, estimate: float, standard_error: float, n: float, confidence: float = 0.95
    ) -> Interval | NotEstimable:
        """The limits after n units.

        Returns:
            The interval, or `NotEstimable` before any unit or without spread.

        Raises:
            InputError: `input.invalid` for a confidence outside 0 to 1.
        """
        check_alpha(1.0 - confidence)
        if n <= 0 or not standard_error > 0:
            return NotEstimable("no unit, or none that differs from another: there is no standard error yet")
        reach = standard_error * reach_in_errors(n * self.rho_squared, 1.0 - confidence)
        return Interval(estimate, estimate - reach, estimate + reach, confidence)

    def e_value(self, estimate: float, standard_error: float, n: float, null: float = 0.0) -> float:
        """Evidence against the effect `null`: its expectation under it is at most 1 at any stopping time.

        Infinite where it leaves the floating range; 1 without spread or units.
        """
        if n <= 0 or not standard_error > 0:
            return 1.0
        return exp_or_infinite(log_mixture((estimate - null) / standard_error, n * self.rho_squared))

    def p_value(self, estimate: float, standard_error: float, n: float, null: float = 0.0) -> float:
        """min(1, 1 / e): valid at any moment; take the least so far for the sequential p-value."""
        return min(1.0, 1.0 / self.e_value(estimate, standard_error, n, null))


def reach_in_errors(information: float, alpha: float) -> float:
    """The interval's half-width in standard errors at the information ratio k above 0.

    Example:
        >>> rho_squared = NormalMixture.tuned(5000).rho_squared
        >>> [round(reach_in_errors(n * rho_squared, 0.05), 6) for n in (100, 5000, 100_000)]
        [6.694389, 3.035209, 3.336858]
    """
    return math.sqrt((information + 1.0) / information * (math.log1p(information) - 2.0 * math.log(alpha)))


def log_mixture(z: float, information: float) -> float:
    """ln e of the two-sided mixture at a z value and the information ratio k."""
    return information * z * z / (2.0 * (information + 1.0)) - 0.5 * math.log1p(information)


def prior_e_value(estimate: float, standard_error: float, prior_sd: float) -> float:
    """The mixture with effects drawn from Normal(0, prior_sd²) on the effect's own scale.

    This is the mSPRT of Johari, Koomen, Pekelis and Walsh (2022), equation 10: k = prior_sd² / standard_error².

    Example:
        >>> round(prior_e_value(0.0400355872, 0.0120605854, 0.02), 5)
        29.35702
    """
    return exp_or_infinite(log_mixture(estimate / standard_error, (prior_sd / standard_error) ** 2))


def prior_reach(standard_error: float, prior_sd: float, alpha: float = 0.05) -> float:
    """The half-width of the mSPRT's interval, on the effect's scale."""
    return standard_error * reach_in_errors((prior_sd / standard_error) ** 2, alpha)


@dataclass(frozen=True, slots=True)
class OneSidedMixture:
    """A mixture over positive effects only: the live test of a guardrail, which asks about one direction.

    On the scale of Howard et al. (2021, proposition 6): s is a sum with the variance v so far.

    Attributes:
        rho: above 0; `tuned` sets it.
    """

    rho: float

    @classmethod
    def tuned(cls, variance: float, alpha: float = 0.05) -> "OneSidedMixture":
        """Narrowest, about, when the sum's variance is `variance`."""
        check_alpha(alpha)
        drop = -2.0 * math.log(2.0 * alpha)
        if not variance > 0 or drop <= -1.0:
            raise InputError(
                "input.invalid", f"variance={variance!r}, alpha={alpha!r}; expected above 0, below 0.5"
            )
        return cls(variance / (drop + math.log1p(drop)))

    def log_e(self, s: float, v: float) -> float:
        """ln of the evidence that the sum's drift is above zero.

        Example:
            >>> round(OneSidedMixture.tuned(100, 0.05).log_e(10.0, 100.0), 6)
            -0.065024
        """
        whole = v + self.rho
        below = normal_below(s / math.sqrt(whole))
        if below == 0.0:
            return -math.inf
        return 0.5 * math.log(4.0 * self.rho / whole) + s * s / (2.0 * whole) + math.log(below)

    def bound(self, v: float, alpha: float = 0.05) -> float:
        """The sum that is ever reached with a probability of at most alpha, without drift.

        Example:
            >>> round(OneSidedMixture.tuned(100, 0.05).bound(100.0), 4)
            27.6607
        """
        check_alpha(alpha)
        target = -math.log(alpha)
        low, high = 0.0, math.sqrt(v + self.rho)
        while self.log_e(high, v) < target:
            low, high = high, 2.0 * high
        while True:
            middle = 0.5 * (low + high)
            if middle in (low, high):
                return high
            if self.log_e(middle, v) < target:
                low = middle
            else:
                high = middle

    def lower_limit(
        self, estimate: float, standard_error: float, n: float, confidence: float = 0.95
    ) -> float:
        """The effect that the truth exceeds, with this confidence, at every moment; n units with this error.

        A sum of n estimates with variance v = n² s²: tune with the variance expected at the planned n, likewise.
        """
        variance = (n * standard_error) ** 2
        return estimate - self.bound(variance, 1.0 - confidence) / n


def check_alpha(alpha: float) -> None:
    """Refuse an error rate outside 0 to 1.

    Raises:
        InputError: `input.invalid`.
    """
    if not 0.0 < alpha < 1.0:
        raise InputError(
            "input.invalid", f"alpha is {alpha!r}; expected a number between 0 and 1", field="alpha"
        )


def exp_or_infinite(x: float) -> float:
    """eˣ, infinite where it leaves the floating range."""
    return math.exp(x) if x < 709.0 else math.inf
