"""Statistics of experiments against computed reference cases, named RC-n."""

import math
from pathlib import Path

import numpy as np
import pytest

from foldline.stats.always_valid import (
    NormalMixture,
    OneSidedMixture,
    prior_e_value,
    prior_reach,
    reach_in_errors,
)
from foldline.stats.beta_binomial import expected_loss, posterior_parameters, probability_greater
from foldline.stats.comparison import Comparison
from foldline.stats.cuped import cuped_samples
from foldline.stats.group_sequential import (
    error_of_looks,
    lan_demets_bounds,
    obrien_fleming,
    pocock,
    power_family,
)
from foldline.stats.interval import Interval
from foldline.stats.lift import compare_lift, lift_interval
from foldline.stats.mann_whitney import RankTest, mann_whitney
from foldline.stats.moments import Moments
from foldline.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from foldline.stats.normal_posterior import effect_posterior, probabilities_greatest, with_floor
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.off_policy import OffPolicyValue, doubly_robust, importance_weights, ips, snips
from foldline.stats.proportion_intervals import proportion_interval
from foldline.stats.quantiles import compare_quantiles
from foldline.stats.ratio import ratio_sample
from foldline.stats.sample import Sample, proportion_sample
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio, sequential_ratio
from foldline.stats.score_interval import score_interval
from foldline.stats.tails import normal_quantile
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import (
    ProportionInterval,
    ProportionTest,
    compare_proportions,
    proportion_difference,
)
from foldline.stats.welch import welch
from foldline.stats.wilson import wilson_interval
from tests.stats.experiments_reference import classic_cases, moments_of_sums

CONTROL, CHALLENGER = Trials(79, 1124), Trials(124, 1124)


def near(expected: object, digits: int = 6) -> object:
    """Equal to so many significant digits, half a unit of the last one."""
    return pytest.approx(expected, rel=0.51 * 10.0**-digits, abs=0.51 * 10.0 ** -(digits + 3))


def of_values(*values: float) -> Sample:
    """The sample of a few values."""
    sample = Moments.of_rows(np.array(values)[:, None]).sample()
    assert isinstance(sample, Sample)
    return sample


def compared(control: Sample, treatment: Sample) -> Comparison:
    """Welch's test, where there is one."""
    result = welch(control, treatment)
    assert isinstance(result, Comparison)
    return result


def test_welch_of_eight_and_ten() -> None:
    """RC-3: 5.5 against 7.75, and with two more controls."""
    treatment = of_values(6, 7, 9, 8, 10, 7, 9, 6)
    result = compared(of_values(3, 5, 4, 6, 8, 7, 5, 6), treatment)
    assert result.difference.estimate == 2.25
    assert (result.statistic, result.freedom, result.p_value) == near(
        (2.909069708199544, 13.922463447053609, 0.011489462405498), 12
    )
    assert result.difference[1:3] == near((0.590262312332, 3.909737687668), 11)
    longer = compared(of_values(3, 5, 4, 6, 8, 7, 5, 6, 4, 2), treatment)
    assert (longer.statistic, longer.freedom, longer.p_value) == near(
        (3.520670667816, 15.983042457244, 0.002840871486), 9
    )
    assert longer.difference[1:3] == near((1.093996684173, 4.406003315827), 11)


def test_welch_of_sums() -> None:
    """RC-3: thousands of units, from printed sums; on the relative scale the same data are not significant."""
    a = moments_of_sums(3407, [1396.87], [[52377.9767]]).sample()
    b = moments_of_sums(3461, [2422.7], [[134698.29]]).sample()
    assert isinstance(a, Sample)
    assert isinstance(b, Sample)
    result = compared(a, b)
    assert (result.difference.estimate, result.standard_error) == near((0.29, 0.124783631588), 10)
    assert (result.freedom, result.p_value) == near((5841.742032, 0.020158402644), 9)
    assert result.difference[1:3] == near((0.045377892559, 0.534622107441), 10)
    lift = compare_lift(a, b)
    assert isinstance(lift, Comparison)
    assert (lift.difference.estimate, lift.standard_error, lift.p_value) == near(
        (0.707317, 0.378794, 0.061912), 5
    )


