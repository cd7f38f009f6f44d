"""How a challenger differs from the control by one metric: from a tally's totals to an estimate with its limits."""

import math

import msgspec

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.measure import Goal, Guardrail, Measure
from foldline.experiments.pairs import Estimator, Pair, paired
from foldline.experiments.tally import Totals
from foldline.experiments.tally_fold import ValuesKept
from foldline.experiments.tally_layout import Count
from foldline.stats.always_valid import NormalMixture
from foldline.stats.comparison import Comparison
from foldline.stats.lift import lift_interval
from foldline.stats.multiplicity import holm
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import ProportionTest, compare_proportions
from foldline.stats.welch import welch


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger against the control, by one metric, on the metric's own scale.

    Attributes:
        metric: its name.
        kind: proportion, mean or ratio.
        challenger: the variant's key.
        method: the test: `normal_mixture` at any moment; at the end `yates`, `pooled_z` or `unpooled_z` of a
            proportion, `welch` of a mean, and Welch's test of what was estimated otherwise: `delta` of a ratio,
            `cuped` of a mean with a covariate.
        estimator: of both values: `plain`, `delta` or `cuped` (`pairs.Pair`).
        control_units: matured units of the control.
        units: matured units of the challenger.
        control: the control's rate, mean or ratio; None where there is none.
        value: the challenger's.
        difference: challenger minus control; None where nothing can be said, with the `reason`.
        low: lower limit.
        high: upper limit.
        confidence: of the limits.
        p_value: of no difference; adjusted for the number of challengers where the test is at the end.
        e_value: evidence against no difference, of `normal_mixture`.
        lift: difference as a share of the control; shown, never decided by.
        lift_low: lower limit (Fieller).
        lift_high: upper limit.
        reason: why there is no estimate.
        note: what should be known of it: why it was not adjusted for its covariate.
    """

    metric: str
    kind: str
    challenger: str
    method: str
    estimator: Estimator = "plain"
    control_units: int
    units: int
    control: float | None = None
    value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float
    p_value: float | None = None
    e_value: float | None = None
    lift: float | None = None
    lift_low: float | None = None
    lift_high: float | None = None
    reason: str | None = None
    note: str | None = None


def live_effect(
    definition: ExperimentDefinition,
    kept: ValuesKept,
    totals: Totals,
    which: int,
    challenger: int,
    alpha: float,
) -> Effect:
    """The difference with limits that hold at every moment, however often one looks.

    Args:
        definition: of the experiment.
        kept: by `values_of` its measures.
        totals: up to a minute.
        which: 0 for the goal, then the guardrails.
        challenger: index of the variant.
        alpha: the limits miss the truth, ever, with at most this chance.
    """
    measure, units = definition.measures[which], _units(totals, challenger)
    pair = paired(measure, kept.of_measure[which], kept.pairs, totals, challenger, definition.unit_bits)
    key = definition.keys[challenger]
    if isinstance(pair, NotEstimable):
        return _none(measure, key, "normal_mixture", units, 1.0 - alpha, pair.reason)
    control, treatment = pair.control, pair.challenger
    error = math.sqrt(control.squared_error + treatment.squared_error)
    planned = definition.sample_sizes[0] + definition.sample_sizes[challenger]
    mixture = NormalMixture.tuned(planned, alpha)
    difference, n = treatment.mean - control.mean, sum(units)
    limits = mixture.interval(difference, error, n, 1.0 - alpha)
    if isinstance(limits, NotEstimable):
        return _none(measure, key, "normal_mixture", units, 1.0 - alpha, limits.reason)
    e_value = mixture.e_value(difference, error, n)
    return _effect(
        measure, key, "normal_mixture", units, pair, (limits.low, limits.high), 1.0 - alpha, min(1.0, 1.0 / e_value),
        e_value if math.isfinite(e_value) else None,
    )  # fmt: skip


def live_effects(definition: ExperimentDefinition, kept: ValuesKept, totals: Totals) -> tuple[Effect, ...]:
    """The goal's, one for each challenger, with limits that hold at every moment."""
    alpha = definition.alpha / (len(definition.keys) - 1)
    return tuple(
        live_effect(definition, kept, totals, 0, challenger, alpha)
        for challenger in range(1, len(definition.keys))
    )


