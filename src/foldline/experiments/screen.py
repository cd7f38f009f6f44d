"""Which minutes of an experiment must be looked at exactly: all others can change nothing, and are passed over.

The rules of a verdict are exact, and cost a tenth of a millisecond a minute. Here the same quantities are computed
for all minutes at once, in floating point and with a slack far above its error: what is nowhere near a limit cannot
cross it. So a walk gives what it would give by looking at every minute.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.measure import Goal, Guardrail, Measure
from foldline.experiments.pairs import weighting
from foldline.experiments.tally import Tally, Totals
from foldline.experiments.tally_fold import ValuesKept
from foldline.experiments.tally_layout import Count
from foldline.stats.always_valid import NormalMixture
from foldline.stats.sample_ratio import CONCENTRATION

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

_CANCELLED = 1e-6
"""A variance below this share of the mean square has lost too many digits to be judged by."""

_SLACK = 1e-6
"""Of an interval's width; rounding is some 1e-11."""


@dataclass(frozen=True, slots=True)
class Running:
    """A tally's running totals at the end of each of m minutes.

    Attributes:
        counts: (m, k, len(Count)) units, exact.
        sums: (m, k, v), rounded.
        squares: (m, k, v) sums of squares, rounded; NaN for values that have none.
    """

    counts: Int64s
    sums: Floats
    squares: Floats


def running(tally: Tally, kept: ValuesKept, totals: Totals, begin: int, end: int) -> Running:
    """The totals at each minute from one place of the tally up to another.

    Args:
        tally: merged over the partitions.
        kept: values and pairs of the tally.
        totals: before the first of these minutes.
        begin: place of the first.
        end: place after the last.
    """
    squares = np.full((end - begin, *tally.sums.shape[1:]), np.nan)
    for p, (a, b) in enumerate(kept.pairs):
        if a == b:
            before = np.array([float(row[p]) for row in totals.products])
            added = _as_floats(tally.low[begin:end, :, p], tally.high[begin:end, :, p])
            squares[:, :, a] = before + np.cumsum(added, axis=0)
    counts: Int64s = totals.counts + np.cumsum(tally.counts[begin:end], axis=0)
    sums: Floats = totals.sums.astype(np.float64) + np.cumsum(tally.sums[begin:end], axis=0, dtype=np.float64)
    return Running(counts, sums, squares)


def shares_may_fall(definition: ExperimentDefinition, found: Running, p_value: float) -> Bools:
    """(m,) where the test of shares may give less than any p-value before, the one given included."""
    from scipy.special import gammaln

    enrolled = found.counts[:, :, Count.ENROLLED].astype(np.float64)
    weights = np.array(definition.weights, np.float64)
    total, shares = enrolled.sum(axis=1), weights / weights.sum()
    prior = CONCENTRATION * shares
    log_factor = gammaln(CONCENTRATION) - gammaln(CONCENTRATION + total)
    log_factor += (gammaln(prior + enrolled) - gammaln(prior) - enrolled * np.log(shares)).sum(axis=1)
    least = 0.0 if p_value >= 1.0 else -math.log(p_value) if p_value > 0.0 else math.inf
    before = np.maximum(least, np.maximum.accumulate(np.concatenate([[least], log_factor[:-1]])))
    slack = 1e-12 * (1.0 + gammaln(CONCENTRATION + total))
    may: Bools = log_factor >= before - slack
    return may


def is_screened(measure: Measure) -> bool:
    """Whether minutes can be passed over by this metric: proportions and means without a covariate."""
    return measure.kind != "ratio" and measure.covariate is None


def may_exclude(
    definition: ExperimentDefinition,
    kept: ValuesKept,
    found: Running,
    which: int,
    challenger: int,
    alpha: float,
) -> Bools:
    """(m,) where a live interval or bound may exclude the null, or of a guardrail, all that its margin allows.

    Args:
        definition: of the experiment.
        kept: values and pairs of the tally.
        found: the running totals.
        which: 0 for the goal, then the guardrails.
        challenger: index of the variant.
        alpha: of the interval.
    """
    measure = definition.measures[which]
    if not is_screened(measure):
        return np.ones(len(found.counts), np.bool_)
    value, arms = kept.of_measure[which][0], [0, challenger]
    units = found.counts[:, arms, Count.MATURED].astype(np.float64)
    scale = 1.0 if measure.kind == "proportion" else 2.0**definition.unit_bits
    unsure: Bools = np.zeros(len(units), np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = found.sums[:, arms, value] / units / scale
        if measure.kind == "proportion":
            variance = mean * (1.0 - mean)
            # Rates of 0 and 1 have the spread that `pairs` gives them.
            unsure = (variance == 0.0).all(axis=1) & (mean[:, 0] != mean[:, 1])
        else:
            square = found.squares[:, arms, value] / units / scale**2
            spread = square - mean * mean
            unsure = np.any((spread <= _CANCELLED * square) & (square > 0.0), axis=1)
            variance = np.maximum(spread, 0.0) * units / (units - 1.0)
        weighted = weighting(definition, which, challenger)
        if weighted is not None:
            # The samples of `pairs`, for all minutes at once.
            p, whole = np.array(weighted[:2]), units.sum(axis=1, keepdims=True)
            apart = mean - weighted.centre
            about = variance if measure.kind == "proportion" else np.maximum(spread, 0.0)
            variance = units * units * (about + apart * apart) / (p * whole) ** 2
            mean = weighted.centre + units * apart / (p * whole)
        error = np.sqrt((variance / units).sum(axis=1))
        difference = mean[:, 1] - mean[:, 0]
        planned = definition.sample_sizes[0] + definition.sample_sizes[challenger]
        harm, tolerated = np.abs(difference), 0.0
        if isinstance(measure, Guardrail):
            harm, tolerated = -measure.better * difference, measure.margin
        elif isinstance(measure, Goal) and measure.alternative != "two_sided":
            # The one-sided mixture is at most twice the two-sided one of 2 alpha, whose reach is therefore no larger.
            harm, tolerated, alpha = measure.better * (difference - measure.null), 0.0, 2.0 * alpha
        information = units.sum(axis=1) * NormalMixture.tuned(planned, alpha).rho_squared
        log_part = np.log1p(information) - 2.0 * math.log(alpha)
        reach = error * np.sqrt((information + 1.0) / information * log_part)
        slack = _SLACK * reach + 1e-9 * np.abs(mean).sum(axis=1)
        may: Bools = unsure | ((error > 0.0) & (harm - tolerated > reach - slack))
    return may


def _as_floats(low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> Floats:
    """128-bit integers of two limbs, each rounded once or twice."""
    negative = high >> np.uint64(63) != 0
    low_size = np.where(negative, ~low + np.uint64(1), low)
    high_size = np.where(negative, ~high + (low == 0).astype(np.uint64), high)
    size = high_size.astype(np.float64) * 2.0**64 + low_size.astype(np.float64)
    signed: Floats = np.where(negative, -size, size)
    return signed
