"""The design of a test: alpha, power, effect and sample size, of which three give the fourth."""

import math
from dataclasses import dataclass, replace
from typing import Any

from foldline.errors import DefinitionError
from foldline.experiments.coherence import SMALLEST, check_request
from foldline.experiments.metrics import MeanMetric, Metric, ProportionMetric
from foldline.stats.exact_power import exact_power
from foldline.stats.sample_size import SizeEquation
from foldline.stats.tails import Alternative

MOST_UNITS = 10**12
"""A design that needs more of a variant is a mistake."""

_SAME_POWER = 1e-9
"""Less than any unit adds to the power of a design that is worth telling from another."""

_MOST_COUNTS = 4_000_000
"""Enumerating the exact power of more pairs of counts takes longer than anyone waits for a form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A coherent design; `design` makes it.

    With several challengers each is compared with the control at alpha over their number (Bonferroni), so that the
    chance of any false win is at most alpha; analysed by Holm's method the power is at least the designed one.

    Attributes:
        metric: what is measured.
        alpha: chance of a false win where nothing differs, 0 to 0.5.
        power: chance to find the effect asked for.
        effect: absolute difference, treatment minus control, that is to be found; for non-inferiority the true one.
        sample_sizes: units of control and each challenger, as planned.
        weights: of control and each challenger.
        alternative: two_sided, greater or less.
        margin: of non-inferiority: how much worse is still good enough; 0 for a test of difference.
        solved: which of alpha, power, effect, sample_size followed from the rest; None where all were given.
    """

    metric: Metric
    alpha: float
    power: float
    effect: float
    sample_sizes: tuple[int, ...]
    weights: tuple[int, ...] = (1, 1)
    alternative: Alternative = "two_sided"
    margin: float = 0.0
    solved: str | None = None

    @property
    def sample_size_per_variant(self) -> int:
        """Units of the control; of every variant, where they are weighted alike."""
        return self.sample_sizes[0]

    @property
    def sample_size_total(self) -> int:
        """Units of all variants."""
        return sum(self.sample_sizes)

    @property
    def alpha_per_comparison(self) -> float:
        """The level of each challenger's comparison with the control."""
        return self.alpha / (len(self.weights) - 1)

    @property
    def effect_relative(self) -> float | None:
        """The effect as a share of the baseline, where there is one."""
        return self.effect / abs(self.metric.baseline) if self.metric.baseline else None

    def power_at(self, control_size: float, effect: float | None = None) -> float:
        """The power with other units of control or another effect, of the least powerful comparison."""
        chosen = self.effect if effect is None else effect
        return _power(self, chosen, control_size, self.alpha)

    def equations(self) -> list[SizeEquation]:
        """Of each challenger against the control."""
        return _equations(self, self.effect)

    def exact_power(self) -> float | None:
        """The exact power of the test it is analysed by, at the planned sizes; None where that takes too long.

        Of two-sided tests of two proportions; large-sample formulas are all there is for others.
        """
        metric = self.metric
        if not isinstance(metric, ProportionMetric) or self.margin or self.alternative != "two_sided":
            return None
        rates, sizes = (metric.baseline, metric.baseline + self.effect), self.sample_sizes[:2]
        spreads = [14.0 * math.sqrt(n * p * (1.0 - p)) + 1 for n, p in zip(sizes, rates, strict=True)]
        if spreads[0] * spreads[1] > _MOST_COUNTS or metric.analysis == "unpooled_z":
            return None
        level, pair = self.alpha_per_comparison, (sizes[0], sizes[1])
        return exact_power(rates, pair, "yates" if metric.analysis == "yates" else "pooled_z", level)

    def as_json(self) -> dict[str, Any]:
        """The design as an object of plain values."""
        metric = self.metric
        return {
            "metric": metric.kind,
            "method": metric.method,
            "alternative": self.alternative,
            "alpha": self.alpha,
            "alpha_per_comparison": self.alpha_per_comparison,
            "correction": "bonferroni" if len(self.weights) > 2 else "none",
            "power": self.power,
            "effect": self.effect,
            "effect_relative": self.effect_relative,
            "baseline": metric.baseline,
            "sd": metric.sd if isinstance(metric, MeanMetric) else None,
            "margin": self.margin or None,
            "weights": list(self.weights),
            "sample_sizes": list(self.sample_sizes),
            "sample_size_per_variant": self.sample_size_per_variant,
            "sample_size_total": self.sample_size_total,
            "solved": self.solved,
            "power_at_sample_size": self.power_at(self.sample_sizes[0]),
            "analysis": metric.analysis,
            "exact_power": self.exact_power(),
        }


