"""How the power of a design grows with its units, and how long it runs."""

import math
from typing import NamedTuple

from foldline.errors import DefinitionError, InputError
from foldline.experiments.design import Design, design
from foldline.stats.always_valid import NormalMixture, OneSidedMixture, reach_in_errors
from foldline.stats.group_sequential import found_by_looks


class CurvePoint(NamedTuple):
    """A point of the curve.

    Attributes:
        sample_size: units of the control.
        power: with them.
    """

    sample_size: int
    power: float


def power_curve(plan: Design, points: int = 40, *, effect: float | None = None) -> list[CurvePoint]:
    """The power from a few units to twice the planned ones, at even steps.

    Args:
        plan: the design.
        points: how many, at least 2.
        effect: another one than the design's.

    Example:
        >>> from foldline.experiments.metrics import ProportionMetric
        >>> plan = design(ProportionMetric(0.07), alpha=0.05, power=0.9, effect=0.04)
        >>> [(n, round(power, 2)) for n, power in power_curve(plan, 4)]
        [(562, 0.61), (1124, 0.9), (1686, 0.98), (2248, 1.0)]
    """
    if points < 2:
        raise InputError("input.invalid", f"points is {points!r}; expected at least 2", field="points")
    most = 2 * plan.sample_size_per_variant
    sizes = sorted({max(2, round(most * (step + 1) / points)) for step in range(points)})
    return [CurvePoint(n, plan.power_at(n, effect)) for n in sizes]


def always_valid_curve(plan: Design, points: int = 48) -> list[CurvePoint]:
    """The chance that limits which hold at every moment have found the effect, by so many units.

    They are tuned to the planned units, as those of a running experiment are, and looked at as often as there are
    points, from few units to twice the planned ones: looked at every minute the chance is up to three percentage
    points higher. Of the least powerful comparison.

    Example:
        >>> from foldline.experiments.metrics import ProportionMetric
        >>> plan = design(ProportionMetric(0.07), alpha=0.05, power=0.9, effect=0.04)
        >>> [(n, round(power, 2)) for n, power in always_valid_curve(plan)[23::24]]
        [(1124, 0.69), (2248, 0.97)]
    """
    shares = [(point + 1) / points for point in range(points)]
    control, *others = plan.sample_sizes
    one_sided = plan.alternative != "two_sided"
    least = [1.0] * points
    for equation, other in zip(plan.equations(), others, strict=True):
        planned, level = control + other, plan.alpha_per_comparison
        if one_sided:
            mixture = OneSidedMixture.tuned(planned, level)
            bounds = [
                mixture.bound(n, level) / math.sqrt(n) for n in (2 * planned * share for share in shares)
            ]
        else:
            rho_squared = NormalMixture.tuned(planned, level).rho_squared
            bounds = [reach_in_errors(2 * planned * share * rho_squared, level) for share in shares]
        drift = equation.distance * math.sqrt(2.0 * control * equation.ratio) / equation.true_spread
        least = [min(pair) for pair in zip(least, found_by_looks(bounds, shares, drift), strict=True)]
    return [CurvePoint(max(2, round(2 * control * s)), power) for s, power in zip(shares, least, strict=True)]


def duration_days(
    plan: Design, units_per_day: float, *, coverage: float = 1.0, max_days: float | None = None
) -> int:
    """Days until the planned units have come; new units, each counted once.

    Args:
        plan: the design.
        units_per_day: eligible ones, above 0.
        coverage: the share of them that is enrolled, above 0, at most 1.
        max_days: the longest the test may run.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.
        DefinitionError: `definition.incoherent` where it would run longer; with what would do.

    Example:
        >>> from foldline.experiments.metrics import ProportionMetric
        >>> duration_days(design(ProportionMetric(0.07), alpha=0.05, power=0.9, effect=0.04), 400)
        6
    """
    if not 0 < units_per_day < math.inf:
        raise InputError(
            "input.invalid", f"{units_per_day!r} new units a day; expected above 0", field="units_per_day"
        )
    if not 0 < coverage <= 1:
        raise InputError(
            "input.invalid", f"coverage is {coverage!r}; expected above 0, at most 1", field="coverage"
        )
    if max_days is not None and not 0 < max_days < math.inf:
        raise InputError("input.invalid", f"max_days is {max_days!r}; expected above 0", field="max_days")
    days = math.ceil(plan.sample_size_total / (units_per_day * coverage) - 1e-9)
    if max_days is None or days <= max_days:
        return days
    share = plan.weights[0] / sum(plan.weights)
    reached = int(units_per_day * coverage * max_days * share)
    raise DefinitionError(
        "definition.incoherent",
        f"{plan.sample_size_total} units at {units_per_day * coverage:g} a day take {days} days, not {max_days:g}: "
        f"give {days} days, or {math.ceil(plan.sample_size_total / max_days)} units a day{_findable(plan, reached)}",
        field="max_days",
        value=max_days,
        expected=f"at least {days}",
    )


def _findable(plan: Design, control_size: int) -> str:
    """The effect that so many units would find, in words."""
    try:
        other = design(
            plan.metric,
            alpha=plan.alpha,
            power=plan.power,
            sample_size=control_size,
            alternative="less" if plan.effect < 0 and not plan.margin else plan.alternative,
            weights=plan.weights,
            margin=plan.margin,
        )
    except (InputError, DefinitionError):
        return ""
    return f", or an effect of {other.effect:.3g}"
