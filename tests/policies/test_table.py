"""Probability tables sum exactly and give what their rules say."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.policies.protocol import WHOLE
from foldline.policies.table import equal_shares, greedy, proportional, quotient

SHARES = st.lists(st.floats(0.0, 1e6, allow_subnormal=False), min_size=1, max_size=60)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(SHARES, st.data())
def test_any_shares_sum_to_the_whole(shares: list[float], data: st.DataObject) -> None:
    """Weights sum to 2^53, follow the shares to a unit or so, and are zero where not allowed or zero shared."""
    mask = data.draw(st.lists(st.booleans(), min_size=len(shares), max_size=len(shares)))
    allowed = np.array(mask)
    allowed[data.draw(st.integers(0, len(shares) - 1))] = True
    given_shares = np.array(shares)
    weights = proportional(given_shares, allowed)
    total = given_shares[allowed].sum()
    assert int(weights.sum()) == WHOLE
    assert (weights >= 0).all()
    assert not weights[~allowed].any()
    if total > 0:
        assert not weights[given_shares == 0].any()
        np.testing.assert_allclose(
            weights[allowed] / WHOLE, given_shares[allowed] / total, rtol=0, atol=len(shares) * 2**-51
        )


def test_greedy_gives_every_action_its_share_and_the_best_the_rest() -> None:
    """Explored: epsilon/n rounded down; the rest to the tied best equally, or to the first."""
    values, everything = np.array([0.5, 0.7, 0.7, 0.1]), np.ones(4, np.bool_)
    share = int(0.1 * WHOLE) // 4
    shared = greedy(values, everything, 0.1, "random")
    first = greedy(values, everything, 0.1, "first")
    assert shared[[0, 3]].tolist() == [share, share]
    assert 0 <= shared[1] - shared[2] <= 1
    assert first.tolist() == [share, WHOLE - 3 * share, share, share]


def test_greedy_without_exploring_never_takes_a_worse_action() -> None:
    """With epsilon 0 the weights of all but the best are exactly zero."""
    weights = greedy(np.array([0.5, 0.7]), np.ones(2, np.bool_), 0.0, "random")
    assert weights.tolist() == [0, WHOLE]


def test_a_mask_recomputes_among_the_allowed() -> None:
    """The best of the allowed actions is best; exploring is shared among them."""
    weights = greedy(np.array([0.5, 0.7, 0.6]), np.array([True, False, True]), 0.2, "random")
    assert weights[1] == 0
    assert abs(weights[2] / WHOLE - 0.9) < 1e-12


@settings(max_examples=100, derandomize=True)
@given(st.integers(0, WHOLE), st.lists(st.booleans(), min_size=1, max_size=50).filter(any))
def test_equal_shares_differ_by_one_unit_at_most(mass: int, marked: list[bool]) -> None:
    """The mass is kept exactly."""
    weights = equal_shares(mass, np.array(marked))
    held = weights[np.array(marked)]
    assert int(weights.sum()) == mass
    assert held.max() - held.min() <= 1


def test_quotients_are_rounded_once() -> None:
    """Averages of sums beyond 2^53 are the doubles nearest to the exact quotient."""
    total, count = np.array([2**62 + 1, 1, 0, -(2**61) - 1]), np.array([3, 3, 0, 7])
    means = quotient(total, count, 32)
    assert means[0] == (2**62 + 1) / (3 << 32)
    assert means[1] == 1 / (3 << 32)
    assert np.isnan(means[2])
    assert means[3] == -(2**61 + 1) / (7 << 32)
