"""How a challenger differs from the control by one metric: from a tally's totals to an estimate with its limits."""

import math

import msgspec

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.measure import Goal, Guardrail, Measure
from foldline.experiments.pairs import Estimator, Pair, paired
from foldline.experiments.tally import Totals
from foldline.experiments.tally_fold import ValuesKept
from foldline.experiments.tally_layout import Count
from foldline.stats.always_valid import NormalMixture, OneSidedMixture, exp_or_infinite
from foldline.stats.comparison import Comparison
from foldline.stats.interval import Interval
from foldline.stats.lift import lift_interval
from foldline.stats.multiplicity import holm
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import Alternative
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
        estimator: of both values: `plain`, `delta`, `cuped` or `ipw` (`pairs.Pair`).
        control_units: matured units of the control.
        units: matured units of the challenger.
        control: the control's rate, mean or ratio; None where there is none.
        value: the challenger's.
        difference: challenger minus control; None where nothing can be said, with the `reason`.
        low: lower limit.
        high: upper limit.
        confidence: of the limits, two-sided; at the end of a one-sided test the one towards the worse is its `bound`.
        alternative: what was asked: `two_sided`, `greater` or `less`.
        null: the difference tested against: 0, or minus the margin on the metric's scale.
        bound: of a one-sided question: the limit towards the worse that alpha gives, at any moment or at the end.
        p_value: of the null; adjusted for the number of challengers where the test is at the end.
        e_value: evidence against the null, of `normal_mixture`.
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
    alternative: Alternative = "two_sided"
    null: float = 0.0
    bound: float | None = None
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

    The limits are two-sided; where the goal asks one-sided, bound, p-value and e-value are of a mixture over effects
    of the better direction.

    Args:
        definition: of the experiment.
        kept: by `values_of` its measures.
        totals: up to a minute.
        which: 0 for the goal, then the guardrails.
        challenger: index of the variant.
        alpha: the limits, and the bound, miss the truth, ever, with at most this chance.
    """
    measure = definition.measures[which]
    none = _nothing(definition, measure, "normal_mixture", totals, challenger, 1.0 - alpha)
    pair = paired(definition, kept, totals, which, challenger)
    if isinstance(pair, NotEstimable):
        return msgspec.structs.replace(none, reason=pair.reason)
    error = math.sqrt(pair.control.squared_error + pair.challenger.squared_error)
    planned = definition.sample_sizes[0] + definition.sample_sizes[challenger]
    mixture, n = NormalMixture.tuned(planned, alpha), none.units + none.control_units
    difference = pair.challenger.mean - pair.control.mean
    limits = mixture.interval(difference, error, n, 1.0 - alpha)
    if isinstance(limits, NotEstimable):
        return msgspec.structs.replace(none, reason=limits.reason)
    if none.alternative == "two_sided":
        e_value, bound = mixture.e_value(difference, error, n), None
    else:
        # In standard errors of one unit the sum of n has the variance n.
        one_sided, root = OneSidedMixture.tuned(planned, alpha), math.sqrt(n)
        z = measure.better * (difference - none.null) / error
        e_value = exp_or_infinite(one_sided.log_e(z * root, n))
        bound = difference - measure.better * error * one_sided.bound(n, alpha) / root
    return _filled(none, pair, limits, 1.0 / e_value if e_value > 1.0 else 1.0, bound, e_value)


def live_effects(definition: ExperimentDefinition, kept: ValuesKept, totals: Totals) -> tuple[Effect, ...]:
    """The goal's, one for each challenger, with limits that hold at every moment."""
    alpha = definition.alpha / (len(definition.keys) - 1)
    return tuple(
        live_effect(definition, kept, totals, 0, challenger, alpha)
        for challenger in range(1, len(definition.keys))
    )


