"""What would a policy have earned on what a loop logged? By weighting each decision with its propensity.

Inside an experiment a decision has two probabilities: of its variant, and of the action given the variant. An action
that several variants could have chosen was logged with the mixture Σ P(variant) P(action | variant), which weights
less wildly than P(action | variant) alone; the product of the two is right for neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.experiments.definition import ExperimentDefinition
from foldline.loops.definition import LoopDefinition
from foldline.policies.protocol import WHOLE, Policy
from foldline.policies.registry import SETTLED, policy_from
from foldline.simulation.own_log import OwnDecision
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.off_policy import importance_weights, ips, mixture_propensities, snips

Estimator = Literal["ips", "snips"]
Propensities = Literal["own", "mixture"]


@dataclass(frozen=True, slots=True)
class OffPolicyEvaluation:
    """A policy's value.

    Attributes:
        policy: as JSON values, `kind` first.
        method: the estimator.
        propensity: `own` or `mixture`.
        decisions: that were weighted.
        mean_logged: mean reward of what was logged.
        estimate: mean reward a decision that the policy would have had.
        standard_error: of it.
        low: lower 95 % limit, normal.
        high: upper limit.
        effective_size: decisions that as many equally weighted ones would be worth.
    """

    policy: dict[str, object]
    method: str
    propensity: str
    decisions: int
    mean_logged: float
    estimate: float
    standard_error: float
    low: float
    high: float
    effective_size: float


def evaluate_off_policy(
    decisions: Sequence[OwnDecision],
    loop: LoopDefinition,
    policy: Policy,
    *,
    method: Estimator = "snips",
    propensity: Propensities = "own",
    experiments: Mapping[str, ExperimentDefinition] | None = None,
) -> OffPolicyEvaluation | NotEstimable:
    """Value a policy that does not learn.

    Args:
        decisions: of the loop.
        loop: its newest version.
        policy: `fixed`, `random` or `split`.
        method: `ips`, unbiased, or `snips`, a little biased and of much less variance.
        propensity: `own`: P(action | variant, available); `mixture`: over the variants of the decision's experiment,
            whose policies must be of those kinds too.
        experiments: by name, for the mixture.

    Raises:
        InputError: `input.invalid`: a policy learns, so that its probabilities then are not to be had from the
            definition; or an experiment's weights were changed, so that it has no one mixture.
    """
    target = _Table(policy, loop)
    wanted = [target.probability(one.action, one.available) for one in decisions]
    logged = [one.propensity for one in decisions]
    if propensity == "mixture":
        mixtures = {name: _Mixture(one, loop) for name, one in (experiments or {}).items()}
        logged = [
            one.propensity if one.experiment is None else mixtures[one.experiment].propensity(one)
            for one in decisions
        ]
    rewards = np.array([one.reward for one in decisions])
    weights = importance_weights(wanted, logged) if decisions else np.zeros(0)
    found = ips(rewards, weights) if method == "ips" else snips(rewards, weights)
    if isinstance(found, NotEstimable):
        return found
    half = 1.959963984540054 * found.standard_error
    return OffPolicyEvaluation(
        msgspec.to_builtins(policy),
        method,
        propensity,
        len(decisions),
        float(rewards.mean()),
        found.estimate,
        found.standard_error,
        found.estimate - half,
        found.estimate + half,
        found.effective_size,
    )


class _Table:
    """Probabilities of a policy that does not learn, by the actions allowed."""

    def __init__(self, policy: Policy, loop: LoopDefinition) -> None:
        kind = str(msgspec.to_builtins(policy)["kind"])
        if kind not in SETTLED:
            raise InputError(
                "input.invalid",
                f"policy {kind!r} learns: what it would have chosen follows from what it would have seen, which no log "
                f"holds; expected one of {', '.join(sorted(SETTLED))}",
                field="policy",
                value=kind,
            )
        policy.check(loop.actions, loop.low, loop.high)
        self._actions = {name: index for index, name in enumerate(loop.actions)}
        state = policy.empty(len(loop.actions))
        columns = range(len(loop.actions))
        compiled = policy.compile(
            state, columns, as_of=0, unit_bits=loop.reward.unit_bits, low=loop.low, high=loop.high
        )
        self._parameters = {**compiled, "actions": tuple(loop.actions)}
        self._policy = policy
        self._by_mask: dict[tuple[str, ...] | None, npt.NDArray[np.float64]] = {}

    def probability(self, action: str, available: tuple[str, ...] | None) -> float:
        if action not in self._actions:
            return 0.0
        if available not in self._by_mask:
            mask = None
            if available is not None:
                mask = np.array([name in available for name in self._actions])
            self._by_mask[available] = self._policy.weights(self._parameters, mask) / WHOLE
        return float(self._by_mask[available][self._actions[action]])


class _Mixture:
    """The mixture of an experiment's variants."""

    def __init__(self, experiment: ExperimentDefinition, loop: LoopDefinition) -> None:
        if experiment.bands:
            raise InputError(
                "input.invalid",
                f"the weights of experiment {experiment.name!r} were changed while it ran, so there is no one "
                "mixture; use the propensity own",
                field="propensity",
                value="mixture",
            )
        self._shares = np.array(experiment.weights, np.float64) / sum(experiment.weights)
        self._tables = [_Table(policy_from(variant.policy), loop) for variant in experiment.variants]

    def propensity(self, one: OwnDecision) -> float:
        chances = [[table.probability(one.action, one.available)] for table in self._tables]
        return float(mixture_propensities(list(self._shares), chances)[0])
