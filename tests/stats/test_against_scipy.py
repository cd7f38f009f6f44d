"""Our own code against scipy's on random data, and its properties at the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError
from foldline.stats.adaptive import AdaptiveSums, effect_scores
from foldline.stats.comparison import Comparison
from foldline.stats.exact_moments import ExactMoments
from foldline.stats.exact_power import exact_power
from foldline.stats.fisher import fisher_p_value
from foldline.stats.mann_whitney import RankTest, mann_whitney
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample
from foldline.stats.score_interval import score_interval
from foldline.stats.tails import ALTERNATIVES, Alternative
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import ProportionInterval, compare_proportions, proportion_difference
from foldline.stats.welch import welch

COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
SCIPY = {"two_sided": "two-sided", "greater": "greater", "less": "less"}


@settings(max_examples=150, derandomize=True, deadline=None)
@given(COUNTS, COUNTS, st.sampled_from(ALTERNATIVES))
def test_fisher(control: tuple[int, int], treatment: tuple[int, int], alternative: Alternative) -> None:
    """All small tables, each alternative."""
    from scipy.stats import fisher_exact

    (a, m), (b, n) = control, treatment
    expected = fisher_exact([[b, n - b], [a, m - a]], alternative=SCIPY[alternative]).pvalue
    assert fisher_p_value(Trials(a, m), Trials(b, n), alternative) == pytest.approx(
        expected, rel=1e-9, abs=1e-14
    )


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 40), st.sampled_from(ALTERNATIVES))
def test_welch(seed: int, m: int, n: int, alternative: Alternative) -> None:
    """P-value, limits and degrees of freedom."""
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(seed)
    a, b = rng.normal(0.0, 1.0, m), rng.normal(0.3, 3.0, n)
    samples = [Moments.of_rows(values[:, None]).sample() for values in (a, b)]
    assert isinstance(samples[0], Sample)
    assert isinstance(samples[1], Sample)
    got = welch(samples[0], samples[1], alternative=alternative)
    expected = ttest_ind(b, a, equal_var=False, alternative=SCIPY[alternative])
    assert isinstance(got, Comparison)
    assert (got.statistic, got.p_value, got.freedom) == pytest.approx(
        (expected.statistic, expected.pvalue, expected.df), rel=1e-9
    )
    limits = expected.confidence_interval(0.95)
    assert got.difference[1:3] == pytest.approx((limits.low, limits.high), rel=1e-8)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30)
)
def test_ranks(control: list[int], treatment: list[int]) -> None:
    """Ties and all."""
    from scipy.stats import mannwhitneyu

    got = mann_whitney(control, treatment)
    if len(set(control + treatment)) == 1:
        assert isinstance(got, NotEstimable)
        return
    expected = mannwhitneyu(treatment, control, method="asymptotic")
    assert isinstance(got, RankTest)
    assert (got.u, got.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(COUNTS, COUNTS, st.sampled_from(["newcombe", "score", "agresti_caffo", "wald"]))
def test_intervals_of_a_difference_are_sound(
    control: tuple[int, int], treatment: tuple[int, int], method: ProportionInterval
) -> None:
    """Within -1 to 1, mirrored when the variants change places; around the estimate, but for Agresti and Caffo's."""
    interval = proportion_difference(Trials(*control), Trials(*treatment), method)
    mirrored = proportion_difference(Trials(*treatment), Trials(*control), method)
    assert -1.0 <= interval.low <= interval.high <= 1.0
    assert interval.low == pytest.approx(-mirrored.high, abs=1e-9)
    if method != "agresti_caffo":
        assert interval.low - 1e-12 <= interval.estimate <= interval.high + 1e-12


@settings(max_examples=60, derandomize=True, deadline=None)
@given(COUNTS, COUNTS)
def test_the_score_test_just_does_not_reject_its_limits(
    control: tuple[int, int], treatment: tuple[int, int]
) -> None:
    """The likely rates have the limit as their difference, and no other such rates are likelier."""
    from foldline.stats.score_interval import likely_rates

    a, b = Trials(*control), Trials(*treatment)
    for limit in score_interval(a, b)[1:3]:
        p0, p1 = likely_rates(a, b, limit)
        assert p1 - p0 == pytest.approx(limit, abs=1e-12)
        best = log_likelihood(a, b, p0, p1)
        for step in (-1e-4, 1e-4):
            assert log_likelihood(a, b, p0 + step, p1 + step) <= best + 1e-9


