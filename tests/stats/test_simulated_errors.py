"""Error rates by simulation: seeds fixed, runs and tolerances stated, against exact or published rates."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest

from foldline.stats.adaptive import AdaptiveSums, adaptive_interval, effect_scores, mixed_probabilities
from foldline.stats.always_valid import NormalMixture, OneSidedMixture, reach_in_errors
from foldline.stats.comparison import Comparison
from foldline.stats.exact_power import exact_power
from foldline.stats.group_sequential import error_of_looks, lan_demets_bounds, obrien_fleming
from foldline.stats.interval import Interval
from foldline.stats.lift import lift_interval
from foldline.stats.moments import Moments
from foldline.stats.quantiles import quantile_interval
from foldline.stats.ratio import ratio_sample
from foldline.stats.sample import Sample, proportion_sample
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio, sequential_ratio
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import ProportionTest, compare_proportions
from foldline.stats.welch import welch


def deviations(rate: float, runs: int) -> float:
    """Four binomial standard errors."""
    return 4.0 * math.sqrt(rate * (1.0 - rate) / runs)


def first_exclusions(rates: tuple[float, float], runs: int, pairs: int, seed: int, reach: Any) -> Any:
    """(runs,) the pair at which a run's interval first excludes zero, looked at after every pair; 0 for never."""
    rng = np.random.default_rng(seed)
    n = np.arange(1, pairs + 1)
    first = np.zeros(runs, np.int64)
    for start in range(0, runs, 250):
        means = [np.cumsum(rng.random((250, pairs)) < rate, axis=1) / n for rate in rates]
        variance = sum(mean * (1.0 - mean) for mean in means) / n
        excludes = (means[1] - means[0]) ** 2 > reach**2 * variance
        # Without spread there is no interval.
        excludes &= variance > 0.0
        first[start : start + 250] = np.where(excludes.any(axis=1), excludes.argmax(axis=1) + 1, 0)
    return first


def test_constant_peeking_errs_at_most_five_percent() -> None:
    """A/A at 7 %, looks after every pair to 10,000 a variant, N* = 2,248: 2,000 runs, published 3.6 %.

    The same looks at |z| > 1.96 err in more than half of the runs.
    """
    mixture = NormalMixture.tuned(2248)
    reach = np.array([reach_in_errors(2 * n * mixture.rho_squared, 0.05) for n in range(1, 10_001)])
    first = first_exclusions((0.07, 0.07), 2000, 10_000, 1, reach)
    assert (first > 0).mean() <= 0.05
    assert (first > 0).mean() == pytest.approx(0.036, abs=deviations(0.036, 2000))
    assert (first_exclusions((0.07, 0.07), 250, 10_000, 2, 1.96) > 0).mean() > 0.5


def test_bounds_under_continuous_monitoring() -> None:
    """RC-7: Brownian paths from n = 100 to 1,000,000, 4,000 runs at 3,000 looks, each a third of a percent later.

    Published: |z| > 1.96 errs 71.3 %, Wasabi's 3.065 errs 8.5 %, a constant 3.58 errs 1.8 %, the mixture 4.2 %. The
    tolerance is four standard errors and a hundredth for the time between looks.
    """
    times = np.geomspace(100, 1_000_000, 3000)
    rng, mixture = np.random.default_rng(14), NormalMixture.tuned(5000)
    steps = np.sqrt(np.diff(times, prepend=0.0))
    reach = np.array([reach_in_errors(n * mixture.rho_squared, 0.05) for n in times])
    crossed = {"fixed": 0, "wasabi": 0, "constant": 0, "mixture": 0}
    for _ in range(8):
        z = np.abs(np.cumsum(rng.standard_normal((500, 3000)) * steps, axis=1)) / np.sqrt(times)
        for name, bound in (
            ("fixed", 1.96),
            ("wasabi", 3.0657191),
            ("constant", 3.5845153597),
            ("mixture", reach),
        ):
            crossed[name] += int((z > bound).any(axis=1).sum())
    published = {"fixed": 0.713, "wasabi": 0.085, "constant": 0.018, "mixture": 0.042}
    for name, rate in published.items():
        assert crossed[name] / 4000 == pytest.approx(rate, abs=deviations(rate, 4000) + 0.01)
    assert crossed["mixture"] / 4000 <= 0.05


