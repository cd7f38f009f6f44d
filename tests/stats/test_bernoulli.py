"""Divergence and upper bounds of KL-UCB."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.stats.bernoulli import divergence, upper_bounds


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(1e-6, 1 - 1e-6))
def test_divergence_is_its_formula(p: float, q: float) -> None:
    """With 0 log 0 = 0."""
    terms = [a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 1e-300]
    assert divergence(p, q) == pytest.approx(sum(terms), abs=1e-12)


def test_divergence_at_the_ends() -> None:
    """What q excludes is infinitely far from a p that allows it."""
    assert divergence(0.0, 0.0) == divergence(1.0, 1.0) == 0.0
    assert divergence(0.5, 0.0) == divergence(0.5, 1.0) == math.inf


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.floats(0.0, 0.99), st.integers(1, 10_000), st.floats(0.0, 20.0))
def test_upper_bounds_solve_their_equation(mean: float, pulls: int, level: float) -> None:
    """n kl(mean, q) = level, unless q is 1; never below the mean."""
    q = float(upper_bounds(np.array([mean]), np.array([float(pulls)]), level)[0])
    assert q >= mean
    assert pulls * divergence(mean, q) <= level + 1e-9
    if q < 1 - 1e-9:
        assert pulls * divergence(mean, min(1.0, q + 1e-7)) >= level - 1e-9
