"""Peeking and group-sequential bounds: RC-8."""

import math

import numpy as np
import pytest

from foldline.stats.group_sequential import (
    error_of_looks,
    found_by_looks,
    lan_demets_bounds,
    obrien_fleming,
    pocock,
    power_family,
)


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
    by_power = lan_demets_bounds(fifths, power_family())
    assert by_power == pytest.approx(power, abs=6e-5)
    assert (by_power[0], by_power[-1]) == pytest.approx((3.09023231, 2.1139679), abs=6e-5)
    assert lan_demets_bounds([0.5, 1.0], obrien_fleming()) == pytest.approx([2.9626, 1.9686], abs=6e-5)
    for spending in (obrien_fleming(), pocock(), power_family()):
        assert error_of_looks(lan_demets_bounds(fifths, spending), fifths) == pytest.approx(0.05, abs=1e-9)


def test_power_by_looks() -> None:
    """With the drift of a test of power 0.9 at one look; and by simulated walks, 40,000 of them."""
    assert found_by_looks([1.959963985], [1.0], 1.959963985 + 1.2815515655)[0] == pytest.approx(0.9, abs=1e-6)
    shares, bounds, drift = [0.25, 0.5, 0.75, 1.0], [3.0, 2.6, 2.3, 2.1], 2.8
    steps = np.random.default_rng(15).standard_normal((40_000, 4)) * 0.5 + drift * 0.25
    z = np.abs(np.cumsum(steps, axis=1)) / np.sqrt(shares)
    seen = np.maximum.accumulate(z > bounds, axis=1).mean(axis=0)
    assert found_by_looks(bounds, shares, drift) == pytest.approx(
        seen.tolist(), abs=4 * math.sqrt(0.25 / 40_000)
    )
