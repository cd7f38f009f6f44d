"""Always-valid intervals: RC-7."""

import math

import pytest

from foldline.stats.always_valid import (
    NormalMixture,
    OneSidedMixture,
    prior_e_value,
    prior_reach,
    reach_in_errors,
)
from foldline.stats.comparison import Comparison
from foldline.stats.interval import Interval
from foldline.stats.lift import compare_lift
from foldline.stats.sample import Sample
from foldline.stats.tails import normal_quantile
from tests.stats.experiments_reference import moments_of_sums, near


def test_mixture_tuning_and_reach() -> None:
    """RC-7: rho of three tunings, and the reach in standard errors along one."""
    for units, rho in ((1000, 0.0890850975), (2248, 0.0594164782), (5000, 0.0398400668)):
        assert math.sqrt(NormalMixture.tuned(units).rho_squared) == near(rho, 8)
    rho_squared = NormalMixture.tuned(5000).rho_squared
    expected = {
        100: 6.694389,
        500: 3.855055,
        1000: 3.363888,
        2500: 3.083569,
        5000: 3.035209,
        10**4: 3.061477,
        10**5: 3.336858,
    }
    for n, reach in expected.items():
        assert reach_in_errors(n * rho_squared, 0.05) == near(reach, 6)


def test_mixture_on_the_two_proportions() -> None:
    """RC-7: limits and p-values of three tunings on the data of RC-4."""
    estimate, error, n = 0.0400355872, 0.0120605854, 2248
    mixture = NormalMixture.tuned(5000)
    interval = mixture.interval(estimate, error, n)
    assert isinstance(interval, Interval)
    assert interval[1:3] == near((0.002637108927, 0.077434065450), 6)
    assert mixture.p_value(estimate, error, n) == near(0.028897434122, 6)
    for units, half, p_value in ((2248, 0.036606397, 0.022414249), (1000, 0.037031846, 0.023535889)):
        tuned = NormalMixture.tuned(units)
        limits = tuned.interval(estimate, error, n)
        assert isinstance(limits, Interval)
        assert limits.high - estimate == near(half, 6)
        assert tuned.p_value(estimate, error, n) == near(p_value, 6)


def test_mixture_on_a_lift() -> None:
    """RC-7: GrowthBook's own case."""
    a = moments_of_sums(3000, [1396.87], [[52377.9767]]).sample()
    b = moments_of_sums(3461, [2422.7], [[134698.29]]).sample()
    assert isinstance(a, Sample)
    assert isinstance(b, Sample)
    lift = compare_lift(a, b)
    assert isinstance(lift, Comparison)
    mixture = NormalMixture.tuned(1000)
    interval = mixture.interval(lift.difference.estimate, lift.standard_error, 6461)
    assert isinstance(interval, Interval)
    assert interval[1:3] == near((-0.55844, 1.56516), 5)
    assert mixture.p_value(lift.difference.estimate, lift.standard_error, 6461) == 1.0


def test_mixtures_of_confseq() -> None:
    """RC-7: the unit tests of Howard's package, two-sided and one-sided, and the mSPRT."""
    rho = 1.0 / NormalMixture.tuned(100).rho_squared
    assert rho == near(12.60056, 6)
    for v, bound in ((100, 30.35209), (10, 12.1907531), (1000, 102.5122868)):
        assert math.sqrt(v) * reach_in_errors(v / rho, 0.05) == near(bound, 7)
    assert math.log(NormalMixture(1.0 / rho).e_value(0.1, 0.1, 100)) == near(-0.6510052, 6)
    one_sided = OneSidedMixture.tuned(100, 0.05)
    assert one_sided.bound(100, 0.05) == near(27.66071, 7)
    assert one_sided.log_e(10, 100) == near(-0.06502391, 6)
    cases = (
        (0.01, 7.264736, 0.137651, 0.048228536),
        (0.02, 29.357018, 0.034063, 0.038086652),
        (0.04, 45.063780, 0.022191, 0.036674782),
    )
    for prior_sd, e_value, p_value, half in cases:
        assert prior_e_value(0.0400355872, 0.0120605854, prior_sd) == near(e_value, 6)
        assert 1.0 / prior_e_value(0.0400355872, 0.0120605854, prior_sd) == pytest.approx(p_value, abs=6e-7)
        assert prior_reach(0.0120605854, prior_sd) == near(half, 6)


def test_bonferroni_over_looks_is_no_constant_bound() -> None:
    """RC-7: Wasabi's bound, a normal quantile at alpha over 23 looks, or over ln(10^10) of them."""
    for confidence, looks, bound in (
        (0.95, 23.0, 3.0653832),
        (0.99, 23.0, 3.5180182),
        (0.95, math.log(1e10), 3.0657191),
    ):
        assert normal_quantile(1 - (1 - confidence) / 2 / looks) == near(bound, 7)


def test_one_sided_limit_mirrors_its_bound() -> None:
    """An estimate at the bound excludes exactly zero."""
    mixture = OneSidedMixture.tuned(100.0, 0.05)
    assert mixture.lower_limit(mixture.bound(100.0) / 50, 10.0 / 50, 50) == pytest.approx(0.0, abs=1e-12)
