"""Refusals of requests that no design could fulfil, each with what would be possible."""

import math

from foldline.errors import DefinitionError, InputError
from foldline.experiments.metrics import Metric, ProportionMetric
from foldline.stats.tails import Alternative, check_alternative

LARGEST_ALPHA = 0.5

SMALLEST = 1e-12
"""Of alpha, and of what power lacks to 1: less is lost beside 1 in a float."""


def check_request(
    metric: Metric,
    alpha: float | None,
    power: float | None,
    effect: float | None,
    sample_size: int | None,
    alternative: Alternative,
    weights: tuple[int, ...],
    margin: float,
) -> None:
    """Check what `design` is asked, before anything is solved.

    Raises:
        InputError: a value that cannot be by itself.
        DefinitionError: values that contradict each other.
    """
    check_alternative(alternative)
    _check_numbers(alpha, power, effect, sample_size, margin)
    _check_weights(weights)
    missing = [
        name
        for name, value in (
            ("alpha", alpha),
            ("power", power),
            ("effect", effect),
            ("sample_size", sample_size),
        )
        if value is None
    ]
    if len(missing) > 1:
        raise InputError(
            "input.invalid",
            f"{' and '.join(missing)} are not given; three of alpha, power, effect and sample_size give the fourth",
            field=missing[0],
        )
    if alpha is not None and power is not None and power <= alpha:
        raise DefinitionError(
            "definition.incoherent",
            f"power {power!r} is not above alpha {alpha!r}: a coin would do as well; give a power such as 0.8",
            field="power",
        )
    _check_margin(metric, effect, alternative, margin)
    if effect is not None:
        _check_effect(metric, effect, alternative, margin)


def _check_numbers(
    alpha: float | None, power: float | None, effect: float | None, sample_size: int | None, margin: float
) -> None:
    if alpha is not None and not SMALLEST <= alpha < LARGEST_ALPHA:
        raise InputError(
            "input.invalid",
            f"alpha is {alpha!r}; expected from {SMALLEST:g} to below 0.5, such as 0.05",
            field="alpha",
        )
    if power is not None and not SMALLEST <= power <= 1.0 - SMALLEST:
        raise InputError(
            "input.invalid", f"power is {power!r}; expected between alpha and 1, such as 0.8", field="power"
        )
    if effect is not None and not math.isfinite(effect):
        raise InputError(
            "input.not_finite", f"effect is {effect!r}; expected a finite number", field="effect"
        )
    if sample_size is not None and (type(sample_size) is not int or sample_size < 2):
        raise InputError(
            "input.invalid",
            f"sample_size is {sample_size!r}; expected a whole number of units a variant, at least 2",
            field="sample_size",
        )
    if not 0.0 <= margin < math.inf:
        raise InputError("input.invalid", f"margin is {margin!r}; expected a number above 0", field="margin")


def _check_weights(weights: tuple[int, ...]) -> None:
    if len(weights) < 2 or any(type(weight) is not int or weight < 1 for weight in weights):
        raise InputError(
            "input.invalid",
            f"weights {weights!r}; expected integers above 0, of the control and of each challenger, such as 1,1",
            field="weights",
        )


def _check_margin(metric: Metric, effect: float | None, alternative: Alternative, margin: float) -> None:
    if not margin:
        return
    if alternative == "two_sided":
        raise DefinitionError(
            "definition.incoherent",
            f"a margin of {margin!r} asks whether the treatment is not worse, which has one side; give the alternative "
            "greater where more is better, less where less is",
            field="alternative",
        )
    if isinstance(metric, ProportionMetric) and metric.method != "unpooled":
        raise DefinitionError(
            "definition.incoherent",
            f"method {metric.method!r} supposes equal rates, a margin of {margin!r} supposes that they differ; "
            "give the method unpooled",
            field="method",
        )
    towards = 1.0 if alternative == "greater" else -1.0
    if effect is not None and towards * effect + margin <= 0.0:
        raise DefinitionError(
            "definition.incoherent",
            f"an effect of {effect!r} is outside the margin of {margin!r}: the treatment is worse than allowed; give "
            f"an effect {'above' if towards > 0 else 'below'} {-towards * margin:g}, or a larger margin",
            field="effect",
        )


def _check_effect(metric: Metric, effect: float, alternative: Alternative, margin: float) -> None:
    if effect == 0.0 and not margin:
        raise DefinitionError(
            "definition.incoherent",
            "an effect of 0 cannot be told from no effect by any number of units; give the least that matters",
            field="effect",
        )
    if not margin and ((alternative == "greater" and effect < 0) or (alternative == "less" and effect > 0)):
        raise DefinitionError(
            "definition.incoherent",
            f"the alternative {alternative!r} contradicts an effect of {effect!r}; give {-effect!r}, or the "
            f"alternative {'less' if effect < 0 else 'greater'}",
            field="alternative",
        )
    low, high = metric.room
    if not low < effect < high:
        raise DefinitionError(
            "definition.incoherent",
            f"a baseline of {metric.baseline!r} with an effect of {effect!r} would be a rate of "
            f"{(metric.baseline or 0.0) + effect:g}, which must lie between 0 and 1; give an effect between "
            f"{low:g} and {high:g}",
            field="effect",
        )
