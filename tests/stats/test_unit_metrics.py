"""Metrics of units that need more than a mean: covariates, ratios, quantiles, ranks: RC-9, scipy."""

import math
from pathlib import Path

import pytest

from foldline.stats.comparison import Comparison
from foldline.stats.cuped import cuped_samples
from foldline.stats.interval import Interval
from foldline.stats.lift import compare_lift
from foldline.stats.mann_whitney import RankTest, mann_whitney
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.quantiles import compare_quantiles
from foldline.stats.ratio import ratio_sample
from foldline.stats.sample import Sample
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import standard_error
from tests.stats.experiments_reference import classic_cases, compared, near


def test_cuped() -> None:
    """RC-9: six units a variant, with theta of all units together."""
    control = Moments.of_rows(list(zip([12, 15, 11, 18, 14, 16], [10, 14, 9, 17, 12, 15], strict=True)))
    treatment = Moments.of_rows(list(zip([14, 19, 13, 17, 20, 16], [11, 15, 10, 13, 17, 12], strict=True)))
    raw = [moments.sample() for moments in (control, treatment)]
    assert isinstance(raw[0], Sample)
    assert isinstance(raw[1], Sample)
    plain = compared(raw[0], raw[1])
    assert (plain.difference.estimate, plain.p_value) == near((2.166666667, 0.188964590), 8)
    assert plain.difference[1:3] == near((-1.258677, 5.592011), 6)
    adjusted = cuped_samples(control, treatment)
    assert not isinstance(adjusted, NotEstimable)
    assert (adjusted.theta, adjusted.correlation) == near((0.932028836251, 0.909812), 6)
    within = cuped_samples(control, treatment, slope="within")
    assert not isinstance(within, NotEstimable)
    assert within.theta == near(0.919587628866, 9)
    assert within.treatment.mean - within.control.mean == near(2.01340206, 8)
    # An analysis of covariance: one residual variance, and what the covariate's own difference adds.
    residual = 5 * (within.control.variance + within.treatment.variance) / (12 - 3)
    spread = control.comoments[1][1] + treatment.comoments[1][1]
    apart = treatment.means[1] - control.means[1]
    assert math.sqrt(residual * (1 / 6 + 1 / 6 + apart**2 / spread)) == near(0.30306298, 7)
    assert (adjusted.control.variance, adjusted.treatment.variance) == near((0.139361, 0.358605), 5)
    result = compared(adjusted.control, adjusted.treatment)
    assert (result.difference.estimate, result.standard_error) == near((2.011328527291, 0.288087444207), 10)
    assert result.p_value == near(9.186406e-5, 6)
    assert result.difference[1:3] == near((1.352156831539, 2.670500223044), 10)


def test_ratio_metric() -> None:
    """RC-9: eight units a variant; the delta method's limits, where rows taken for independent err."""
    control = Moments.of_rows(list(zip([1, 0, 3, 2, 0, 4, 1, 2], [5, 3, 9, 6, 4, 10, 5, 8], strict=True)))
    treatment = Moments.of_rows(list(zip([2, 1, 4, 2, 1, 5, 3, 3], [6, 4, 9, 5, 5, 11, 7, 8], strict=True)))
    a, b = ratio_sample(control), ratio_sample(treatment)
    assert isinstance(a, Sample)
    assert isinstance(b, Sample)
    assert (a.mean, a.variance, b.mean, b.variance) == near(
        (0.26, 0.016331337143, 21 / 55, 0.006846183418), 9
    )
    result = compared(a, b)
    assert (result.difference.estimate, result.standard_error) == near((0.121818181818, 0.053825552205), 10)
    assert result.difference[1:3] == near((0.004533344816, 0.239103018820), 8)
    assert result.p_value == near(0.042976128307, 9)
    lift = compare_lift(a, b)
    assert isinstance(lift, Comparison)
    assert lift.p_value == near(0.118813, 5)
    assert standard_error(Trials(13, 50), Trials(21, 55), pooled=False) == near(0.090219, 5)


def test_quantiles_compared() -> None:
    """RC-9: the 90th percentile of two variants of 11,000.

    GrowthBook takes (n - 1) / n of each squared error and limits from Student's distribution: one part in 20,000.
    """
    control = Interval(7.157987489967789, 7.098780136176828, 7.217194843758751, 0.95)
    treatment = Interval(7.694499927525767, 7.64180598628119, 7.747193868770344, 0.95)
    result = compare_quantiles(control, treatment)
    assert isinstance(result, Comparison)
    assert result.difference.estimate == near(0.536512437558, 9)
    assert result.standard_error == near(0.040437721954, 4)
    assert result.difference[1:3] == pytest.approx((0.457251530611, 0.615773344505), abs=1e-6)


def test_rank_test_of_the_shared_case(shared_data: Path) -> None:
    """Against scipy's asymptotic p-value."""
    for case in classic_cases(shared_data, "mann_whitney"):
        result = mann_whitney(case["control"], case["treatment"])
        assert isinstance(result, RankTest)
        assert (result.u, result.p_value) == near((case["u_treatment"], case["p_two_sided_asymptotic"]), 10)
