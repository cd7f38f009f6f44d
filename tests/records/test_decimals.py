"""Decimal digits to float64, against Python's `float()`."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.records.decimals import to_float


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.integers(0, (1 << 64) - 1), st.one_of(st.integers(-30, 30), st.integers(-400, 400)))
def test_every_answer_has_the_bits_of_float(digits: int, power: int) -> None:
    """Where it answers, it answers as `float()`; within 10^±200 it always answers."""
    ok, value = to_float(np.uint64(digits), power)
    assert not ok or value == float(f"{digits}e{power}")
    assert ok or digits == 0 or not -200 < power < 200


def test_half_way_between_two_floats_rounds_to_even() -> None:
    """Decimals that lie exactly between two floats go to the even one."""
    rng = np.random.default_rng(5)
    answered = 0
    for odd in (rng.integers(1 << 52, 1 << 53, 2_000) * 2 + 1).tolist():
        for power in range(5):
            digits = odd * 5**power
            if digits < 1 << 64:
                ok, value = to_float(np.uint64(digits), -power)
                assert ok
                assert value == float(f"{digits}e-{power}")
                answered += 1
    assert answered > 2_000


def test_shortest_forms_come_back() -> None:
    """Probabilities over 2^53 survive being written and read."""
    rng = np.random.default_rng(6)
    for whole in rng.integers(0, 1 << 53, 2_000).tolist():
        value = whole / (1 << 53)
        mantissa, _, exponent = f"{value:.17e}".partition("e")
        ok, found = to_float(np.uint64(mantissa.replace(".", "")), int(exponent) - 17)
        assert ok
        assert found == value
