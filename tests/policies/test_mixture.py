"""A bandit mixed with even choice: its least probability, its decay, and whose dials are turned."""

from typing import Any

import numpy as np
import pytest

from foldline.fold.emits import Emit, Emits
from foldline.fold.rule import RewardRule
from foldline.policies.bandits import BANDITS, by_kind
from foldline.policies.compiled import Compiled
from foldline.policies.fold import PolicyFold
from foldline.policies.mixture import Mixture
from foldline.policies.protocol import WHOLE, Policy
from foldline.policies.registry import POLICIES, policy_from

ACTIONS = ["a", "b", "c", "d"]


def _compiled(policy: Policy, rewards: int) -> Compiled:
    """After so many rewards, all of them of the first action and good."""
    state = policy.empty(4)
    kinds = np.full(rewards, Emit.LEARNT, np.int8)
    zeros = np.zeros(rewards, np.int64)
    emits = Emits(kinds, zeros.astype(np.int32), zeros, np.full(rewards, 1 << 32), zeros, zeros)
    policy.learn(state, emits, unit_bits=32)
    parameters = policy.compile(state, range(4), as_of=0, unit_bits=32, low=0.0, high=1.0)
    return Compiled(policy.kind, ACTIONS, parameters, "s")


@pytest.mark.parametrize("kind", list(by_kind(BANDITS)))
@pytest.mark.parametrize(("decay", "shares"), [("none", (0.2, 0.2)), ("fourth_root", (0.2, 0.02))])
def test_every_action_has_its_floor(kind: str, decay: Any, shares: tuple[float, float]) -> None:
    """Before anything is learnt and after 10,000 rewards; with a mask of the allowed; the bandit has the rest."""
    mixture = Mixture({"kind": kind}, share=0.2, decay=decay)
    for rewards, share in zip((0, 10_000), shares, strict=True):
        assert mixture.floor(4, rewards) == pytest.approx(share / 4)
        made = _compiled(mixture, rewards)
        assert made.weights.min() / WHOLE >= mixture.floor(4, rewards) - 1e-15
        assert int(made.weights.sum()) == WHOLE
        plain = _compiled(mixture.bandit, rewards).weights
        assert made.weights / WHOLE == pytest.approx(share / 4 + (1 - share) * plain / WHOLE, abs=1e-14)
        masked = made.weights_among(["b", "c"])
        assert (masked[[0, 3]].tolist(), masked[[1, 2]].min() / WHOLE >= share / 2 - 1e-15) == ([0, 0], True)


@pytest.mark.parametrize("policy", [policy_from({"kind": kind}) for kind in by_kind(BANDITS)], ids=repr)
def test_the_floor_of_a_bandit_by_itself(policy: Policy) -> None:
    """Epsilon-greedy ones have epsilon / n, others none; no table lies below what is promised."""
    floor = policy.floor(4, 10_000)
    assert floor == (0.025 if hasattr(policy, "epsilon") else 0.0)
    assert _compiled(policy, 10_000).weights.min() / WHOLE >= floor - 1e-15


def test_policies_that_do_not_learn_have_a_floor_too() -> None:
    """Of even choice, of shares of all actions; none of one action alone, or of shares that leave one out."""
    for text, floor in (
        ({"kind": "random"}, 0.25),
        ({"kind": "fixed", "action": "a"}, 0.0),
        ({"kind": "split", "shares": {"a": 5, "b": 3, "c": 1, "d": 1}}, 0.1),
        ({"kind": "split", "shares": {"a": 5, "b": 3}}, 0.0),
    ):
        assert policy_from(text).floor(4, 100) == pytest.approx(floor)
    assert len(POLICIES) == 11


def test_dials_of_either_start_no_new_fold() -> None:
    """Share, decay and the bandit's epsilon are dials; its half-life is learnt with."""

    def identity(share: float = 0.1, **bandit: float) -> dict[str, Any]:
        policy = Mixture({"kind": "discounted", **bandit}, share=share)
        return PolicyFold(policy, RewardRule()).parameters()

    assert identity() == identity(0.5, epsilon=0.3)
    assert identity() != identity(half_life_s=7.0)
    assert Mixture({"kind": "thompson"}) == Mixture({"kind": "thompson", "prior_mean": 0.01})