def test_moments_do_not_cancel_and_merge() -> None:
    """RC-3: near 1e9 the variance is 30, where sums of squares give -171; two groups merge to that of all."""
    assert Moments.of_rows(np.array([[4.0], [7.0], [13.0], [16.0]]) + 1e9).covariance() == near(30.0, 9)
    left, right = Moments.of_rows([[1], [2], [3], [4]]), Moments.of_rows([[10], [20]])
    assert left.merge(right).covariance() == near(52.666667, 7)


@pytest.mark.parametrize(
    ("test", "statistic", "p_value"),
    [
        ("pooled_z", 3.311433150, 0.000928194141),
        ("unpooled_z", 3.319539290, 0.000901661158),
        ("yates", math.sqrt(10.483645079), 0.001204359081),
        ("fisher", None, 0.001160290258),
    ],
)
def test_two_proportions(test: ProportionTest, statistic: float | None, p_value: float) -> None:
    """RC-4: 79 against 124 of 1,124."""
    result = compare_proportions(CONTROL, CHALLENGER, test=test)
    assert isinstance(result, Comparison)
    assert result.p_value == near(p_value, 8)
    assert result.difference.estimate == near(0.0400355872, 8)
    if statistic is not None:
        assert result.statistic == near(statistic, 9)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        ("wald", 0.016397274115, 0.063673900262),
        ("newcombe", 0.016373554205, 0.063898880052),
        ("agresti_caffo", 0.016261059274, 0.063667892769),
    ],
)
def test_intervals_of_a_difference(method: ProportionInterval, low: float, high: float) -> None:
    """RC-4."""
    assert proportion_difference(CONTROL, CHALLENGER, method)[1:3] == near((low, high), 9)


@pytest.mark.parametrize(
    ("control", "treatment", "low", "high"),
    [(Trials(48, 80), Trials(56, 70), 0.0528, 0.3382), (Trials(3, 10), Trials(9, 10), 0.1700, 0.8406)],
)
def test_score_interval_is_the_published_one(
    control: Trials, treatment: Trials, low: float, high: float
) -> None:
    """Newcombe (1998), table II, method 6. Statsmodels 0.15, from which RC-4 has its score limits, misses it.

    There the cubic's linear term has the control's successes where the paper has its size.
    """
    interval = score_interval(control, treatment)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_other_figures_of_two_proportions() -> None:
    """RC-4: chi-square, Wilson, another pair, and the rates' lift by three methods."""
    pooled = compare_proportions(CONTROL, CHALLENGER, test="pooled_z")
    assert isinstance(pooled, Comparison)
    assert pooled.statistic**2 == near(10.965589507, 9)
    wilson = wilson_interval(79, 1124)
    assert isinstance(wilson, Interval)
    assert wilson[1:3] == near((0.056758048617, 0.086738590520), 9)
    other = compare_proportions(Trials(200, 1000), Trials(250, 1000), test="pooled_z")
    assert isinstance(other, Comparison)
    assert (other.statistic, other.p_value) == near((2.677397763, 0.007419649), 7)
    a, b = proportion_sample(*CONTROL), proportion_sample(*CHALLENGER)
    expected = {
        "delta": (0.146200151, 0.993040355),
        "fieller": (0.204284634, 1.083595657),
        "log_ratio": (0.198504023, 1.055652456),
    }
    for method, limits in expected.items():
        interval = lift_interval(a, b, method=method)  # type: ignore[arg-type]  # the keys are methods
        assert isinstance(interval, Interval)
        assert interval.estimate == near(0.569620253, 8)
        assert interval[1:3] == near(limits, 7)
    as_growthbook = compare_lift(a, b)
    assert isinstance(as_growthbook, Comparison)
    assert as_growthbook.p_value == near(0.008431488, 6)


