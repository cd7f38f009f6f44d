"""A design that is planned: how long it takes, its power by size, and what programs read of it."""

from dataclasses import replace

import pytest

from foldline.errors import DefinitionError
from foldline.experiments.design import Design, design
from foldline.experiments.metrics import MeanMetric, ProportionMetric
from foldline.experiments.power_curve import always_valid_curve, duration_days, power_curve

CTR = ProportionMetric(0.07)
REVENUE = MeanMetric(15.0)


def plan_of_the_seed() -> Design:
    """1,124 a group."""
    return design(CTR, alpha=0.05, power=0.9, effect=0.04)


def test_duration_and_its_refusal() -> None:
    """2,248 units at 100 a day; of half of them twice as long; not in a week."""
    assert duration_days(plan_of_the_seed(), 100) == 23
    assert duration_days(plan_of_the_seed(), 100, coverage=0.5) == 45
    with pytest.raises(DefinitionError) as refused:
        duration_days(plan_of_the_seed(), 100, max_days=7)
    assert "give 23 days, or 322 units a day, or an effect of 0.0792" in str(refused.value)


def test_the_power_curve_rises_through_the_design() -> None:
    """At the planned size it is the designed power."""
    curve = power_curve(plan_of_the_seed())
    assert [point.power for point in curve] == sorted(point.power for point in curve)
    assert dict(curve)[1124] == pytest.approx(0.900248, abs=1e-6)


def test_power_of_limits_that_hold_at_every_moment() -> None:
    """RC-7: at 1,124 a group published 70 %, at 2,248 97 %, for looks after every pair; here at 96 moments."""
    curve = dict(always_valid_curve(plan_of_the_seed(), 96))
    assert curve[1124] == pytest.approx(0.70, abs=0.03)
    assert curve[2248] == pytest.approx(0.97, abs=0.01)
    assert list(curve.values()) == sorted(curve.values())


def test_more_is_asked_of_several_challengers_and_margins() -> None:
    """At the level of each comparison, of the least powerful one; one-sided against the margin."""
    twice = design(CTR, alpha=0.05, power=0.9, effect=0.04, weights=(1, 1, 2))
    assert always_valid_curve(twice)[23].power == pytest.approx(0.68, abs=0.03)
    margin = design(REVENUE, alpha=0.05, power=0.9, effect=0.0, margin=0.7, alternative="greater")
    powers = [point.power for point in always_valid_curve(margin)]
    assert powers[23] == pytest.approx(0.65, abs=0.03)
    assert powers[-1] == pytest.approx(0.944, abs=0.02)
    # Without an effect it errs at most at its level.
    nothing = replace(plan_of_the_seed(), effect=1e-9)
    assert always_valid_curve(nothing)[-1].power < 0.05


def test_a_design_as_json() -> None:
    """Plain values, the promised ones among them."""
    answer = plan_of_the_seed().as_json()
    promised = {
        "method",
        "alternative",
        "sample_size_per_variant",
        "sample_size_total",
        "alpha",
        "power",
        "effect",
    }
    assert promised <= answer.keys()
    assert answer["exact_power"] == pytest.approx(0.90266, abs=6e-6)
    assert answer["analysis"] == "yates"
