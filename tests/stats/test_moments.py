"""Moments that merge, in floats and exactly in integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import FoldError, InputError
from foldline.stats.exact_moments import ExactMoments, learn_products, wide_integers
from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable

INT64 = st.integers(-(2**63), 2**63 - 1)
PAIRS = st.lists(st.tuples(st.integers(-(2**52), 2**52), st.integers(-1000, 1000)), max_size=30)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(PAIRS, PAIRS, PAIRS)
def test_exact_moments_do_not_depend_on_order_or_grouping(
    a: list[tuple[int, int]], b: list[tuple[int, int]], c: list[tuple[int, int]]
) -> None:
    """Associative, commutative, with an identity: equal, not nearly."""
    one, two, three, whole = (gathered(rows) for rows in (a, b, c, [*c, *a, *b]))
    assert one.merge(two).merge(three) == one.merge(two.merge(three)) == three.merge(one).merge(two) == whole
    assert one.merge(ExactMoments.empty(2)) == one


def gathered(rows: list[tuple[int, int]]) -> ExactMoments:
    """One observation after another."""
    tally = ExactMoments.empty(2)
    for row in rows:
        tally = tally.add(row)
    return tally


@settings(max_examples=100, derandomize=True, deadline=None)
@given(PAIRS, st.tuples(st.integers(-(2**52), 2**52), st.integers(-1000, 1000)))
def test_a_replaced_value_leaves_no_trace(rows: list[tuple[int, int]], late: tuple[int, int]) -> None:
    """As if only the corrected one had come."""
    assert gathered([*rows, (7, 8)]).replace((7, 8), late) == gathered([*rows, late])
    assert gathered([*rows, late]).remove(late) == gathered(rows)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(PAIRS)
def test_exact_and_floating_moments_agree(rows: list[tuple[int, int]]) -> None:
    """In units of 2^-10: to the last digits of what floats can hold."""
    exact = gathered(rows).moments(10)
    floats = Moments.empty(2)
    for row in rows:
        floats = floats.add([value / 1024 for value in row])
    assert exact.n == floats.n
    assert exact.means == pytest.approx(floats.means, rel=1e-9, abs=1e-3)
    for i in range(2):
        assert exact.comoments[i][i] == pytest.approx(floats.comoments[i][i], rel=1e-9, abs=1e-2)


def test_exact_moments_keep_what_floats_lose() -> None:
    """Around 2^60 in the smallest unit, values that differ by one: the variance is exactly 1."""
    assert gathered([(2**60 - 1, 0), (2**60, 0), (2**60 + 1, 0)]).moments().covariance() == 1.0


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), INT64, INT64, st.sampled_from([1, -1])), max_size=25))
def test_products_in_columns_are_those_of_python(rows: list[tuple[int, int, int, int]]) -> None:
    """128-bit sums of signed products, three groups at once, wherever they stay inside."""
    expected = [0, 0, 0]
    for group, x, y, sign in rows:
        expected[group] += sign * x * y
        if not -(2**127) <= expected[group] < 2**127:
            return
    low, high = np.zeros(3, np.uint64), np.zeros(3, np.uint64)
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    learn_products(
        low,
        high,
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int64),
        np.array(columns[2], np.int64),
        np.array(columns[3], np.int8),
    )
    assert wide_integers(low, high) == expected


def test_products_refuse_to_overflow_and_unknown_groups() -> None:
    """Three times 2^126 leaves 128 bits; group 1 of 1 is an error."""
    low, high = np.zeros(1, np.uint64), np.zeros(1, np.uint64)
    most = np.full(2, -(2**63))
    with pytest.raises(FoldError) as refused:
        learn_products(low, high, np.zeros(2, np.int32), most, most, np.ones(2, np.int8))
    assert refused.value.code == "fold.overflow"
    assert wide_integers(low, high) == [2**126]
    with pytest.raises(IndexError):
        learn_products(low, high, np.ones(1, np.int32), most[:1], most[:1], np.ones(1, np.int8))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=40), st.data())
def test_moments_merge_to_those_of_all(rows: list[list[float]], data: st.DataObject) -> None:
    """Split anywhere; up to rounding."""
    at = data.draw(st.integers(0, len(rows)))
    left, right = (Moments.of_rows(np.array(part).reshape(-1, 3)) for part in (rows[:at], rows[at:]))
    whole = Moments.of_rows(rows)
    for merged in (left.merge(right), right.merge(left)):
        assert merged.n == whole.n
        assert merged.means == pytest.approx(whole.means, rel=1e-9, abs=1e-7)
        for mine, theirs in zip(merged.comoments, whole.comoments, strict=True):
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1.0)


def test_moments_refuse_what_is_no_number() -> None:
    """NaN, infinity, another number of values; one observation has no variance."""
    with pytest.raises(InputError):
        Moments.of_rows([[float("nan")]])
    with pytest.raises(InputError):
        Moments.of_rows([1.0, 2.0])
    with pytest.raises(InputError):
        Moments.empty(1).add([float("inf")])
    with pytest.raises(InputError):
        Moments.empty(1).add([1.0, 2.0])
    with pytest.raises(InputError):
        ExactMoments.empty(1).add([1.5])  # type: ignore[list-item]  # what is refused
    assert isinstance(Moments.of_rows([[1.0]]).covariance(), NotEstimable)
    assert isinstance(Moments.empty(1).sample(), NotEstimable)