@pytest.mark.parametrize(
    ("counts", "weights", "chi_square", "p_value"),
    [
        ([5050, 4950], [1, 1], 1.0, 0.317310508),
        ([5200, 4800], [1, 1], 16.0, 6.334248e-5),
        ([821588, 815482], [1, 1], 22.774369, 1.821793e-6),
        ([9100, 900], [9, 1], 11.111111, 8.581207e-4),
        ([166080, 171180, 166300], [1, 1, 1], 99.040432, 3.116330e-22),
        ([1124, 1053], [1, 1], 2.315572, 0.12808419),
        ([500, 600, 0], [0.5, 0.5, 0], 9.090909, 0.002568832),
    ],
)
def test_sample_ratio(counts: list[int], weights: list[float], chi_square: float, p_value: float) -> None:
    """RC-5; a variant without weight takes no degree of freedom."""
    result = chi_square_ratio(counts, weights)
    assert isinstance(result, SampleRatio)
    assert (result.statistic, result.p_value) == near((chi_square, p_value), 6)


@pytest.mark.parametrize(
    ("counts", "weights", "log_factor", "p_value"),
    [
        ([2600, 2400], [1, 1], None, 0.322800476),
        ([5200, 4800], [1, 1], 3.6538806657, 0.025890461351),
        ([5050, 4950], [1, 1], -0.096572548, 1.0),
        ([821588, 815482], [1, 1], 8.765972283, 1.559504e-4),
        ([9100, 900], [9, 1], 2.496268467, 0.082391874),
    ],
)
def test_sequential_sample_ratio(
    counts: list[int], weights: list[float], log_factor: float | None, p_value: float
) -> None:
    """RC-6, as Optimizely's ssrm has it."""
    result = sequential_ratio(counts, weights)
    assert isinstance(result, SampleRatio)
    assert result.p_value == near(p_value, 6)
    if log_factor is not None:
        assert result.statistic == near(log_factor, 7)


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
    cases = ((0.01, 7.264736, 0.048228536), (0.02, 29.357018, 0.038086652), (0.04, 45.063780, 0.036674782))
    for prior_sd, e_value, half in cases:
        assert prior_e_value(0.0400355872, 0.0120605854, prior_sd) == near(e_value, 6)
        assert prior_reach(0.0120605854, prior_sd) == near(half, 6)


def test_bounds_of_others() -> None:
    """RC-7: Statsig's multiplier as documented is a constant, and Wasabi's is Bonferroni's: neither is always valid."""
    # Equal groups: V = 2 s² / n and t = z² s² / n, whatever n is.
    v, t = 2.0, 1.959963985**2
    multiplier = math.sqrt((v + t) / t * (-2 * math.log(0.05 / 2) - math.log(v / (v + t))))
    assert multiplier == near(3.5845153597, 8)
    for confidence, looks, bound in ((0.95, 23, 3.0653832), (0.99, 23, 3.5180182)):
        assert normal_quantile(1 - (1 - confidence) / 2 / looks) == near(bound, 6)


def test_one_sided_limit_mirrors_its_bound() -> None:
    """An estimate at the bound excludes exactly zero."""
    mixture = OneSidedMixture.tuned(100.0, 0.05)
    assert mixture.lower_limit(mixture.bound(100.0) / 50, 10.0 / 50, 50) == pytest.approx(0.0, abs=1e-12)


def test_peeking_costs() -> None:
    """RC-8: the error of |z| > 1.96 at K equal looks."""
    expected = {2: 0.08312, 3: 0.10726, 5: 0.14169, 10: 0.19336, 20: 0.24791, 50: 0.32045, 100: 0.37362}
    for looks, error in expected.items():
        assert error_of_looks([1.959963985] * looks) == pytest.approx(error, abs=6e-6)


