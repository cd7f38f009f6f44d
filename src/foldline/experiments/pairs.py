"""What a test of two variants takes: from a tally's totals to one sample of each, and how they were estimated."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from foldline.experiments.measure import Measure
from foldline.experiments.tally import Totals
from foldline.experiments.tally_layout import Count
from foldline.stats.cuped import cuped_samples
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.ratio import ratio_sample
from foldline.stats.sample import Sample, proportion_sample

Estimator = Literal["plain", "delta", "cuped"]


class Pair(NamedTuple):
    """Control and challenger in the form that every test of means takes.

    Attributes:
        control: its units.
        challenger: its units.
        estimator: `plain`: rates or means as they are; `delta`: ratios of totals, by the delta method; `cuped`:
            means adjusted for the covariate.
        note: why it is plain where the metric asks for more.
    """

    control: Sample
    challenger: Sample
    estimator: Estimator = "plain"
    note: str | None = None


def paired(
    measure: Measure,
    values: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    totals: Totals,
    challenger: int,
    unit_bits: int,
) -> Pair | NotEstimable:
    """The samples of a challenger and the control.

    Args:
        measure: the metric.
        values: which values of the tally it is made of.
        pairs: the pairs that products are kept of.
        totals: up to a minute.
        challenger: index of the variant.
        unit_bits: of the sums.
    """
    if measure.kind == "proportion":
        counts = [(int(totals.sums[k, values[0]]), totals.of(k, Count.MATURED)) for k in (0, challenger)]
        if min(n for _, n in counts) < 1:
            return NotEstimable("a variant has no matured units yet")
        return Pair(proportion_sample(*counts[0]), proportion_sample(*counts[1]))
    moments = [totals.moments(k, values, pairs).moments(unit_bits) for k in (0, challenger)]
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
