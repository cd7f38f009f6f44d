"""Error rates and power of one-sided experiments, whole: seeds fixed, runs and tolerances stated."""

import math
from typing import Any

import numpy as np
import pytest

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.fake_split import fake_tally
from foldline.experiments.goals import Mean, Proportion, Ratio
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import UnitTable
from foldline.experiments.walk import Walk
from foldline.simulation.trials import START_MS, simulated_definition, simulated_walk

MINUTE_MS = 60_000


def deviations(rate: float, runs: int) -> float:
    """Four binomial standard errors."""
    return 4.0 * math.sqrt(rate * (1.0 - rate) / runs)


def proportion(effect: float = 0.04, margin: float = 0.0) -> Proportion:
    """From 7 %."""
    method: Any = "unpooled" if margin else "fleiss_cc"
    return Proportion("click", 0.07, effect, alternative="greater", margin=margin, method=method)


def wins(
    goal: Proportion, size: int, rates: tuple[float, float], runs: int, seed: int, **changes: Any
) -> float:
    """The share of runs that the challenger wins; none is won by the control."""
    definition, rng = simulated_definition(goal, size, **changes), np.random.default_rng(seed)
    variants, found = np.arange(2 * size) % 2, 0
    for _ in range(runs):
        verdict = simulated_walk(definition, variants, rates, rng).verdict
        assert verdict is None or verdict.result != "control_wins"
        found += verdict is not None and verdict.result == "challenger_wins"
    return found / runs


def test_one_sided_yates_keeps_its_level_and_has_its_power() -> None:
    """925 a group, 2,000 runs each: at most 5 % false wins, and the designed 90 % within four standard errors."""
    runs = 2000
    assert wins(proportion(), 925, (0.07, 0.07), runs, 1) <= 0.05
    assert wins(proportion(), 925, (0.07, 0.11), runs, 2) == pytest.approx(0.9, abs=deviations(0.9, runs))


def test_a_one_sided_bound_looked_at_every_minute_errs_at_most_at_its_level() -> None:
    """1,124 a group, 236 looks, 1,000 runs: at most 5 % false wins; 7 against 11 % it wins in most, by the mixture."""
    changes: dict[str, Any] = {"rule": "always_valid"}
    assert 0.0 < wins(proportion(), 1124, (0.07, 0.07), 1000, 3, **changes) <= 0.05
    one = wins(proportion(), 1124, (0.07, 0.11), 300, 4, **changes)
    two_sided = Proportion("click", 0.07, 0.04)
    assert one > wins(two_sided, 1124, (0.07, 0.11), 300, 4, **changes) + 0.03


def test_non_inferiority_of_rates() -> None:
    """Margin 0.02 at 7 %, 2,788 a group, 500 runs: 5 % at the margin itself, 90 % where nothing differs.

    Wald's test is not exact: four standard errors of either side, and half a point for the error rate.
    """
    runs, goal = 500, proportion(0.0, 0.02)
    assert wins(goal, 2788, (0.07, 0.05), runs, 5) <= 0.055 + deviations(0.05, runs)
    assert wins(goal, 2788, (0.07, 0.07), runs, 6) == pytest.approx(0.9, abs=deviations(0.9, runs))


@pytest.mark.parametrize("rule", ["fixed", "always_valid"])
@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_non_inferiority_of_means_and_ratios(kind: str, rule: str) -> None:
    """Gamma values (of one to three sessions), margin 0.25 standard deviations, 500 runs.

    At most 5 % at the margin itself and four standard errors; with a fixed horizon 90 % where nothing differs.
    """
    runs, sd = 500, math.sqrt(2.0) if kind == "mean" else 1.0
    margin = 0.25 * sd
    goal: Any = Mean("spent", sd=sd, effect=0.0, alternative="greater", margin=margin)
    if kind == "ratio":
        goal = Ratio("spent", "session", sd=sd, effect=0.0, alternative="greater", margin=margin)
    size = 275
    definition = simulated_definition(goal, size, rule=rule, unit_bits=20)
    assert definition.goal.sd == sd
    rng, rates = np.random.default_rng(8), []
    for shift in (margin, 0.0):
        found = 0
        for _ in range(runs):
            verdict = _of_gammas(definition, size, shift, rng).verdict
            found += verdict is not None and verdict.result == "challenger_wins"
        rates.append(found / runs)
    assert rates[0] <= 0.05 + deviations(0.05, runs)
    if rule == "fixed":
        assert rates[1] == pytest.approx(0.9, abs=deviations(0.9, runs))


def _of_gammas(definition: ExperimentDefinition, size: int, worse: float, rng: np.random.Generator) -> Walk:
    """A run whose challenger spends less by so much, a session where there are any."""
    n = 2 * size
    sessions = rng.integers(1, 4, n) if definition.goal.kind == "ratio" else np.ones(n, np.int64)
    variant = np.arange(n) % 2
    spent = rng.gamma(2.0 * sessions) - worse * sessions * variant
    columns = [spent] if definition.goal.kind == "mean" else [spent, sessions.astype(np.float64)]
    table = UnitTable(
        hashes=np.zeros((n, 2), np.uint64),
        variant=variant,
        exposed=START_MS + np.arange(n) * MINUTE_MS // 10,
        matured=np.ones(n, np.bool_),
        mixed=np.zeros(n, np.bool_),
        values=np.rint(np.column_stack(columns) * 2.0**definition.unit_bits).astype(np.int64),
        stream_time=START_MS + n * MINUTE_MS,
    )
    walk = Walk(definition, [fake_tally(TallyFold(definition), table, variant)])
    walk.run()
    return walk
