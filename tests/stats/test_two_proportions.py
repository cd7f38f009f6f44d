"""Two proportions compared: RC-4, published intervals, statsmodels."""

import math
from pathlib import Path

import pytest

from foldline.stats.comparison import Comparison
from foldline.stats.interval import Interval
from foldline.stats.lift import compare_lift, lift_interval
from foldline.stats.proportion_intervals import proportion_interval
from foldline.stats.sample import proportion_sample
from foldline.stats.score_interval import score_interval
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import (
    ProportionInterval,
    ProportionTest,
    compare_proportions,
    proportion_difference,
)
from foldline.stats.wilson import wilson_interval
from tests.stats.experiments_reference import classic_cases, near

CONTROL, CHALLENGER = Trials(79, 1124), Trials(124, 1124)


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
    of_the_case = proportion_difference(CONTROL, CHALLENGER, "score")
    assert of_the_case[1:3] == pytest.approx((0.016475509861, 0.063866154123), abs=1.6e-4)


def test_other_figures_of_two_proportions() -> None:
    """RC-4: chi-square, Wilson, another pair, and the rates' lift by three methods."""
    assert (CONTROL.rate, CHALLENGER.rate) == near((0.0702846975, 0.1103202847), 9)
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
    assert as_growthbook.difference[1:3] == pytest.approx((0.145963, 0.993278), abs=6e-7)


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