def design(
    metric: Metric,
    *,
    alpha: float | None = None,
    power: float | None = None,
    effect: float | None = None,
    sample_size: int | None = None,
    alternative: Alternative = "two_sided",
    weights: tuple[int, ...] = (1, 1),
    margin: float = 0.0,
) -> Design:
    """Solve for the one of alpha, power, effect and sample size that is not given; or check all four.

    Args:
        metric: what is measured, with the method.
        alpha: chance of a false win, between 0 and 0.5.
        power: chance to find the effect, above alpha, below 1.
        effect: absolute difference, not 0; negative for a fall. For non-inferiority the true difference, 0 allowed.
        sample_size: units of the control; the others' follow by weight.
        alternative: two_sided; greater or less for one-sided. Of a one-sided test for an effect to be solved, its
            direction; else the solved effect is positive.
        weights: integers above 0, of control and each challenger.
        margin: above 0 for non-inferiority: with `greater`, the treatment may be worse by less than this, where more
            is better; with `less`, where less is better. Proportions by the method `unpooled`.

    Returns:
        The design. Where all four are given and the sample is larger than needed it is taken as it is.

    Raises:
        InputError: `input.invalid`, `input.not_finite` for a value that cannot be.
        DefinitionError: `definition.incoherent` where values contradict each other; the message names them and the
            nearest that do not.

    Example:
        >>> plan = design(ProportionMetric(0.07), alpha=0.05, power=0.9, effect=0.04)
        >>> plan.sample_size_per_variant, plan.sample_size_total, plan.metric.method
        (1124, 2248, 'fleiss_cc')
        >>> design(MeanMetric(15.0), alpha=0.05, power=0.9, effect=0.7).sample_size_per_variant
        9650
        >>> round(design(ProportionMetric(0.07), alpha=0.05, power=0.9, sample_size=1124).effect, 7)
        0.0399811
    """
    check_request(metric, alpha, power, effect, sample_size, alternative, weights, margin)
    given = Design(
        metric=metric,
        alpha=0.0 if alpha is None else alpha,
        power=0.0 if power is None else power,
        effect=0.0 if effect is None else effect,
        sample_sizes=(0,) if sample_size is None else _sizes(sample_size, weights),
        weights=weights,
        alternative=alternative,
        margin=margin,
    )
    if sample_size is None:
        return _with(given, "sample_size", sample_sizes=_sizes(_affordable(given), weights))
    if power is None:
        # Of many units all but certain, which no equation takes back.
        found = min(_power(given, given.effect, sample_size, given.alpha), 1.0 - SMALLEST)
        return _checked(_with(given, "power", power=found))
    if alpha is None:
        return _checked(_with(given, "alpha", alpha=max(_alpha(given, sample_size), SMALLEST)))
    if effect is None:
        return _with(given, "effect", effect=_effect(given, sample_size))
    _check_all_four(given, sample_size)
    return given


def _with(given: Design, solved: str, **found: Any) -> Design:
    return replace(given, solved=solved, **found)


def _equations(given: Design, effect: float) -> list[SizeEquation]:
    """Of each challenger against the control."""
    towards = -given.margin if given.alternative == "less" else given.margin
    control, *others = given.weights
    return [given.metric.equation(effect, other / control, towards) for other in others]


def _sides(given: Design) -> int:
    return 2 if given.alternative == "two_sided" else 1


def _needed(given: Design, effect: float) -> float:
    """Units of control for every comparison."""
    return max(
        equation.control_size(given.alpha_per_comparison, given.power, sides=_sides(given))
        for equation in _equations(given, effect)
    )


