"""Runs against figures computed elsewhere, with few seeds: `benchmarks/regret.py` is the long version.

Bounds are 4 standard errors of the difference, the spread of a single run taken from the reference: a correct
program fails one check in 16,000, but seeds are fixed here, so that a test passes always or never.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from foldline.policies.registry import parse_policy
from foldline.simulation.many_runs import simulate_many
from foldline.simulation.runs import simulate
from foldline.simulation.worlds import NewsWorld

REFERENCE_RUNS = 200


@pytest.mark.parametrize(
    ("policy", "reference"),
    [("epsilon_greedy", 0.0431), ("constant_step:alpha=0.1", 0.0384)],
)
def test_mean_reward_of_the_published_setting(policy: str, reference: float) -> None:
    """Three runs of 11,000 steps; 2,000 runs elsewhere had a standard error of 0.0001."""
    seeds, sd = 3, 0.0001 * math.sqrt(2000)
    runs = simulate_many(parse_policy(policy), NewsWorld.evenly_spaced(), 11_000, range(seeds), processes=1)
    assert abs(runs.mean_reward - reference) < 4 * math.hypot(0.0001, sd / math.sqrt(seeds))
    assert runs.lift > 0.1


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("random", "uniform"),
        ("epsilon_greedy:q0=1", "eps_0.1"),
        ("ucb1", "ucb1"),
        ("thompson:prior_mean=0.5,prior_count=2", "ts_beta11"),
    ],
)
def test_regret_on_the_published_articles(shared_data: Path, policy: str, name: str) -> None:
    """Mean regret after 1,000 and 5,000 rounds, three runs against two hundred."""
    folder, seeds = shared_data / "news20", 3
    published = json.loads((folder / "regret_reference.json").read_text())["results_after_rounds"][name]
    world = NewsWorld.from_file(folder / "articles.json")
    lost = world.probabilities_at(0).max() - world.probabilities_at(0)
    runs = [simulate(parse_policy(policy), world, 5000, seed, samples=0) for seed in range(seeds)]
    for rounds in (1000, 5000):
        regret = np.mean([lost[run.actions[:rounds]].sum() for run in runs])
        expected = published[str(rounds)]
        error = expected["sd_regret"] * math.sqrt(1 / seeds + 1 / REFERENCE_RUNS)
        assert abs(regret - expected["mean_regret"]) < 4 * error


def test_policies_that_forget_recover_from_drift() -> None:
    """A short half-life finds the article that jumped within 600 steps at the median; averages of all do not."""
    world = NewsWorld.evenly_spaced().drifting(at=1000)
    discounted = parse_policy("discounted:half_life_s=200,prior_mean=0.03125")
    runs = simulate_many(discounted, world, 2000, range(5), processes=1)
    assert runs.median_recovery is not None
    assert runs.median_recovery < 600
