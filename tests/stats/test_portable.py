"""The portable exponential and logarithm are accurate, and compiled code gives the plain loop's bits."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.kernels import as_it_stands
from foldline.stats.portable import exp, log, log1p


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.floats(-700.0, 700.0))
def test_exp_is_within_two_units_and_compiled_as_written(x: float) -> None:
    """Against the mathematical library, and bit for bit against the uncompiled function."""
    assert abs(exp(x) - math.exp(x)) <= 2 * math.ulp(math.exp(x))
    assert exp(x) == as_it_stands(exp)(x)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.floats(1e-300, 1e300))
def test_log_is_within_two_units_and_compiled_as_written(x: float) -> None:
    """Against the mathematical library, and bit for bit against the uncompiled function."""
    assert abs(log(x) - math.log(x)) <= 2 * math.ulp(math.log(x))
    assert log(x) == as_it_stands(log)(x)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(-0.999, 1e9))
def test_log1p_keeps_small_numbers(x: float) -> None:
    """Relative accuracy near zero too."""
    assert log1p(x) == pytest.approx(math.log1p(x), rel=1e-14, abs=0.0)


def test_fixed_bits() -> None:
    """Values recorded once: a change of compiler or machine that changes a bit fails here."""
    assert exp(1.0).hex() == "0x1.5bf0a8b14576ap+1"
    assert log(10.0).hex() == "0x1.26bb1bbb55516p+1"


def test_limits() -> None:
    """What lies outside the range."""
    assert exp(-1000.0) == 0.0
    assert exp(1000.0) == math.inf
    assert log(0.0) == -math.inf
    assert math.isnan(log(-1.0))
    assert math.isnan(exp(math.nan))
