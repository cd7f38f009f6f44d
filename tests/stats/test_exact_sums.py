"""Sums of squares in 128 bits equal Python's integers."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import FoldError
from foldline.stats.exact_sums import add_squares, learn_squares

INT64 = st.integers(-(2**63), 2**63 - 1)


def squares(values: list[int], corrections: Sequence[tuple[int, int]] = ()) -> int:
    """The sum after learning the values and then correcting."""
    low, high = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    kind = np.array([3] * len(values) + [4] * len(corrections), np.int8)
    old = np.array([0] * len(values) + [o for o, _ in corrections], np.int64)
    new = np.array(values + [n for _, n in corrections], np.int64)
    learn_squares(low, high, kind, np.zeros(len(kind), np.int32), old, new)
    return (int(high[0]) << 64) + int(low[0])


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(INT64, min_size=1, max_size=3))
def test_squares_are_exact(values: list[int]) -> None:
    """Whatever the sign and size."""
    assert squares(values) == sum(v * v for v in values)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(INT64, min_size=1, max_size=3), INT64)
def test_corrections_are_exact(values: list[int], truth: int) -> None:
    """The old square is taken off without a trace."""
    expected = sum(v * v for v in values[1:]) + truth * truth
    assert squares(values, [(values[0], truth)]) == expected


def test_overflow_is_refused() -> None:
    """Four squares of -2^63 are 2^128."""
    with pytest.raises(FoldError) as caught:
        squares([-(2**63)] * 4)
    assert caught.value.code == "fold.overflow"
    full = (np.array([2**64 - 1], np.uint64), np.array([2**64 - 1], np.uint64))
    one = (np.array([1], np.uint64), np.array([0], np.uint64))
    with pytest.raises(FoldError):
        add_squares(full, one)
    assert [int(x[0]) for x in add_squares((full[0], one[1]), one)] == [0, 1]
