"""Intervals of proportions and means, against published values."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.mean_interval import mean_interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.wilson import wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_newcombe_1998_table_1(successes: int, n: int, low: float, high: float) -> None:
    """Method 3 of the four worked examples."""
    interval = wilson_interval(successes, n)
    assert isinstance(interval, Interval)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_reference_cases(shared_data: Path) -> None:
    """The intervals computed with statsmodels."""
    cases = json.loads((shared_data / "stats" / "classic_cases.json").read_text())["confidence_intervals"]
    assert cases
    for case in cases:
        interval = wilson_interval(case["successes"], case["n"])
        assert isinstance(interval, Interval)
        assert interval[1:3] == pytest.approx(case["wilson"], abs=1e-9)


@settings(max_examples=200, derandomize=True)
@given(st.integers(1, 10**9), st.data())
def test_the_interval_holds_its_estimate(n: int, data: st.DataObject) -> None:
    """0 <= low <= p <= high <= 1, and mirrored successes give the mirrored interval."""
    successes = data.draw(st.integers(0, n))
    interval, mirrored = wilson_interval(successes, n), wilson_interval(n - successes, n)
    assert isinstance(interval, Interval)
    assert isinstance(mirrored, Interval)
    assert 0.0 <= interval.low <= interval.estimate <= interval.high <= 1.0
    assert interval.low == pytest.approx(1.0 - mirrored.high, abs=1e-12)


def test_no_trials_are_not_estimable() -> None:
    """No plausible number where there is none."""
    nothing = wilson_interval(0, 0)
    assert nothing == NotEstimable("no trials: a proportion needs at least one")
    assert not nothing
    assert not mean_interval(1, 3.0, 0.0)


def test_mean_interval_is_its_formula() -> None:
    """z at 95 % is 1.959964."""
    interval = mean_interval(100, 5.0, 4.0)
    assert isinstance(interval, Interval)
    assert interval[1:3] == pytest.approx((5 - 0.3919928, 5 + 0.3919928), abs=1e-7)


@pytest.mark.parametrize(
    ("successes", "n", "confidence"),
    [(2, 1, 0.95), (-1, 5, 0.95), (float("nan"), 5, 0.95), (1, 5, 1.0), (1, 5, 0)],
)
def test_bad_arguments_are_refused(successes: float, n: float, confidence: float) -> None:
    """Outside the ranges, NaN included."""
    with pytest.raises(InputError):
        wilson_interval(successes, n, confidence)


@pytest.mark.parametrize(("mean", "variance"), [(float("nan"), 1.0), (0.0, -1.0), (0.0, float("inf"))])
def test_bad_moments_are_refused(mean: float, variance: float) -> None:
    """A mean or variance that cannot be."""
    with pytest.raises(InputError):
        mean_interval(5, mean, variance)