def test_an_always_valid_test_stops_early_on_a_real_effect() -> None:
    """7 against 11 %: 2,000 runs; published: half stop by 785 pairs, 70 % by 1,124, 97 % by 2,248, at 922 on average.

    The mean's tolerance is four standard errors of the difference of two means of 2,000 runs.
    """
    mixture = NormalMixture.tuned(2248)
    reach = np.array([reach_in_errors(2 * n * mixture.rho_squared, 0.05) for n in range(1, 6001)])
    stopped = first_exclusions((0.07, 0.11), 2000, 6000, 3, reach)
    assert stopped.all()
    assert np.median(stopped) == pytest.approx(785, abs=40)
    assert stopped.mean() == pytest.approx(922, abs=4 * float(stopped.std()) / math.sqrt(1000))
    assert (stopped <= 1124).mean() == pytest.approx(0.70, abs=deviations(0.70, 2000))
    assert (stopped <= 2248).mean() == pytest.approx(0.97, abs=deviations(0.97, 2000))


@pytest.mark.parametrize(("test", "power"), [("yates", 0.90266), ("fisher", 0.90266), ("pooled_z", 0.91532)])
def test_power_at_the_design(test: ProportionTest, power: float) -> None:
    """7 against 11 %, 1,124 each: 20,000 runs, within four standard errors of the exact power (0.0084)."""
    rng = np.random.default_rng(4)
    counts = rng.binomial(1124, (0.07, 0.11), (20_000, 2))
    assert rejected(counts, test) == pytest.approx(power, abs=deviations(power, 20_000))


@pytest.mark.parametrize("test", ["yates", "pooled_z"])
def test_false_alarms_at_the_design(test: ProportionTest) -> None:
    """7 % both, 1,124 each: 20,000 runs, within four standard errors of the exact rate."""
    exact = exact_power((0.07, 0.07), (1124, 1124), test)  # type: ignore[arg-type]  # one of both
    counts = np.random.default_rng(5).binomial(1124, 0.07, (20_000, 2))
    assert rejected(counts, test) == pytest.approx(exact, abs=deviations(exact, 20_000))
    assert exact < 0.0501


def rejected(counts: Any, test: ProportionTest) -> float:
    """The share of runs that a test rejects at 5 %; each pair of counts is tested once."""
    pairs, times = np.unique(counts, axis=0, return_counts=True)
    hits = 0
    for (control, treatment), often in zip(pairs.tolist(), times.tolist(), strict=True):
        result = compare_proportions(
            Trials(control, 1124), Trials(treatment, 1124), test=test, interval="wald"
        )
        assert isinstance(result, Comparison)
        hits += often * (result.p_value <= 0.05)
    return hits / len(counts)


def test_sequential_sample_ratio_raises_few_false_alarms() -> None:
    """True halves looked at every 100 units to 100,000: 2,000 runs; published at 5, 1 and 0.1 %: 1.8, 0.2, 0.03 %.

    Chi-square looked at as often alarms in 53.5, 17.0 and 2.6 %.
    """
    totals = np.arange(100, 100_001, 100)
    ones = np.cumsum(np.random.default_rng(6).binomial(100, 0.5, (2000, len(totals))), axis=1)
    apart = np.abs(2 * ones - totals)
    for alpha, published, peeked in ((0.05, 0.018, 0.535), (0.01, 0.002, 0.170), (0.001, 0.0003, 0.026)):
        rates = [
            (apart >= [smallest_alarm(int(n), alpha, test) for n in totals]).any(axis=1).mean()
            for test in (sequential_ratio, chi_square_ratio)
        ]
        assert rates[0] <= alpha
        for rate, expected in zip(rates, (published, peeked), strict=True):
            assert rate == pytest.approx(expected, abs=deviations(expected, 2000))


