"""Sample size, power, error rate and detectable effect of a comparison of two variants.

All large-sample formulas are one equation. With n units of control and r n of treatment,

    distance · √(r n) = z_alpha · null_spread + z_power · true_spread,

where the distance is what is to be told apart, and the spreads are standard deviations under the hypothesis and in
truth. It is solved for any one of its quantities in closed form; `proportion_equation` and `mean_equation` state it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from foldline.errors import InputError
from foldline.stats.tails import normal_below, normal_quantile

ProportionMethod = Literal["fleiss_cc", "fleiss", "unpooled", "arcsine"]
PROPORTION_METHODS: tuple[ProportionMethod, ...] = ("fleiss_cc", "fleiss", "unpooled", "arcsine")


@dataclass(frozen=True, slots=True)
class SizeEquation:
    """One design's equation; see the module.

    Attributes:
        distance: above 0.
        null_spread: above 0.
        true_spread: above 0.
        ratio: r, units of treatment for each of control, above 0.
        continuity: the difference of rates whose test is corrected for continuity (Fleiss 1981, equation 3.19);
            0 without correction.
        both_tails: whether a two-sided test's rejections on the wrong side count as finds, as in statsmodels; the
            spreads must then be equal. It matters in the sixth digit.

    Example:
        >>> equation = proportion_equation(0.07, 0.11)
        >>> round(equation.control_size(0.05, 0.9), 6)
        1123.0623
        >>> round(equation.power(1124, 0.05), 6)
        0.900248
    """

    distance: float
    null_spread: float
    true_spread: float
    ratio: float = 1.0
    continuity: float = 0.0
    both_tails: bool = False

    def control_size(self, alpha: float, power: float, *, sides: int = 2) -> float:
        """Units of control needed, not rounded; `ratio` times as many of treatment."""
        z, b = -normal_quantile(alpha / sides), normal_quantile(power)
        if self.both_tails and sides == 2:
            b = _shift_of_power(power, z) - z
        plain = ((z * self.null_spread + b * self.true_spread) / self.distance) ** 2 / self.ratio
        if not self.continuity:
            return plain
        more = 2.0 * (self.ratio + 1.0) / (self.ratio * self.continuity)
        return plain / 4.0 * (1.0 + math.sqrt(1.0 + more / plain)) ** 2

    def power(self, control_size: float, alpha: float, *, sides: int = 2) -> float:
        """The chance to find the difference; of a two-sided test, in its own direction but for `both_tails`."""
        z = -normal_quantile(alpha / sides)
        reach = self._reach(control_size)
        wrong = normal_below(-z - reach / self.true_spread) if self.both_tails and sides == 2 else 0.0
        return normal_below((reach - z * self.null_spread) / self.true_spread) + wrong

    def alpha(self, control_size: float, power: float, *, sides: int = 2) -> float:
        """The error rate at which so many units have this power."""
        if self.both_tails and sides == 2:
            return self._alpha_of_both(control_size, power)
        b = normal_quantile(power)
        return sides * normal_below(-(self._reach(control_size) - b * self.true_spread) / self.null_spread)

    def _alpha_of_both(self, control_size: float, power: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(100):
            middle = 0.5 * (low + high)
            if self.power(control_size, middle) < power:
                low = middle
            else:
                high = middle
        return high

    def _reach(self, control_size: float) -> float:
        """The left side. The correction of n' to n = n'/4 (1 + √(1 + 4c/n'))² is undone by n' = (n - c)² / n."""
        if not self.continuity:
            return self.distance * math.sqrt(self.ratio * control_size)
        lost = (self.ratio + 1.0) / (2.0 * self.ratio * self.continuity)
        return self.distance * math.sqrt(self.ratio / control_size) * max(control_size - lost, 0.0)


def proportion_equation(
    control: float,
    treatment: float,
    method: ProportionMethod = "fleiss_cc",
    *,
    ratio: float = 1.0,
    margin: float = 0.0,
) -> SizeEquation:
    """Of two proportions.

    Args:
        control: its rate, above 0, below 1.
        treatment: its rate, above 0, below 1; other than control's, or with a margin.
        method: `fleiss` pools the rates under the hypothesis (Fleiss 1981, equation 3.14), `fleiss_cc` is corrected
            for continuity (3.15, 3.19) and right for tests that are, `unpooled` takes each rate's own variance,
            `arcsine` transforms rates (Cohen 1988, chapter 6).
        ratio: units of treatment for each of control.
        margin: of non-inferiority, on the side of a worse treatment; `unpooled` only, since the hypothesis is then
            not equality.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.
    """
    if not 0 < control < 1 or not 0 < treatment < 1 or not ratio > 0 or (margin and method != "unpooled"):
        raise InputError(
            "input.invalid",
            f"rates {control!r} and {treatment!r}, ratio {ratio!r}, margin {margin!r} by {method!r}; expected rates "
            "between 0 and 1, a ratio above 0, and a margin with unpooled only",
        )
    distance = abs(treatment - control + margin)
    if distance == 0.0:
        raise InputError("input.invalid", "the rates do not differ: no number of units could tell them apart")
    own = math.sqrt(ratio * control * (1.0 - control) + treatment * (1.0 - treatment))
    if method == "unpooled":
        return SizeEquation(distance, own, own, ratio)
    if method == "arcsine":
        spread = math.sqrt(ratio + 1.0)
        return SizeEquation(abs(cohen_h(control, treatment)), spread, spread, ratio, both_tails=True)
    if method not in PROPORTION_METHODS:
        raise InputError(
            "input.invalid", f"method {method!r}; expected one of {', '.join(PROPORTION_METHODS)}"
        )
    common = (control + ratio * treatment) / (1.0 + ratio)
    pooled = math.sqrt((ratio + 1.0) * common * (1.0 - common))
    return SizeEquation(distance, pooled, own, ratio, distance if method == "fleiss_cc" else 0.0)


def mean_equation(
    distance: float, control_sd: float, treatment_sd: float | None = None, ratio: float = 1.0
) -> SizeEquation:
    """Of two means, by the normal distribution: n = (sd₀² + sd₁² / r) (z_alpha + z_power)² / distance².

    Args:
        distance: the difference, plus the margin for non-inferiority; above 0.
        control_sd: standard deviation of a unit, above 0.
        treatment_sd: likewise; the control's by default.
        ratio: units of treatment for each of control.

    Example:
        >>> round(mean_equation(0.7, 15.0).control_size(0.05, 0.9), 6)
        9649.67424
    """
    other = control_sd if treatment_sd is None else treatment_sd
    if not distance > 0 or not control_sd > 0 or not other > 0 or not ratio > 0:
        raise InputError(
            "input.invalid",
            f"distance {distance!r}, deviations {control_sd!r} and {other!r}, ratio {ratio!r}; expected all above 0",
        )
    spread = math.sqrt(ratio * control_sd**2 + other**2)
    return SizeEquation(distance, spread, spread, ratio)


def cohen_h(control: float, treatment: float) -> float:
    """2 asin √treatment - 2 asin √control (Cohen 1988, equation 6.2.1)."""
    return 2.0 * (math.asin(math.sqrt(treatment)) - math.asin(math.sqrt(control)))


def _shift_of_power(power: float, z: float) -> float:
    """x with Φ(x - z) + Φ(-x - z) = power, by bisection; 0 where even no shift has as much."""
    low, high = 0.0, z + 40.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        if normal_below(middle - z) + normal_below(-middle - z) < power:
            low = middle
        else:
            high = middle
    return high


def student_power(
    effect_in_sds: float, control_size: float, alpha: float, *, sides: int = 2, ratio: float = 1.0
) -> float:
    """The exact power of Student's test with equal variances, by the noncentral t distribution; both tails.

    Example:
        >>> round(student_power(0.3, 100, 0.05), 6)
        0.560059
    """
    from scipy.special import nctdtr, stdtrit

    freedom = (1.0 + ratio) * control_size - 2.0
    if freedom <= 0:
        return 0.0
    shift = abs(effect_in_sds) * math.sqrt(control_size * ratio / (1.0 + ratio))
    critical = float(stdtrit(freedom, 1.0 - alpha / sides))
    upper = 1.0 - float(nctdtr(freedom, shift, critical))
    return upper + (float(nctdtr(freedom, shift, -critical)) if sides == 2 else 0.0)


def student_size(
    effect_in_sds: float, alpha: float, power: float, *, sides: int = 2, ratio: float = 1.0
) -> float:
    """Units of control, not rounded, at which `student_power` is the power asked for; by bisection."""
    low = high = max(
        2.0, mean_equation(abs(effect_in_sds), 1.0, ratio=ratio).control_size(alpha, power, sides=sides)
    )
    while student_power(effect_in_sds, high, alpha, sides=sides, ratio=ratio) < power:
        high *= 1.5
    while low > 2.0 and student_power(effect_in_sds, low, alpha, sides=sides, ratio=ratio) > power:
        low = max(2.0, low / 1.5)
    for _ in range(80):
        middle = 0.5 * (low + high)
        if student_power(effect_in_sds, middle, alpha, sides=sides, ratio=ratio) < power:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
