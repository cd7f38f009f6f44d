"""What a test of two variants takes: from a tally's totals to one sample of each, and how they were estimated.

Where a variant learns, its units are not alike: what it does for one depends on what happened to others before. The
means of the variants' units are then weighted by the probability they were assigned with. With p of the pair's n
units for a variant and a number c fixed beforehand, the score of a unit with value y,

    h = (y - c) (1{challenger} / p - 1{control} / (1 - p)),

has the unit's own effect, given all that came before, as its expectation, since the hash that assigns knows nothing of
the past. So sums of h less the effects are a martingale, and the normal mixture of their variance, the sum of squared
scores, gives limits of the mean effect over the run as it went (Howard et al. 2021; Waudby-Smith et al. 2024). c, the
design's baseline, takes variance off and leaves the expectation as it is: a doubly robust score with a constant model.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.tally import Totals
from foldline.experiments.tally_fold import ValuesKept
from foldline.experiments.tally_layout import Count
from foldline.stats.cuped import cuped_samples
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.ratio import ratio_sample
from foldline.stats.sample import Sample, proportion_sample

Estimator = Literal["plain", "delta", "cuped", "ipw"]


class Weighting(NamedTuple):
    """How the units of two variants are weighted, of which one learns.

    Attributes:
        control: probability of the control among the pair's units.
        challenger: the challenger's.
        centre: c, fixed beforehand.
    """

    control: float
    challenger: float
    centre: float


def weighting(definition: ExperimentDefinition, which: int, challenger: int) -> Weighting | None:
    """Of a challenger and the control, by a metric: 0 for the goal, then the guardrails; None where neither learns.

    With a fixed horizon nothing is weighted: no variant learns there, but in an A/A split of what one has logged.
    """
    adaptive = definition.adaptive
    if definition.rule == "fixed" or not (adaptive[0] or adaptive[challenger]):
        return None
    mine, theirs = definition.weights[0], definition.weights[challenger]
    centre = definition.goal.baseline if which == 0 else None
    return Weighting(mine / (mine + theirs), theirs / (mine + theirs), centre or 0.0)


class Pair(NamedTuple):
    """Control and challenger in the form that every test of means takes.

    Attributes:
        control: its units.
        challenger: its units.
        estimator: `plain`: rates or means as they are; `delta`: ratios of totals, by the delta method; `cuped`:
            means adjusted for the covariate; `ipw`: weighted by the probabilities of the variants, one of which learns.
        note: why it is plain where the metric asks for more.
    """

    control: Sample
    challenger: Sample
    estimator: Estimator = "plain"
    note: str | None = None


def paired(
    definition: ExperimentDefinition, kept: ValuesKept, totals: Totals, which: int, challenger: int
) -> Pair | NotEstimable:
    """The samples of a challenger and the control.

    Args:
        definition: of the experiment.
        kept: by `values_of` its measures.
        totals: up to a minute.
        which: 0 for the goal, then the guardrails.
        challenger: index of the variant.
    """
    measure, values, arms = definition.measures[which], kept.of_measure[which], (0, challenger)
    weighted = weighting(definition, which, challenger)
    if measure.kind == "proportion":
        counts = [(int(totals.sums[k, values[0]]), totals.of(k, Count.MATURED)) for k in arms]
        if min(n for _, n in counts) < 1:
            return NotEstimable("a variant has no matured units yet")
        plain = _rates(counts)
        if weighted is not None:
            return _weighted(weighted, [(one.n, one.mean, one.n * one.variance) for one in plain])
        return Pair(plain[0], plain[1])
    moments = [totals.moments(k, values, kept.pairs).moments(definition.unit_bits) for k in arms]
    if weighted is not None:
        if min(one.n for one in moments) < 1:
            return NotEstimable("a variant has no matured units yet")
        return _weighted(weighted, [(one.n, one.means[0], one.comoments[0][0]) for one in moments])
    note = None
    if measure.covariate is not None:
        adjusted = cuped_samples(moments[0], moments[1])
        if not isinstance(adjusted, NotEstimable):
            return Pair(adjusted.control, adjusted.treatment, "cuped")
        note = f"not adjusted for {measure.covariate!r}: {adjusted.reason}"
    found = [ratio_sample(m) if measure.kind == "ratio" else m.sample() for m in moments]
    if isinstance(found[0], NotEstimable):
        return found[0]
    if isinstance(found[1], NotEstimable):
        return found[1]
    return Pair(found[0], found[1], "delta" if measure.kind == "ratio" else "plain", note)


def _rates(counts: Sequence[tuple[int, int]]) -> list[Sample]:
    """Of successes and units of each; where one rate is 0 and the other 1, with a spread nevertheless.

    There each has that of half a success more in one unit more: as they are they would have no standard error, and
    what is plainest, such as a challenger that fails always, would never be found.
    """
    plain = [proportion_sample(*count) for count in counts]
    if {one.mean for one in plain} != {0.0, 1.0}:
        return plain
    nearly = [(successes + 0.5) / (n + 1) for successes, n in counts]
    return [one._replace(variance=p * (1.0 - p)) for one, p in zip(plain, nearly, strict=True)]


def _weighted(weights: Weighting, parts: Sequence[tuple[int, float, float]]) -> Pair:
    """Of units, mean and sum of squares about it of each; errors are those of the scores, uncorrected."""
    units = sum(n for n, _, _ in parts)

    def sample(p: float, n: int, mean: float, about_mean: float) -> Sample:
        apart = mean - weights.centre
        squares = about_mean + n * apart * apart
        return Sample(n, weights.centre + n * apart / (p * units), n * squares / (p * units) ** 2)

    return Pair(sample(weights.control, *parts[0]), sample(weights.challenger, *parts[1]), "ipw")
