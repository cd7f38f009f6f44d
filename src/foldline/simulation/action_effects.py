"""How do a bandit's actions differ? From its own log, by the probabilities it was logged with.

Means of a bandit's actions are biased downwards, since an action is tried less after bad luck, and a t-test of them is
wrong. Each decision's doubly robust score (`stats.adaptive`) has the effect between two actions as its expectation,
whatever the bandit had learnt; its models are the running means of earlier decisions. The limits hold at every moment,
so one may look at them while the bandit goes on. They need a least probability that the policy guarantees: without one
an action that fell out of favour would never be seen again, and no weighting makes up for that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.loops.definition import LoopDefinition
from foldline.policies.protocol import Policy
from foldline.simulation.own_log import OwnDecision
from foldline.stats.adaptive import AdaptiveSums, adaptive_interval, effect_scores
from foldline.stats.not_estimable import NotEstimable

Floats = npt.NDArray[np.float64]
PLANNED = 10_000
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ActionEffect:
    """An action against another, in reward a decision.

    Attributes:
        action: which.
        control: which other.
        decisions: in which both were available.
        chosen: of those, the ones that chose it.
        control_chosen: that chose the other.
        estimate: of the difference, action minus control, averaged over the decisions.
        low: lower limit, at every moment.
        high: upper limit.
        confidence: of the limits; those of all actions hold together.
        least_propensity: of either, among the decisions that chose it.
        reason: why there is no estimate.
    """

    action: str
    control: str
    decisions: int
    chosen: int
    control_chosen: int
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    least_propensity: float | None
    reason: str | None = None


def action_effects(
    decisions: Sequence[OwnDecision],
    loop: LoopDefinition,
    policy: Policy,
    *,
    control: str | None = None,
    planned: int = PLANNED,
    confidence: float = 0.95,
) -> list[ActionEffect] | NotEstimable:
    """Every action of a loop against one of them. O(decisions · actions).

    Args:
        decisions: that the policy made; those that still wait for their reward are left out.
        loop: its newest version.
        policy: that made them.
        control: what the others are compared with; the loop's first action by default.
        planned: decisions at which the limits shall be narrowest, about; fixed before the first look.
        confidence: that all limits hold, at every moment.

    Returns:
        The effects, in the loop's order; or `NotEstimable` where the policy guarantees no least probability, or the
        log shows that it had less.

    Raises:
        InputError: `input.unknown_action` for a control that is none of the loop's; `input.invalid`.
    """
    chosen = loop.actions[0] if control is None else control
    if chosen not in loop.actions:
        raise InputError(
            "input.unknown_action",
            f"control {chosen!r} is no action of loop {loop.name!r}; expected one of {', '.join(loop.actions)}",
            field="control",
            value=chosen,
        )
    known = _settled(decisions, loop)
    floor = policy.floor(len(loop.actions), len(decisions))
    if not floor > 0.0:
        return NotEstimable(
            f"policy {policy.kind!r} gives no action a least probability, so that one out of favour may never be seen "
            'again; mix it with even choice, such as {"kind": "mixture", "policy": {"kind": "thompson"}, "share": 0.1}'
        )
    least = min((one.propensity for one in known), default=1.0)
    if least < floor * (1.0 - _ROUNDING):
        return NotEstimable(
            f"a decision was logged with propensity {least:.3g}, below the {floor:.3g} that policy {policy.kind!r} "
            "guarantees: another policy, or another dial, made it; name a loop or experiment whose policy stayed"
        )
    others = [action for action in loop.actions if action != chosen]
    if not others:
        return NotEstimable("the loop has one action: there is nothing to compare it with")
    each = 1.0 - (1.0 - confidence) / len(others)
    largest = (loop.high - loop.low) / floor
    return [_effect(known, action, chosen, planned, each, largest) for action in others]


def _settled(decisions: Sequence[OwnDecision], loop: LoopDefinition) -> list[OwnDecision]:
    """In order of time, without those whose reward may still be on its way."""
    newest = max((one.time for one in decisions), default=0)
    return sorted(
        (one for one in decisions if one.time + loop.reward.wait_ms <= newest), key=lambda one: one.time
    )


def _effect(
    decisions: Sequence[OwnDecision],
    action: str,
    control: str,
    planned: int,
    confidence: float,
    largest: float,
) -> ActionEffect:
    both = [
        one
        for one in decisions
        if one.available is None or (action in one.available and control in one.available)
    ]
    rewards = np.array([one.reward for one in both], np.float64)
    treated = np.array([one.action == action for one in both], np.bool_)
    untreated = np.array([one.action == control for one in both], np.bool_)
    propensities = np.array([one.propensity for one in both], np.float64)
    served = treated | untreated
    scores = effect_scores(
        rewards,
        treated,
        propensities,
        _mean_before(rewards, untreated),
        _mean_before(rewards, treated),
        served=served,
    )
    interval = adaptive_interval(AdaptiveSums.of_scores(scores), planned, confidence, largest=largest)
    there = not isinstance(interval, NotEstimable)
    return ActionEffect(
        action=action,
        control=control,
        decisions=len(both),
        chosen=int(treated.sum()),
        control_chosen=int(untreated.sum()),
        estimate=interval.estimate if there else None,  # type: ignore[union-attr]  # there means an interval
        low=interval.low if there else None,  # type: ignore[union-attr]  # there means an interval
        high=interval.high if there else None,  # type: ignore[union-attr]  # there means an interval
        confidence=confidence,
        least_propensity=float(propensities[served].min()) if served.any() else None,
        reason=None if there else interval.reason,  # type: ignore[union-attr]  # not there means a reason
    )


def _mean_before(rewards: Floats, chosen: npt.NDArray[np.bool_]) -> Floats:
    """(n,) the mean reward of an action's earlier decisions; 0 before the first."""
    mine = np.where(chosen, rewards, 0.0)
    before: npt.NDArray[np.int64] = np.cumsum(chosen) - chosen.astype(np.int64)
    means: Floats = (np.cumsum(mine) - mine) / np.maximum(before, 1)
    return means
