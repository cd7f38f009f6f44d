"""Runs in memory."""

import numpy as np
import pytest

from foldline.errors import DefinitionError, InputError
from foldline.policies.compiled import Compiled
from foldline.policies.registry import parse_policy
from foldline.records.hashing import draw
from foldline.simulation.immediate import ImmediateLearner
from foldline.simulation.many_runs import simulate_many
from foldline.simulation.runs import Run, recovery_of, simulate
from foldline.simulation.worlds import NewsWorld

_KINDS = [
    "random",
    "fixed:action=article-03",
    "split:article-01=1,article-20=2",
    "epsilon_greedy",
    "constant_step",
    "discounted",
    "thompson",
    "thompson:half_life_s=300",
    "gaussian_thompson",
    "ucb1",
    "kl_ucb",
]


def _same(left: Run, right: Run) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name), equal_nan=True)
        for name in ("actions", "rewards", "propensities", "sampled", "estimates")
    )


@pytest.mark.parametrize("kind", _KINDS)
def test_a_run_decides_as_the_compiled_policy_of_every_step(kind: str) -> None:
    """The loop with its shortcuts equals compiling anew at each step and drawing from the table."""
    policy, world, steps = parse_policy(kind), NewsWorld.evenly_spaced().drifting(at=40), 80
    run = simulate(policy, world, steps, 5, salt="s", start=7_000_000, samples=4)
    learner = ImmediateLearner(policy, 20)
    learner.time = 7_000_000
    for step in range(steps):
        compiled = Compiled(policy.kind, world.actions, learner.compile(range(20)), "s")
        id = f"0.0.5-{step}"
        cumulative = np.cumsum(compiled.weights)
        action = int(np.searchsorted(cumulative, draw("s", "action", id), side="right"))
        reward = int(draw("s", "reward", id) < int(world.probabilities_at(step)[action] * 2**53))
        assert (run.actions[step], run.rewards[step]) == (action, reward)
        assert run.propensities[step] == compiled.weights[action] / 2**53
        learner.learn(action, reward, 7_000_000 + 1000 * step)
    assert run.sampled.tolist() == [20, 40, 60, 80]
    assert np.array_equal(run.estimates[-1], learner.means(range(20)), equal_nan=True)


def test_same_seed_same_run() -> None:
    """A run is a function of its arguments; the salt, by default the seed's, is one of them."""
    policy, world = parse_policy("epsilon_greedy"), NewsWorld.evenly_spaced()
    run = simulate(policy, world, 300, 3)
    assert _same(run, simulate(policy, world, 300, 3, salt="news-3"))
    assert not _same(run, simulate(policy, world, 300, 3, salt="other"))
    assert not np.array_equal(run.actions, simulate(policy, world, 300, 4).actions)
    assert np.array_equal(run.actions[:200], simulate(policy, world, 200, 3).actions)


def test_the_start_moves_no_decision_of_policies_that_do_not_forget() -> None:
    """Only differences of times matter, so a run may start whenever a log's run did."""
    world = NewsWorld.evenly_spaced()
    for kind in ("epsilon_greedy", "constant_step", "ucb1"):
        policy = parse_policy(kind)
        assert _same(simulate(policy, world, 300, 0), simulate(policy, world, 300, 0, start=1))


def test_regret_and_best_share_by_definition() -> None:
    """Against the step-by-step sum, on both sides of a drift."""
    world = NewsWorld.evenly_spaced().drifting(at=150)
    run = simulate(parse_policy("random"), world, 400, 0)
    lost = [world.probabilities_at(s).max() - world.probabilities_at(s)[a] for s, a in enumerate(run.actions)]
    best = [a == world.best_at(s) for s, a in enumerate(run.actions)]
    assert run.regret == pytest.approx(sum(lost))
    assert run.best_share == np.mean(best)
    assert run.mean_reward == run.rewards.mean()