def log_likelihood(a: Trials, b: Trials, p0: float, p1: float) -> float:
    """Of two binomials; minus infinity outside 0 to 1."""
    total = 0.0
    for trials, p in ((a, p0), (b, p1)):
        for count, rate in ((trials.successes, p), (trials.n - trials.successes, 1.0 - p)):
            if count and rate <= 1e-15:
                return -math.inf
            if not rate >= -1e-12:
                return -math.inf
            total += count * math.log(rate) if count else 0.0
    return total


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 1), st.floats(0, 1))
def test_exact_power_is_a_sum_over_all_counts(m: int, n: int, p0: float, p1: float) -> None:
    """Against the plain double loop."""
    total = 0.0
    for x in range(m + 1):
        for y in range(n + 1):
            result = compare_proportions(Trials(x, m), Trials(y, n), test="yates", interval="wald")
            if isinstance(result, Comparison) and result.p_value < 0.05:
                total += chance(x, m, p0) * chance(y, n, p1)
    assert exact_power((p0, p1), (m, n), "yates") == pytest.approx(total, abs=1e-10)


def chance(x: int, n: int, p: float) -> float:
    """Binomial."""
    return math.comb(n, x) * p**x * (1.0 - p) ** (n - x)


def test_non_inferiority_of_proportions() -> None:
    """Tested against minus the margin: one-sided at 5 % it is the lower 90 % limit, as far from the margin."""
    control, treatment = Trials(700, 10_000), Trials(690, 10_000)
    result = compare_proportions(
        control,
        treatment,
        test="unpooled_z",
        interval="wald",
        confidence=0.9,
        alternative="greater",
        null=-0.01,
    )
    assert isinstance(result, Comparison)
    assert result.statistic == pytest.approx((-0.001 + 0.01) / result.standard_error)
    assert (result.p_value < 0.05) == (result.difference.low > -0.01)
    with pytest.raises(InputError):
        compare_proportions(control, treatment, null=-0.01)


def test_what_cannot_be_compared() -> None:
    """No units, one unit, no spread, nobody or everybody: said so. Impossible counts and moments: refused."""
    assert isinstance(compare_proportions(Trials(0, 0), Trials(1, 2)), NotEstimable)
    assert isinstance(compare_proportions(Trials(0, 5), Trials(0, 9)), NotEstimable)
    assert isinstance(compare_proportions(Trials(5, 5), Trials(9, 9)), NotEstimable)
    assert isinstance(compare_proportions(Trials(0, 5), Trials(9, 9), test="unpooled_z"), NotEstimable)
    assert isinstance(welch(Sample(1, 0.0, 0.0), Sample(5, 1.0, 1.0)), NotEstimable)
    assert isinstance(welch(Sample(5, 0.0, 0.0), Sample(5, 1.0, 0.0)), NotEstimable)
    with pytest.raises(InputError):
        compare_proportions(Trials(3, 2), Trials(1, 2))
    with pytest.raises(InputError):
        welch(Sample(5, math.nan, 1.0), Sample(5, 1.0, 1.0))
    with pytest.raises(InputError):
        welch(Sample(5, 0.0, -1.0), Sample(5, 1.0, 1.0))


def test_scores_in_integers_are_those_in_floats() -> None:
    """A tally of scores in units of 2^-32, and its sums."""
    rng = np.random.default_rng(3)
    scores = effect_scores(rng.random(500), rng.random(500) < 0.5, np.full(500, 0.5))
    tally = ExactMoments.empty(1)
    for score in scores.tolist():
        tally = tally.add([round(score * 2**32)])
    exact, floats = AdaptiveSums.of_exact(tally, 32), AdaptiveSums.of_scores(scores)
    assert exact == pytest.approx(floats, rel=1e-8)
    assert floats.merge(AdaptiveSums(0, 0.0, 0.0)) == floats
