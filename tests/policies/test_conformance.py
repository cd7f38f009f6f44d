"""Every policy passes the conformance suite, and the suite finds broken policies."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.policies.constant_step import ConstantStep
from foldline.policies.discounted import Discounted
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.policies.fixed import Fixed
from foldline.policies.gaussian_thompson import GaussianThompson
from foldline.policies.kl_ucb import KlUcb
from foldline.policies.mixture import Mixture
from foldline.policies.protocol import Parameters, Policy
from foldline.policies.random import Random
from foldline.policies.registry import POLICIES
from foldline.policies.split import Split
from foldline.policies.thompson import Thompson
from foldline.policies.ucb1 import Ucb1
from foldline.testing import check_policy as suite

CASES: list[Policy] = [
    Random(),
    Fixed("b"),
    Split({"a": 0.9, "b": 0.1}),
    Split({"f": 1e-9}),
    EpsilonGreedy(),
    EpsilonGreedy(0.0, q0=1.0, ties="first"),
    EpsilonGreedy(1.0),
    ConstantStep(),
    ConstantStep(alpha=1.0, q0=0.1),
    Discounted(),
    Discounted(half_life_s=0.7, prior_count=0.0),
    Discounted(half_life_s=86_400.0, prior_mean=1 / 3),
    Thompson(),
    Thompson(prior_mean=0.5, prior_count=2.0),
    Thompson(half_life_s=60.0),
    GaussianThompson(),
    GaussianThompson(prior_mean=100.0, prior_sd=0.001, prior_count=0.001),
    Ucb1(),
    Ucb1(bonus=0.1, ties="first"),
    KlUcb(),
    KlUcb(c=3.0, ties="first"),
    Mixture({"kind": "thompson"}),
    Mixture({"kind": "discounted", "half_life_s": 60.0}, share=0.3, decay="fourth_root"),
    Mixture({"kind": "constant_step"}, share=1.0),
    Mixture({"kind": "ucb1", "ties": "first"}, share=1e-9),
]


@pytest.mark.parametrize("policy", CASES, ids=repr)
def test_a_policy_keeps_its_promises(policy: Policy) -> None:
    """Every check of the suite passes."""
    suite.check_policy(policy)
    assert len(suite.POLICY_CHECKS) >= 13


def test_every_registered_policy_is_checked() -> None:
    """No kind is left out of the cases."""
    assert {type(case) for case in CASES} == set(POLICIES)


def test_a_suite_without_checks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting nothing is a failure, not a success."""
    monkeypatch.setattr(suite, "POLICY_CHECKS", {})
    with pytest.raises(AssertionError, match="no checks collected"):
        suite.check_policy(Random())


class Negative(Random, frozen=True, tag="negative"):
    """Gives an action more than everything."""

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        weights = Random.weights(parameters, allowed)
        weights += np.array([1, -1, 0, 0, 0, 0]) * (1 << 53)
        return weights


class Batched(Random, frozen=True, tag="batched"):
    """Counts batches instead of rewards."""

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        state["count"][0] += 1
        return super().learn(state, emits, unit_bits=unit_bits)


class Doubling(Random, frozen=True, tag="doubling"):
    """Counts the left side twice when merging."""

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        return super().merge(left, super().merge(left, right))


class Forgetful(EpsilonGreedy, frozen=True, tag="forgetful"):
    """Takes a learning parameter for a dial."""

    def empty(self, actions: int) -> Arrays:
        return {"count": np.zeros(actions, np.int64), "sum": np.full(actions, round(self.q0), np.int64)}


@pytest.mark.parametrize(
    ("check", "policy"),
    [
        (suite.check_tables, Negative()),
        (suite.check_batches, Batched()),
        (suite.check_merge, Doubling()),
        (suite.check_dials, Forgetful(q0=5.0)),
    ],
)
def test_a_broken_policy_is_found(check: Callable[[Policy], None], policy: Policy) -> None:
    """Each check fails on a policy that breaks its promise."""
    with pytest.raises(AssertionError):
        check(policy)
