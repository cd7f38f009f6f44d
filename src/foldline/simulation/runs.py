"""Runs of a shipped policy and its compiled form in memory, one step a simulated second.

A run takes no log and no wall clock, but decides, learns and compiles with the very code the engine uses, from
the same ids and times: with the same salt and start it makes the decisions that a loop on a log makes when its
only application waits for the bundle that covers its last reward.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.policies.compiled import Compiled
from foldline.policies.protocol import Parameters, Policy
from foldline.simulation.immediate import ImmediateLearner
from foldline.simulation.worlds import NewsWorld

STEP_MS = 1000
"""Stream time from one step to the next."""

START_MS = 1_700_000_000_000
"""Stream time of the first step where none is given."""

WINDOW = 100
"""Decisions among which the new best action must have the majority for a run to have recovered."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What happened in one run of n steps.

    Attributes:
        seed: of the run.
        actions: (n,) int32 index of the action chosen.
        rewards: (n,) int8.
        propensities: (n,) float64 probability with which it was chosen.
        regret: sum over the steps of the best click probability minus the chosen one's.
        best_share: share of the steps in which the best action was chosen.
        recovery: steps from the drift until the new best action had more than half of the last `WINDOW`
            decisions (those before the drift count too); None where it never had, or nothing drifts.
        sampled: (k,) int64 number of steps done when estimates were taken.
        estimates: (k, actions) float64 the policy's estimates of the mean rewards then, NaN where it had none.
    """

    seed: int
    actions: npt.NDArray[np.int32]
    rewards: npt.NDArray[np.int8]
    propensities: npt.NDArray[np.float64]
    regret: float
    best_share: float
    recovery: int | None
    sampled: npt.NDArray[np.int64]
    estimates: npt.NDArray[np.float64]

    @property
    def mean_reward(self) -> float:
        """Clicks a step."""
        return float(self.rewards.mean())


def run_salt(seed: int) -> str:
    """The salt of a run's draws where none is given; a loop that is to make the same decisions is defined with it."""
    return f"news-{seed}"


def decision_id(seed: int, step: int) -> str:
    """The id of a run's decision: generation 0, partition 0, local part `seed-step`."""
    return f"0.0.{seed}-{step}"


def simulate(
    policy: Policy,
    world: NewsWorld,
    steps: int,
    seed: int,
    *,
    salt: str | None = None,
    start: int = START_MS,
    samples: int = 100,
) -> Run:
    """Run a policy in a world, learning at once. About 20 us a step for policies that compile quickly.

    Args:
        policy: decides and learns.
        world: what it decides in.
        steps: at least 1.
        seed: names the run; part of its decisions' ids.
        salt: of the draws, `run_salt(seed)` by default.
        start: stream time of the first step, milliseconds.
        samples: how often estimates are taken, evenly, the last time after the last step; 0 for never.

    Raises:
        InputError: `input.invalid` for less than one step.
        DefinitionError: the policy cannot serve the world's actions.

    Example:
        >>> from foldline.policies.epsilon_greedy import EpsilonGreedy
        >>> run = simulate(EpsilonGreedy(), NewsWorld.evenly_spaced(), 100, seed=0)
        >>> len(run.actions), round(float(run.propensities.min()), 4)
        (100, 0.005)
    """
    if steps < 1:
        raise InputError("input.invalid", f"steps is {steps!r}; expected at least 1", field="steps")
    policy.check(world.actions, 0.0, 1.0)
    salt = run_salt(seed) if salt is None else salt
    columns = range(len(world.actions))
    learner = ImmediateLearner(policy, len(columns))
    learner.time = start
    actions, rewards = np.empty(steps, np.int32), np.empty(steps, np.int8)
    propensities = np.empty(steps, np.float64)
    sampled = np.unique(np.linspace(0, steps, samples + 1).astype(np.int64))[1:]
    due = set(sampled.tolist())
    estimates: list[npt.NDArray[np.float64]] = []
    table = Compiled(policy.kind, world.actions, learner.compile(columns), salt)
    for step in range(steps):
        id = decision_id(seed, step)
        action, propensities[step] = table.choose(id)
        actions[step] = action
        rewards[step] = reward = world.reward(salt, id, step, action)
        if learner.learn(action, reward, start + STEP_MS * step):
            table = _recompiled(table, policy, learner.compile(columns), salt)
        if step + 1 in due:
            estimates.append(learner.means(columns))
    regret, best_share = _against_the_best(world, actions)
    return Run(
        seed,
        actions,
        rewards,
        propensities,
        regret,
        best_share,
        recovery_of(actions, world),
        sampled,
        np.array(estimates, np.float64).reshape(len(sampled), len(columns)),
    )


def recovery_of(actions: npt.NDArray[np.int32], world: NewsWorld) -> int | None:
    """Steps from the drift to the first majority of the new best action. See `Run.recovery`."""
    drift = world.drift_at
    if drift is None or drift >= len(actions):
        return None
    seen = np.concatenate([[0], np.cumsum(actions == world.best_at(drift))])
    ends = np.arange(max(drift + 1, WINDOW), len(actions) + 1)
    recovered = np.flatnonzero(2 * (seen[ends] - seen[ends - WINDOW]) > WINDOW)
    return int(ends[recovered[0]]) - drift if len(recovered) else None


def _recompiled(table: Compiled, policy: Policy, parameters: Parameters, salt: str) -> Compiled:
    """The compiled form of new parameters: the old one where they give the same table, which most steps do."""
    weights = policy.weights({**parameters, "actions": table.actions}, None)
    if (weights == table.weights).all():
        return table
    return Compiled(policy.kind, table.actions, parameters, salt)


def _against_the_best(world: NewsWorld, actions: npt.NDArray[np.int32]) -> tuple[float, float]:
    """Regret and share of the best action, phase by phase."""
    cut = len(actions) if world.drift_at is None else min(world.drift_at, len(actions))
    regret, best = 0.0, 0
    for start, stop in ((0, cut), (cut, len(actions))):
        if start < stop:
            probabilities = world.probabilities_at(start)
            regret += float((probabilities.max() - probabilities[actions[start:stop]]).sum())
            best += int((actions[start:stop] == world.best_at(start)).sum())
    return regret, best / len(actions)