def final_effects(definition: ExperimentDefinition, kept: ValuesKept, totals: Totals) -> list[Effect]:
    """The goal's fixed-horizon tests, one look, p-values adjusted for the number of challengers by Holm's method.

    A proportion is analysed by the test its design was sized for. Of a one-sided question the limits are those at
    twice its alpha, so that the one towards the worse is its bound.
    """
    challengers = range(1, len(definition.keys))
    found = [_final(definition, kept, totals, k, definition.alpha / len(challengers)) for k in challengers]
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
    definition: ExperimentDefinition, kept: ValuesKept, totals: Totals, challenger: int, alpha: float
) -> Effect:
    goal = definition.goal
    confidence = 1.0 - (alpha if goal.alternative == "two_sided" else 2.0 * alpha)
    none = _nothing(definition, goal, _planned_method(goal), totals, challenger, confidence)
    pair = paired(definition, kept, totals, 0, challenger)
    if isinstance(pair, NotEstimable):
        return msgspec.structs.replace(none, reason=pair.reason)
    if goal.kind == "proportion":
        value = kept.of_measure[0][0]
        trials = [Trials(int(totals.sums[k, value]), totals.of(k, Count.MATURED)) for k in (0, challenger)]
        found = _of_proportions(goal, trials[0], trials[1], confidence)
    else:
        found = welch(
            pair.control, pair.challenger, confidence=confidence, alternative=goal.alternative, null=goal.null
        )
    if isinstance(found, NotEstimable):
        return msgspec.structs.replace(none, reason=found.reason)
    limits = found.difference
    if goal.kind != "proportion" and goal.alternative != "two_sided":
        two_sided = welch(pair.control, pair.challenger, confidence=confidence)
        limits = limits if isinstance(two_sided, NotEstimable) else two_sided.difference
    bound = {"two_sided": None, "greater": limits.low, "less": limits.high}[goal.alternative]
    method = found.method if pair.estimator == "plain" else pair.estimator
    return _filled(msgspec.structs.replace(none, method=method), pair, limits, found.p_value, bound)


def _of_proportions(
    goal: Goal, control: Trials, challenger: Trials, confidence: float
) -> Comparison | NotEstimable:
    analysis: ProportionTest = goal.metric().analysis  # type: ignore[assignment]  # of a proportion it is one
    # With a margin test and limits must agree: both by each rate's own variance.
    return compare_proportions(
        control,
        challenger,
        test=analysis,
        interval="wald" if goal.margin else "newcombe",
        confidence=confidence,
        alternative=goal.alternative,
        null=goal.null,
    )


def _planned_method(goal: Goal) -> str:
    """The name of the test at the end, where all can be estimated."""
    if goal.kind == "proportion":
        return goal.metric().analysis
    return "delta" if goal.kind == "ratio" else "welch" if goal.covariate is None else "cuped"


def _nothing(
    definition: ExperimentDefinition,
    measure: Measure,
    method: str,
    totals: Totals,
    challenger: int,
    confidence: float,
) -> Effect:
    """What is asked, before there is an estimate."""
    asked = (measure.alternative, measure.null) if isinstance(measure, Goal) else ("two_sided", 0.0)
    return Effect(
        metric=measure.name,
        kind=measure.kind,
        challenger=definition.keys[challenger],
        method=method,
        control_units=totals.of(0, Count.MATURED),
        units=totals.of(challenger, Count.MATURED),
        confidence=confidence,
        alternative=asked[0],
        null=asked[1],
    )


def _filled(
    none: Effect,
    pair: Pair,
    limits: Interval,
    p_value: float,
    bound: float | None,
    e_value: float | None = None,
) -> Effect:
    lift = lift_interval(pair.control, pair.challenger, confidence=none.confidence)
    lifts = (None, None, None) if isinstance(lift, NotEstimable) else (lift.estimate, lift.low, lift.high)
    return msgspec.structs.replace(
        none,
        estimator=pair.estimator,
        control=pair.control.mean,
        value=pair.challenger.mean,
        difference=pair.challenger.mean - pair.control.mean,
        low=limits.low,
        high=limits.high,
        bound=bound,
        p_value=p_value,
        e_value=e_value if e_value is not None and math.isfinite(e_value) else None,
        lift=lifts[0],
        lift_low=lifts[1],
        lift_high=lifts[2],
        note=pair.note,
    )
