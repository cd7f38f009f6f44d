"""What each policy makes of what it learns, against worked examples."""

from functools import partial

import numpy as np
import pytest

from foldline.errors import FoldError
from foldline.fold.emits import Emit
from foldline.policies.constant_step import ConstantStep
from foldline.policies.discounted import Discounted
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.policies.gaussian_thompson import GaussianThompson
from foldline.policies.kl_ucb import KlUcb
from foldline.policies.protocol import Parameters, Policy
from foldline.policies.thompson import Thompson
from foldline.policies.ucb1 import Ucb1
from foldline.testing.emit_streams import START, UNIT_BITS, emits_of

UNIT = 1 << UNIT_BITS


def learnt(
    policy: Policy, rewards: list[tuple[int, float]], *, step: int = 0, actions: int = 3
) -> Parameters:
    """Parameters after these (action, reward) pairs, decided `step` milliseconds apart; as of the last."""
    state = policy.empty(actions)
    rows = []
    for i, (action, reward) in enumerate(rewards):
        time = START + i * step
        rows += [(1, action, 0, 0, time), (3, action, 0, round(reward * UNIT), time)]
    if rows:
        policy.learn(state, emits_of(rows), unit_bits=UNIT_BITS)
    as_of = START + max(0, len(rewards) - 1) * step
    return policy.compile(state, range(actions), as_of=as_of, unit_bits=UNIT_BITS, low=0.0, high=1.0)


def test_epsilon_greedy_takes_averages_and_forgets_q0() -> None:
    """Q is the average; q0 only before the first reward."""
    values = learnt(EpsilonGreedy(q0=0.9), [(0, 1.0), (0, 0.0), (1, 0.25)])["values"]
    assert values == [0.5, 0.25, 0.9]


def test_constant_step_follows_the_recursion() -> None:
    """Q += alpha (R - Q), in order, from q0."""
    assert learnt(ConstantStep(alpha=0.5, q0=0.0), [(0, 1.0), (0, 1.0), (0, 0.0)])["values"] == [
        0.375,
        0.0,
        0.0,
    ]


def test_discounted_halves_after_a_half_life() -> None:
    """A reward one half-life old counts half against one of now; the prior counts in full."""
    values = learnt(Discounted(half_life_s=10.0, prior_count=0.0), [(0, 1.0), (0, 0.0)], step=10_000)[
        "values"
    ]
    assert values[0] == pytest.approx(1 / 3, abs=1e-14)
    prior = Discounted(half_life_s=10.0, prior_count=2.0, prior_mean=0.5)
    values = learnt(prior, [(0, 1.0), (1, 0.0)], step=10_000)["values"]
    assert values == pytest.approx([1.5 / 2.5, 1 / 3, 0.5], abs=1e-14)


def test_discounted_forgets_what_is_a_thousand_half_lives_old() -> None:
    """The old entries weigh exactly nothing, in whichever order they come."""
    policy = Discounted(half_life_s=0.001, prior_count=0.0, prior_mean=0.25)
    old, new = (3, 0, 0, UNIT, START), (3, 0, 0, 0, START + 1000)
    for rows in ([old, new], [new, old]):
        state = policy.empty(1)
        policy.learn(state, emits_of(rows), unit_bits=UNIT_BITS)
        assert state["count"].tolist() == [1.0]
        assert state["sum"].tolist() == [0.0]
    late = policy.compile(state, [0], as_of=START + 10_000, unit_bits=UNIT_BITS, low=0.0, high=1.0)
    assert late["values"] == [0.25]


def test_thompson_adds_rewards_to_its_prior() -> None:
    """alpha and beta count successes and failures, within the declared range."""
    parameters = learnt(Thompson(prior_mean=0.25, prior_count=4.0), [(0, 1.0), (0, 1.0), (1, 0.0)])
    assert parameters["alpha"] == [3.0, 1.0, 1.0]
    assert parameters["beta"] == [3.0, 4.0, 3.0]