def _affordable(given: Design) -> float:
    """Units of control for every comparison.

    Raises:
        DefinitionError: more than there are anywhere.
    """
    try:
        needed = _needed(given, given.effect)
    except OverflowError:
        needed = math.inf
    if needed > MOST_UNITS:
        raise DefinitionError(
            "definition.incoherent",
            f"an effect of {given.effect:g} needs {needed:.3g} units a variant, more than {MOST_UNITS:.0e}; give a "
            "larger effect",
            field="effect",
        )
    return needed


def _power(given: Design, effect: float, control_size: float, alpha: float) -> float:
    level = alpha / (len(given.weights) - 1)
    return min(
        equation.power(control_size, level, sides=_sides(given)) for equation in _equations(given, effect)
    )


def _alpha(given: Design, control_size: float) -> float:
    level = max(
        equation.alpha(control_size, given.power, sides=_sides(given))
        for equation in _equations(given, given.effect)
    )
    return level * (len(given.weights) - 1)


def _effect(given: Design, control_size: float) -> float:
    """The least effect that so many units find, by bisection, in the direction of the alternative or effect.

    Raises:
        DefinitionError: no effect is large enough.
    """
    towards = -1.0 if given.alternative == "less" or (given.effect < 0.0 and not given.margin) else 1.0
    limit = given.metric.room[1] if towards > 0 else -given.metric.room[0]
    if math.isinf(limit):
        limit = 1.0
        while _needed(given, towards * limit) > control_size:
            limit *= 2.0
    elif _needed(given, towards * limit * (1.0 - 1e-9)) > control_size:
        raise DefinitionError(
            "definition.incoherent",
            f"{control_size:g} units a variant find no effect with alpha {given.alpha:g} and power {given.power:g}: "
            f"from a baseline of {given.metric.baseline:g} even the largest needs "
            f"{math.ceil(_needed(given, towards * limit * (1.0 - 1e-9)))}; give more units",
            field="sample_size",
        )
    low = -given.margin + 1e-12 * max(given.margin, 1.0) if given.margin else 0.0
    high = limit
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high) or abs(middle) >= limit:
            break
        if _needed(given, towards * middle) > control_size:
            low = middle
        else:
            high = middle
    return towards * high


def _sizes(control_size: float, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Whole units of each variant, at least the two that a variance takes; what is whole but for rounding stays."""
    return tuple(max(2, math.ceil(control_size * weight / weights[0] - 1e-9)) for weight in weights)


def _checked(found: Design) -> Design:
    """Refuse an alpha or power that only nonsense would have."""
    if found.solved == "alpha" and not 0.0 < found.alpha < 0.5:
        raise DefinitionError(
            "definition.incoherent",
            f"a sample size of {found.sample_sizes[0]}, an effect of {found.effect:g} and power {found.power:g} would "
            f"need alpha {found.alpha:.3g}, where at most 0.5 makes sense; give more units, or less power",
            field="sample_size",
        )
    if found.solved == "power" and found.power <= found.alpha:
        raise DefinitionError(
            "definition.incoherent",
            f"a sample size of {found.sample_sizes[0]} with an effect of {found.effect:g} has power "
            f"{found.power:.3g}, no more than alpha {found.alpha:g}; give more units, or a larger effect",
            field="sample_size",
        )
    return found


def _check_all_four(given: Design, sample_size: int) -> None:
    needed = _sizes(_needed(given, given.effect), given.weights)[0]
    power = _power(given, given.effect, sample_size, given.alpha)
    # What was solved for is coherent, though near 1 a float says little of how near.
    if sample_size >= needed or power >= given.power - _SAME_POWER:
        return
    try:
        effect = f", or an effect of {_effect(given, sample_size):.3g}"
    except DefinitionError:
        effect = ""
    raise DefinitionError(
        "definition.incoherent",
        f"sample size {sample_size} contradicts alpha {given.alpha:g}, power {given.power:g} and effect "
        f"{given.effect:g}, which need {needed} a variant: give at least {needed}, or a power of "
        f"{math.floor(power * 1000) / 1000:g}{effect}",
        field="sample_size",
        value=sample_size,
        expected=f"at least {needed}",
    )