def smallest_alarm(total: int, alpha: float, test: Any) -> int:
    """The least difference of two counts at which a test of halves alarms, by bisection."""
    low, high = 0, total
    while high - low > 2:
        middle = (low + high) // 4 * 2
        result = test([(total + middle) // 2, (total - middle) // 2], [1, 1])
        assert isinstance(result, SampleRatio)
        low, high = (low, middle) if result.p_value <= alpha else (middle, high)
    return high


def test_a_one_sided_guardrail_errs_at_most_five_percent() -> None:
    """Random walks without drift, looked at 2,000 times: 4,000 runs, at most 5 %."""
    walks = np.cumsum(np.random.default_rng(7).standard_normal((4000, 2000)), axis=1)
    mixture = OneSidedMixture.tuned(1000.0)
    bounds = [mixture.bound(float(v)) for v in range(1, 2001)]
    assert (walks >= bounds).any(axis=1).mean() <= 0.05


def test_group_sequential_looks_err_five_percent() -> None:
    """Five looks by O'Brien and Fleming: 40,000 walks; a cumulative spend as each look's own level errs 6.1 %."""
    fifths = [0.2, 0.4, 0.6, 0.8, 1.0]
    steps = np.random.default_rng(8).standard_normal((40_000, 5)) * math.sqrt(0.2)
    z = np.abs(np.cumsum(steps, axis=1)) / np.sqrt(fifths)
    bounds = lan_demets_bounds(fifths, obrien_fleming())
    assert (z > bounds).any(axis=1).mean() == pytest.approx(0.05, abs=deviations(0.05, 40_000))
    # The level 2 - 2 Φ(1.96 / √t) at each look has the bound 1.96 / √t.
    assert error_of_looks([1.959964 / math.sqrt(t) for t in fifths]) == pytest.approx(0.061, abs=6e-4)


def test_ratio_metrics_need_the_delta_method() -> None:
    """Sessions of one user are alike: 600 users a variant, 3 sessions each on average, intra-class correlation 0.25.

    2,000 A/A runs: rows taken for independent err 13.3 %, the delta method about 5 %.
    """
    rng = np.random.default_rng(9)
    wrong = right = 0
    for _ in range(2000):
        rows, units = zip(*(sessions(rng) for _ in range(2)), strict=True)
        naive, delta = (welch(*pair) for pair in (rows, units))
        assert isinstance(naive, Comparison)
        assert isinstance(delta, Comparison)
        wrong += naive.p_value <= 0.05
        right += delta.p_value <= 0.05
    assert right / 2000 == pytest.approx(0.052, abs=deviations(0.052, 2000))
    assert wrong / 2000 > 0.09


def sessions(rng: np.random.Generator) -> tuple[Sample, Sample]:
    """One variant's rows as if independent, and its users as a ratio metric."""
    counts = 1 + rng.poisson(2.0, 600)
    users = np.repeat(rng.normal(0.0, 0.5, 600), counts)
    values = 10.0 + users + rng.normal(0.0, math.sqrt(0.75), counts.sum())
    ends = np.cumsum(counts)
    totals = np.diff(np.concatenate([[0.0], np.cumsum(values)[ends - 1]]))
    rows = Sample(len(values), float(values.mean()), float(values.var(ddof=1)))
    units = ratio_sample(Moments.of_rows(np.column_stack([totals, counts])))
    assert isinstance(units, Sample)
    return rows, units


def bandit_runs(effect: float, share: float, steps: int, runs: int, seed: int) -> tuple[Any, Any, Any]:
    """(steps, runs) rewards, whether treated, and propensities of an epsilon-greedy bandit of two actions."""
    rng = np.random.default_rng(seed)
    totals, pulls = np.zeros((2, runs)), np.zeros((2, runs))
    rewards, treated, propensities = np.empty((3, steps, runs))
    for step in range(steps):
        means = np.divide(totals, pulls, out=np.zeros_like(totals), where=pulls > 0)
        best = np.where(means[0] == means[1], rng.integers(0, 2, runs), means[1] > means[0])
        greedy = np.stack([0.05 + 0.9 * (best == 0), 0.05 + 0.9 * (best == 1)], axis=1)
        probabilities = mixed_probabilities(greedy, share)
        action = (rng.random(runs) < probabilities[:, 1]).astype(np.int64)
        rewards[step] = rng.standard_normal(runs) + effect * action
        treated[step], propensities[step] = action, probabilities[np.arange(runs), action]
        totals[action, np.arange(runs)] += rewards[step]
        pulls[action, np.arange(runs)] += 1
    return rewards, treated == 1, propensities


def test_action_means_of_a_bandit_are_biased_and_weighted_ones_are_not() -> None:
    """Epsilon 0.1, two equal actions, 100 steps, 20,000 runs: naive means -0.127, weighted 0.000 (four errors)."""
    rewards, treated, propensities = bandit_runs(0.0, 0.0, 100, 20_000, 10)
    naive, weighted = [], []
    for chosen in (treated, ~treated):
        pulls = chosen.sum(axis=0)
        naive.append(((rewards * chosen).sum(axis=0) / np.maximum(pulls, 1))[pulls > 0])
        weighted.append((rewards * chosen / propensities).mean(axis=0))
    low, fair = np.concatenate(naive), np.concatenate(weighted)
    assert low.mean() == pytest.approx(-0.127, abs=4 * float(low.std()) / math.sqrt(len(low)))
    assert abs(fair.mean()) < 4 * float(fair.std()) / math.sqrt(len(fair))


@pytest.mark.parametrize("effect", [0.0, 0.5])
def test_the_adaptive_interval_holds_at_every_step(effect: float) -> None:
    """A mixture adaptive design, looked at from step 50 to 1,000: 1,000 runs miss the effect in at most 5 %."""
    rewards, treated, propensities = bandit_runs(effect, 0.3, 1000, 1000, 11)
    scores = effect_scores(rewards.ravel(), treated.ravel(), propensities.ravel()).reshape(rewards.shape)
    totals, squares = np.cumsum(scores, axis=0), np.cumsum(scores**2, axis=0)
    missed = np.zeros(1000, bool)
    reached = adaptive_interval(AdaptiveSums(1000, totals[-1, 0], squares[-1, 0]), 1000)
    assert isinstance(reached, Interval)
    rho_squared = NormalMixture.tuned(1000).rho_squared
    for step in range(49, 1000):
        half = np.sqrt(squares[step]) / (step + 1) * reach_in_errors((step + 1) * rho_squared, 0.05)
        missed |= np.abs(totals[step] / (step + 1) - effect) > half
    assert reached.high - reached.estimate == pytest.approx(half[0])
    assert missed.mean() <= 0.05


@pytest.mark.parametrize("clustered", [False, True])
def test_quantile_limits_hold_the_quantile(clustered: bool) -> None:
    """The 90th percentile of 2,000 values, 400 units of five alike or each its own: 1,000 runs, 95 %."""
    rng = np.random.default_rng(12)
    held = 0
    units = np.repeat(np.arange(400), 5) if clustered else None
    for _ in range(1000):
        values = rng.standard_normal(2000)
        if clustered:
            values = 0.8 * np.repeat(rng.standard_normal(400), 5) + 0.6 * values
        interval = quantile_interval(values, 0.9, units=units)
        assert isinstance(interval, Interval)
        held += interval.low <= 1.2815515655 <= interval.high
    assert held / 1000 == pytest.approx(0.95, abs=deviations(0.95, 1000))


def test_the_relative_test_errs_to_one_side() -> None:
    """RC-4: 7 % both and 7 against 11 %, 1,124 each, 60,000 runs, within four standard errors of 400,000 others'.

    Alarms above and below by the lift's limits (delta method, log ratio) and by the pooled test; and their power.
    """
    rng = np.random.default_rng(13)
    same, apart = (rng.binomial(1124, rates, (60_000, 2)) for rates in ((0.07, 0.07), (0.07, 0.11)))
    published: tuple[tuple[Any, tuple[float, float], float], ...] = (
        (pooled_sign, (0.0249, 0.0249), 0.9154),
        (partial(lift_sign, method="delta"), (0.0091, 0.0432), 0.8501),
        (partial(lift_sign, method="log_ratio"), (0.0243, 0.0242), 0.9139),
    )
    for sign, rates, power in published:
        for got, rate in zip(alarms(same, sign), rates, strict=True):
            assert got == pytest.approx(rate, abs=deviations(rate, 60_000) + 0.001)
        assert alarms(apart, sign)[0] == pytest.approx(power, abs=deviations(power, 60_000) + 0.002)


def alarms(counts: Any, sign: Any) -> tuple[float, float]:
    """The shares of runs in which a test finds treatment above and below control."""
    pairs, times = np.unique(counts, axis=0, return_counts=True)
    signs = np.array([sign(*(Trials(x, 1124) for x in pair)) for pair in pairs.tolist()])
    return (times * (signs > 0)).sum() / len(counts), (times * (signs < 0)).sum() / len(counts)


def pooled_sign(control: Trials, treatment: Trials) -> int:
    """What the pooled test finds, on the absolute scale."""
    result = compare_proportions(control, treatment, test="pooled_z", interval="wald")
    assert isinstance(result, Comparison)
    return int(np.sign(result.statistic)) * (result.p_value <= 0.05)


def lift_sign(control: Trials, treatment: Trials, method: Any) -> int:
    """On which side of zero the limits of the lift lie."""
    interval = lift_interval(proportion_sample(*control), proportion_sample(*treatment), method=method)
    assert isinstance(interval, Interval)
    return (interval.low > 0) - (interval.high < 0)
