"""The news demo: the run through the log equals the run in memory, and its figures mean what they say."""

import numpy as np
import pytest

import foldline as fl
from foldline.demos.news import Settings, Visits, run
from foldline.demos.news_summary import policy_ages_ms
from foldline.loops.bundle import Bundle
from foldline.policies.protocol import Policy
from foldline.simulation.runs import simulate
from foldline.simulation.worlds import NewsWorld


@pytest.mark.parametrize("policy", [fl.EpsilonGreedy(0.1), fl.Thompson(), fl.ConstantStep()])
def test_seed_zero_equals_the_run_in_memory(policy: Policy) -> None:
    """One app that waits for the bundle covering its last reward decides as the in-memory run does."""
    world = NewsWorld.evenly_spaced()
    settings = Settings(policy, world, steps=250, apps=1, lockstep=True, partitions=1)
    (visits,) = run(settings)
    memory = simulate(policy, world, 250, 0, salt=settings.salt)
    assert visits.action == memory.actions.tolist()
    assert visits.reward == memory.rewards.tolist()


def _bundle(name: str, cut: tuple[int, ...]) -> Bundle:
    return Bundle(
        loop="news",
        hash=name,
        time=0,
        cut=cut,
        definition=1,
        stream_time=0,
        generation=0,
        salt="",
        kind="random",
        actions=("a",),
    )


def test_policy_age_is_the_first_decision_that_knew() -> None:
    """An outcome's age ends at the first decision, of any app, with a bundle that covers its offset."""
    ms = 1_000_000
    one = Visits([0, 2], [0, 0], [0, 0], ["x", "z"], [0, 50 * ms], [0, 0], [5, 9], [1 * ms, 51 * ms])
    two = Visits([1], [0], [0], ["y"], [20 * ms], [1], [3], [21 * ms])
    bundles = [_bundle("x", (1, 1)), _bundle("y", (5, 1)), _bundle("z", (6, 4))]
    ages = policy_ages_ms([one, two], bundles)
    np.testing.assert_allclose(np.sort(ages), [29.0, 49.0])