def test_lan_demets() -> None:
    """RC-8: bounds at five looks by three spending functions, and at two."""
    fifths = [0.2, 0.4, 0.6, 0.8, 1.0]
    expected = [4.876885, 3.357012, 2.680280, 2.289817, 2.031032]
    assert lan_demets_bounds(fifths, obrien_fleming()) == pytest.approx(expected, abs=2e-6)
    assert lan_demets_bounds(fifths, pocock()) == pytest.approx(
        [2.4380, 2.4268, 2.4102, 2.3966, 2.3860], abs=6e-5
    )
    power = [3.0902, 2.7141, 2.4728, 2.2799, 2.1140]
    assert lan_demets_bounds(fifths, power_family()) == pytest.approx(power, abs=6e-5)
    assert lan_demets_bounds([0.5, 1.0], obrien_fleming()) == pytest.approx([2.9626, 1.9686], abs=6e-5)
    for spending in (obrien_fleming(), pocock(), power_family()):
        assert error_of_looks(lan_demets_bounds(fifths, spending), fifths) == pytest.approx(0.05, abs=1e-9)


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


@pytest.mark.parametrize(
    ("control", "treatment", "better", "loss"),
    [
        ((79, 1124), (124, 1124), 0.999542182426, 1.4612e-6),
        ((49, 100), (51, 100), 0.610770522688, 0.019116461202),
        ((10, 100), (15, 100), 0.853283789934, 0.003578088131),
        ((200, 1000), (230, 1000), 0.948618289214, 0.000396184689),
        ((0, 10), (3, 10), 0.954887218045, 0.003105590062),
    ],
)
def test_beta_binomial(
    control: tuple[int, int], treatment: tuple[int, int], better: float, loss: float
) -> None:
    """RC-9: with uniform priors, the chance to be better and the expected loss of choosing treatment."""
    parameters = (*posterior_parameters(*control), *posterior_parameters(*treatment))
    assert probability_greater(*parameters) == near(better, 10)
    assert expected_loss(*parameters) == pytest.approx(loss, rel=1e-5)


def test_beta_posteriors_of_the_shared_cases(shared_data: Path) -> None:
    """Exact P(B > A), to ten digits."""
    for case in classic_cases(shared_data, "beta_posterior"):
        chance = probability_greater(
            case["a_control"], case["b_control"], case["a_treatment"], case["b_treatment"]
        )
        assert chance == near(case["probability_treatment_better"], 10)


def test_normal_posterior() -> None:
    """RC-9: GrowthBook's posterior on the data of RC-4, relative and absolute."""
    a, b = proportion_sample(*CONTROL), proportion_sample(*CHALLENGER)
    for result, chance in ((compare_lift(a, b), 0.995814257), (welch(a, b), 0.999549169)):
        assert isinstance(result, Comparison)
        posterior = effect_posterior(result.difference.estimate, result.standard_error)
        assert posterior.chance_to_win == near(chance, 8)
    close_call = compare_lift(proportion_sample(49, 100), proportion_sample(51, 100))
    assert isinstance(close_call, Comparison)
    posterior = effect_posterior(close_call.difference.estimate, close_call.standard_error)
    assert posterior.chance_to_win == near(0.60918, 5)
    assert (posterior.risk_control, posterior.risk_treatment) == pytest.approx((0.0814, 0.04058), abs=6e-5)


def test_chances_to_be_best() -> None:
    """RC-9: three normal means by quadrature, with the additive floor of 1 %, and two."""
    posteriors = [effect_posterior(mean, 5 / math.sqrt(1000), 0.0, 100.0) for mean in (10.0, 10.2, 10.5)]
    best = probabilities_greatest([p.mean for p in posteriors], [p.sd for p in posteriors])
    assert best == near([0.008539448, 0.087946944, 0.903513608], 6)
    assert with_floor(best, 0.01) == near([0.018283265, 0.095308536, 0.886408199], 6)
    pair = probabilities_greatest([p.mean for p in posteriors[:2]], [p.sd for p in posteriors[:2]])
    assert pair[1] == near(0.814453016, 6)
    assert sum(best) == pytest.approx(1.0, abs=1e-9)


