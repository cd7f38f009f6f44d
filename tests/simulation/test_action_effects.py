"""Effects between a bandit's actions: by hand, simulated, and where none can be told."""

from typing import Any

import msgspec
import numpy as np
import pytest

from foldline.errors import InputError
from foldline.fold.emits import Emit, Emits
from foldline.loops.definition import LoopDefinition
from foldline.policies.compiled import Compiled
from foldline.policies.mixture import Mixture
from foldline.policies.protocol import Policy
from foldline.policies.registry import policy_from
from foldline.simulation.action_effects import ActionEffect, action_effects
from foldline.simulation.own_log import OwnDecision
from foldline.stats.always_valid import NormalMixture
from foldline.stats.not_estimable import NotEstimable
from tests.engine.traffic import definition

RANDOM = policy_from({"kind": "random"})


def _loop(*actions: str) -> LoopDefinition:
    return msgspec.structs.replace(definition(1, wait_ms=0), actions=actions)


def _made(
    action: str, reward: float, propensity: float = 0.5, time: int = 0, available: Any = None
) -> OwnDecision:
    return OwnDecision(action, propensity, available, None, None, reward, time)


def _effects(found: list[ActionEffect] | NotEstimable) -> list[ActionEffect]:
    assert not isinstance(found, NotEstimable), found
    return found


def test_scores_are_doubly_robust_with_what_came_before() -> None:
    """Four decisions by hand, given out of order: models are the running means of each action."""
    made = [
        _made("b", 1.0, 0.5, 1),
        _made("a", 0.0, 0.5, 2),
        _made("a", 1.0, 0.5, 4),
        _made("b", 0.0, 0.5, 3),
    ]
    [effect] = _effects(action_effects(made, _loop("a", "b"), RANDOM))
    # In order: b 1 (models 0, 0), a 0 (a 0, b 1), b 0 (a 0, b 1), a 1 (a 0, b 1/2).
    scores = np.array([2.0, 1.0, 1.0 - 2.0, 0.5 - 2.0])
    # A score may become 1 / 0.5: that counts as one more in the variance.
    error = float(np.sqrt((scores**2).sum() + 4.0)) / 4
    expected = NormalMixture.tuned(10_000).interval(float(scores.mean()), error, 4)
    assert expected
    assert (effect.action, effect.control, effect.chosen, effect.control_chosen) == ("b", "a", 2, 2)
    assert (effect.estimate, effect.low, effect.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )


def test_decisions_in_which_one_was_not_available_are_left_out() -> None:
    """Of three actions, with a control of one's own; confidence is shared between the comparisons."""
    made = [
        _made("a", 1.0, 0.4), _made("b", 0.0, 0.4), _made("c", 1.0, 0.5, available=("a", "c")),
        _made("a", 0.0, 0.5, available=("a", "c")), _made("c", 1.0, 0.4),
    ]  # fmt: skip
    a, c = _effects(action_effects(made, _loop("a", "b", "c"), RANDOM, control="b"))
    assert (a.action, a.decisions, a.chosen, c.action, c.decisions, c.chosen) == ("a", 3, 1, "c", 3, 1)
    assert a.confidence == pytest.approx(0.975)
    assert a.least_propensity == 0.4
    nobody = [_made("a", 0.0), _made("b", 0.0)]
    assert _effects(action_effects(nobody, _loop("a", "b"), RANDOM))[0].reason == (
        "no decision with a reward other than zero yet"
    )


@pytest.mark.parametrize("kind", ["thompson", "ucb1", "kl_ucb", "gaussian_thompson"])
def test_a_policy_without_a_floor_is_refused(kind: str) -> None:
    """And told what to do; so is a log with less than the policy guarantees, and a control that is no action."""
    made = [_made("a", 1.0), _made("b", 0.0)]
    found = action_effects(made, _loop("a", "b"), policy_from({"kind": kind}))
    assert isinstance(found, NotEstimable)
    assert '"kind": "mixture"' in found.reason
    assert not isinstance(action_effects(made, _loop("a", "b"), Mixture({"kind": kind})), NotEstimable)
    low = action_effects([*made, _made("a", 1.0, 0.01)], _loop("a", "b"), Mixture({"kind": kind}, share=0.2))
    assert isinstance(low, NotEstimable)
    assert "propensity 0.01, below the 0.1" in low.reason
    with pytest.raises(InputError, match="no action of loop"):
        action_effects(made, _loop("a", "b"), RANDOM, control="z")


def _run(
    policy: Policy, rates: list[float], steps: int, rng: np.random.Generator, every: int = 25
) -> list[OwnDecision]:
    """Decisions of a policy that learns every so many of them."""
    n = len(rates)
    state, made = policy.empty(n), list[OwnDecision]()
    for start in range(0, steps, every):
        parameters = policy.compile(state, range(n), as_of=start, unit_bits=32, low=0.0, high=1.0)
        compiled = Compiled(policy.kind, [f"a{i}" for i in range(n)], parameters, f"{rng.integers(2**60)}")
        chosen = [compiled.choose(str(start + i)) for i in range(every)]
        actions = np.array([action for action, _ in chosen], np.int32)
        rewards = rng.random(every) < np.array(rates)[actions]
        zeros = np.zeros(every, np.int64)
        learnt = Emits(
            np.full(every, Emit.LEARNT, np.int8), actions, zeros, rewards.astype(np.int64) << 32, zeros, zeros
        )
        policy.learn(state, learnt, unit_bits=32)
        made += [
            _made(f"a{action}", float(reward), propensity, start + i)
            for i, ((action, propensity), reward) in enumerate(zip(chosen, rewards.tolist(), strict=True))
        ]
    return made


@pytest.mark.parametrize("decay", ["none", "fourth_root"])
def test_limits_hold_at_every_look_in_a_mixture_adaptive_design(decay: Any) -> None:
    """A greedy bandit of three actions at 0.3, 0.3 and 0.45, mixed with a share of 0.3: 200 runs, 1,000 decisions.

    Looked at every 50 from the 100th: limits of 95 % of both effects together miss in at most 5 % of the runs.
    """
    policy = Mixture({"kind": "epsilon_greedy", "epsilon": 0.0}, share=0.3, decay=decay)
    rng, loop, runs, missed, found = np.random.default_rng(3), _loop("a0", "a1", "a2"), 200, 0, 0
    for _ in range(runs):
        made = _run(policy, [0.3, 0.3, 0.45], 1000, rng)
        miss = False
        for look in range(100, 1001, 50):
            effects = _effects(action_effects(made[:look], loop, policy, planned=1000))
            for effect, truth in zip(effects, (0.0, 0.15), strict=True):
                assert effect.low is not None
                assert effect.high is not None
                miss |= not effect.low <= truth <= effect.high
        missed += miss
        found += effects[1].low is not None and effects[1].low > 0.0
    assert missed / runs <= 0.05
    assert found > 0


def test_a_bandit_by_itself_has_the_floor_of_its_epsilon() -> None:
    """Epsilon-greedy's actions are compared without any mixture."""
    policy, rng = policy_from({"kind": "epsilon_greedy", "epsilon": 0.4}), np.random.default_rng(4)
    made = _run(policy, [0.1, 0.4], 3000, rng)
    [effect] = _effects(action_effects(made, _loop("a0", "a1"), policy, planned=3000))
    assert effect.low is not None
    assert effect.low > 0.0
    assert effect.least_propensity == pytest.approx(0.2)