def test_recovery_is_the_first_majority_of_the_last_hundred() -> None:
    """Fifty-one of the last hundred, those before the drift included; never is None."""
    world = NewsWorld.evenly_spaced().drifting(at=200)
    actions = np.zeros(600, np.int32)
    assert recovery_of(actions, world) is None
    actions[250:] = world.best_at(200)
    assert recovery_of(actions, world) == 50 + 51
    actions[150:200] = world.best_at(200)
    assert recovery_of(actions, world) == 101
    actions[:] = world.best_at(200)
    assert recovery_of(actions, world) == 1
    assert recovery_of(actions[:200], world) is None
    assert recovery_of(actions, NewsWorld.evenly_spaced()) is None
    early = NewsWorld.evenly_spaced().drifting(at=0)
    assert recovery_of(actions, early) == 100


def test_many_runs_are_the_runs_one_by_one() -> None:
    """The summary holds each seed's figures; processes change nothing."""
    policy, world = parse_policy("epsilon_greedy"), NewsWorld.evenly_spaced().drifting(at=100)
    runs = [simulate(policy, world, 250, seed) for seed in (3, 1, 2)]
    done: list[int] = []
    one = simulate_many(policy, world, 250, (3, 1, 2), processes=1, progress=done.append)
    two = simulate_many(policy, world, 250, (1, 2, 3), processes=2)
    by_seed = sorted(runs, key=lambda run: run.seed)
    assert done == [1, 2, 3]
    assert one.seeds == two.seeds == (1, 2, 3)
    assert one.rewards.tolist() == two.rewards.tolist() == [run.mean_reward for run in by_seed]
    assert one.regrets.tolist() == two.regrets.tolist() == [run.regret for run in by_seed]
    assert one.recoveries == two.recoveries == tuple(run.recovery for run in by_seed)
    assert one.mean_reward == pytest.approx(np.mean([run.mean_reward for run in runs]))
    assert one.standard_error == pytest.approx(np.std([run.mean_reward for run in runs], ddof=1) / np.sqrt(3))
    assert one.lift == pytest.approx(one.mean_reward / world.uniform_reward(250) - 1)
    assert one.as_json() == two.as_json()
    assert one.policy["kind"] == "epsilon_greedy"


def test_median_recovery_counts_never_as_infinite() -> None:
    """Where most runs never recover there is no median; a world that stays has neither."""
    never = simulate_many(
        parse_policy("fixed:action=article-01"),
        NewsWorld.evenly_spaced().drifting(at=100),
        250,
        range(3),
        processes=1,
    )
    assert (never.median_recovery, never.never_recovered) == (None, 1.0)
    always = simulate_many(
        parse_policy("fixed:action=article-11"),
        NewsWorld.evenly_spaced().drifting(at=100),
        250,
        range(3),
        processes=1,
    )
    assert (always.median_recovery, always.never_recovered) == (1.0, 0.0)
    stays = simulate_many(parse_policy("random"), NewsWorld.evenly_spaced(), 20, range(2), processes=1)
    assert (stays.median_recovery, stays.never_recovered) == (None, None)
    assert "median_recovery" not in stays.as_json()
    single = simulate_many(parse_policy("random"), NewsWorld.evenly_spaced(), 20, [0], processes=1)
    assert single.standard_error is None


def test_bad_arguments_are_refused() -> None:
    """No steps, no seeds, a seed twice, no process, a policy for other actions."""
    policy, world = parse_policy("random"), NewsWorld.evenly_spaced()
    with pytest.raises(InputError, match="steps"):
        simulate(policy, world, 0, 0)
    with pytest.raises(InputError, match="seeds"):
        simulate_many(policy, world, 10, [])
    with pytest.raises(InputError, match="each once"):
        simulate_many(policy, world, 10, [1, 1])
    with pytest.raises(InputError, match="processes"):
        simulate_many(policy, world, 10, [1], processes=0)
    with pytest.raises(DefinitionError, match="article-99"):
        simulate(parse_policy("fixed:action=article-99"), world, 10, 0)