def final_effects(definition: ExperimentDefinition, kept: ValuesKept, totals: Totals) -> list[Effect]:
    """The goal's fixed-horizon tests, one look, p-values adjusted for the number of challengers by Holm's method.

    A proportion is analysed by the test its design was sized for.
    """
    alpha = definition.alpha / (len(definition.keys) - 1)
    found = [
        _final(definition, kept, totals, challenger, 1.0 - alpha)
        for challenger in range(1, len(definition.keys))
    ]
    p_values = [effect.p_value for effect in found if effect.p_value is not None]
    adjusted = iter(holm(p_values) if p_values else [])
    return [
        effect if effect.p_value is None else msgspec.structs.replace(effect, p_value=next(adjusted))
        for effect in found
    ]


def breach(guardrail: Guardrail, effect: Effect) -> bool:
    """Whether the effect is surely worse than the margin allows."""
    if effect.low is None or effect.high is None:
        return False
    least_harm = -effect.high if guardrail.direction == "increase" else effect.low
    return least_harm > guardrail.margin


def _final(
    definition: ExperimentDefinition, kept: ValuesKept, totals: Totals, challenger: int, confidence: float
) -> Effect:
    measure, units, key = definition.goal, _units(totals, challenger), definition.keys[challenger]
    pair = paired(measure, kept.of_measure[0], kept.pairs, totals, challenger, definition.unit_bits)
    if isinstance(pair, NotEstimable):
        return _none(measure, key, _planned_method(definition.goal), units, confidence, pair.reason)
    found: Comparison | NotEstimable
    if measure.kind == "proportion":
        value = kept.of_measure[0][0]
        trials = [Trials(int(totals.sums[k, value]), totals.of(k, Count.MATURED)) for k in (0, challenger)]
        analysis: ProportionTest = definition.goal.metric().analysis  # type: ignore[assignment]  # of a proportion it is one
        found = compare_proportions(*trials, test=analysis, confidence=confidence)
    else:
        found = welch(pair.control, pair.challenger, confidence=confidence)
    if isinstance(found, NotEstimable):
        return _none(measure, key, _planned_method(definition.goal), units, confidence, found.reason)
    method = found.method if pair.estimator == "plain" else pair.estimator
    limits = found.difference.low, found.difference.high
    return _effect(measure, key, method, units, pair, limits, confidence, found.p_value, None)


def _planned_method(goal: Goal) -> str:
    """The name of the test at the end, where all can be estimated."""
    if goal.kind == "proportion":
        return goal.metric().analysis
    return "delta" if goal.kind == "ratio" else "welch" if goal.covariate is None else "cuped"


def _units(totals: Totals, challenger: int) -> tuple[int, int]:
    return totals.of(0, Count.MATURED), totals.of(challenger, Count.MATURED)


def _none(
    measure: Measure, key: str, method: str, units: tuple[int, int], confidence: float, reason: str
) -> Effect:
    return Effect(
        metric=measure.name,
        kind=measure.kind,
        challenger=key,
        method=method,
        control_units=units[0],
        units=units[1],
        confidence=confidence,
        reason=reason,
    )


def _effect(
    measure: Measure,
    key: str,
    method: str,
    units: tuple[int, int],
    pair: Pair,
    limits: tuple[float, float],
    confidence: float,
    p_value: float,
    e_value: float | None,
) -> Effect:
    control, treatment = pair.control, pair.challenger
    lift = lift_interval(control, treatment, confidence=confidence)
    there = not isinstance(lift, NotEstimable)
    return Effect(
        metric=measure.name,
        kind=measure.kind,
        challenger=key,
        method=method,
        estimator=pair.estimator,
        control_units=units[0],
        units=units[1],
        control=control.mean,
        value=treatment.mean,
        difference=treatment.mean - control.mean,
        low=limits[0],
        high=limits[1],
        confidence=confidence,
        p_value=p_value,
        e_value=e_value,
        lift=lift.estimate if there else None,  # type: ignore[union-attr]  # there means an interval
        lift_low=lift.low if there else None,  # type: ignore[union-attr]  # there means an interval
        lift_high=lift.high if there else None,  # type: ignore[union-attr]  # there means an interval
        note=pair.note,
    )