def test_multiplicity() -> None:
    """RC-9: Holm, and Benjamini and Hochberg."""
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    assert holm(p) == near([0.01, 0.072, *[0.312] * 5, *[0.615] * 3], 4)
    expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216]
    assert benjamini_hochberg(p) == near(expected, 5)


def test_multiplicity_of_the_shared_cases(shared_data: Path) -> None:
    """Four corrections against statsmodels."""
    for case in classic_cases(shared_data, "multiple_testing"):
        p = case["p_values"]
        assert bonferroni(p) == near(case["bonferroni"], 10)
        assert holm(p) == near(case["holm"], 10)
        assert benjamini_hochberg(p) == near(case["fdr_bh"], 10)
        assert benjamini_yekutieli(p) == near(case["fdr_by"], 10)


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


def test_off_policy() -> None:
    """RC-11: six decisions, of which the policy would have made four; a reward model of 0.6 and 0.4."""
    logged, target = "ababab", "aabbab"
    chosen = [float(a == b) for a, b in zip(logged, target, strict=True)]
    weights = importance_weights(chosen, [0.8, 0.2, 0.8, 0.2, 0.5, 0.5])
    rewards = [1, 0, 0, 1, 1, 0]
    model = {"a": 0.6, "b": 0.4}
    plain, normed = ips(rewards, weights), snips(rewards, weights)
    robust = doubly_robust(rewards, weights, [model[a] for a in logged], [model[a] for a in target])
    assert isinstance(plain, OffPolicyValue)
    assert isinstance(normed, OffPolicyValue)
    assert isinstance(robust, OffPolicyValue)
    assert plain.estimate == 1.375
    assert normed.estimate == near(0.804878048780, 11)
    assert plain.effective_size == near(3.039783001808, 11)
    assert robust.estimate == near(1.083333333333, 11)


def test_two_proportions_of_the_shared_cases(shared_data: Path) -> None:
    """Pooled z, Wald and Newcombe; there the first variant is the one compared with the second."""
    for case in classic_cases(shared_data, "two_proportion_z"):
        treatment, control = (Trials(x, n) for x, n in zip(case["successes"], case["n"], strict=True))
        result = compare_proportions(control, treatment, test="pooled_z")
        assert isinstance(result, Comparison)
        assert (result.statistic, result.p_value) == near((case["z_pooled"], case["p_two_sided"]), 10)
        assert list(result.difference[1:3]) == near(case["difference_ci_newcombe"], 10)
        wald = proportion_difference(control, treatment, "wald")
        assert list(wald[1:3]) == near(case["difference_ci_wald"], 10)


def test_proportion_intervals_of_the_shared_cases(shared_data: Path) -> None:
    """Four intervals beside Wilson's."""
    names = {
        "beta": "clopper_pearson",
        "jeffreys": "jeffreys",
        "agresti_coull": "agresti_coull",
        "normal": "wald",
    }
    for case in classic_cases(shared_data, "confidence_intervals"):
        for theirs, method in names.items():
            interval = proportion_interval(case["successes"], case["n"], method)
            assert isinstance(interval, Interval)
            # Theirs are cut at 0 and 1 for some methods only.
            assert list(interval[1:3]) == near([min(max(x, 0.0), 1.0) for x in case[theirs]], 9)


def test_chi_squares_of_the_shared_cases(shared_data: Path) -> None:
    """Against scipy."""
    for case in classic_cases(shared_data, "chi_square"):
        result = chi_square_ratio(case["observed"], case["expected_share"])
        assert isinstance(result, SampleRatio)
        assert (result.statistic, result.p_value) == near((case["statistic"], case["p_value"]), 10)


def test_rank_test_of_the_shared_case(shared_data: Path) -> None:
    """Against scipy's asymptotic p-value."""
    for case in classic_cases(shared_data, "mann_whitney"):
        result = mann_whitney(case["control"], case["treatment"])
        assert isinstance(result, RankTest)
        assert (result.u, result.p_value) == near((case["u_treatment"], case["p_two_sided_asymptotic"]), 10)