def test_gaussian_thompson_is_the_conjugate_update() -> None:
    """Location, scale and degrees of freedom of Murphy 2007 for rewards 1, 2, 4 and a worked prior."""
    policy = GaussianThompson(prior_mean=1.0, prior_count=2.0, prior_sd=3.0, prior_sd_count=5.0)
    parameters = learnt(policy, [(0, 1.0), (0, 2.0), (0, 4.0)], actions=1)
    deviations = 14 / 3
    squares = 5 * 9 + deviations + 2 * 3 * (7 / 3 - 1) ** 2 / 5
    assert parameters["location"] == [pytest.approx((2 * 1 + 7) / 5)]
    assert parameters["freedom"] == [8.0]
    assert parameters["scale"] == [pytest.approx(np.sqrt(squares / (8 * 5)))]


def test_gaussian_variance_does_not_cancel() -> None:
    """A deviation of 2^-20 beside a mean of 2^20 is seen exactly: sums of squares are integers."""
    rewards = [(0, 2.0**20 + k * 2.0**-20) for k in (-1, 0, 1)]
    policy = GaussianThompson()
    state = policy.empty(1)
    policy.learn(state, emits_of([(3, a, 0, int(r * UNIT), START) for a, r in rewards]), unit_bits=UNIT_BITS)
    known = policy.estimates(state, [0], as_of=START, unit_bits=UNIT_BITS)
    half = 1.959963984540054 * 2.0**-20 / np.sqrt(3)
    assert known["high"][0] - known["mean"][0] == pytest.approx(half, rel=1e-3)


def test_ucb1_is_its_formula() -> None:
    """Untried first; then mean + sqrt(2 ln t / n)."""
    assert learnt(Ucb1(), [(0, 1.0)])["bounds"][1:] == [None, None]
    bounds = learnt(Ucb1(), [(0, 1.0), (0, 0.0), (1, 0.5), (2, 0.0)])["bounds"]
    expected = [0.5 + np.sqrt(2 * np.log(4) / 2), 0.5 + np.sqrt(2 * np.log(4)), np.sqrt(2 * np.log(4))]
    assert bounds == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("policy", [Ucb1(), KlUcb()], ids=repr)
def test_a_decision_without_its_reward_lowers_the_bound(policy: Policy) -> None:
    """Pulls count when decided, and no longer when the decision is replaced."""
    state = policy.empty(2)
    rows = [(1, 0, 0, 0, START), (3, 0, 0, UNIT, START), (1, 1, 0, 0, START), (3, 1, 0, UNIT, START)]
    policy.learn(state, emits_of(rows), unit_bits=UNIT_BITS)
    policy.learn(state, emits_of([(Emit.DECIDED, 0, 0, 0, START)]), unit_bits=UNIT_BITS)
    compiled = partial(policy.compile, state, [0, 1], as_of=START, unit_bits=UNIT_BITS, low=0.0, high=2.0)
    lowered = compiled()["bounds"]
    assert lowered[0] < lowered[1]
    policy.learn(state, emits_of([(Emit.UNDECIDED, 0, 0, 0, START)]), unit_bits=UNIT_BITS)
    restored = compiled()["bounds"]
    assert restored[0] == restored[1]


@pytest.mark.parametrize("policy", [EpsilonGreedy(), GaussianThompson()], ids=repr)
def test_overflow_is_refused(policy: Policy) -> None:
    """A sum that would leave its 64 bits stops the fold, when learning and when merging."""
    state = policy.empty(1)
    policy.learn(state, emits_of([(3, 0, 0, 2**62, START)]), unit_bits=0)
    other = policy.empty(1)
    policy.learn(other, emits_of([(3, 0, 0, 2**62, START)]), unit_bits=0)
    with pytest.raises(FoldError) as merging:
        policy.merge(state, other)
    with pytest.raises(FoldError) as learning:
        policy.learn(state, emits_of([(3, 0, 0, 2**62, START)]), unit_bits=0)
    assert merging.value.code == learning.value.code == "fold.overflow"


@pytest.mark.parametrize("policy", [EpsilonGreedy(), ConstantStep(), Discounted(), Ucb1()], ids=repr)
@pytest.mark.parametrize("action", [-1, 2])
def test_an_action_outside_the_state_is_refused(policy: Policy, action: int) -> None:
    """Kernels never write outside their arrays."""
    with pytest.raises(IndexError, match="grow it first"):
        policy.learn(policy.empty(2), emits_of([(3, action, 0, 1, START)]), unit_bits=UNIT_BITS)
