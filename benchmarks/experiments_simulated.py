"""How often does an experiment err that is looked at all the time, and how often does it find its effect?

Question: how often an always-valid verdict is wrong, and the test of shares alarms, in A/A experiments looked at every
    minute; and how often a design finds the effect it was made for, by the test it is analysed with.
Workload: A/A at 7 %, 20,000 units of two variants by the hash, 10 a minute, some 2,070 looks, planned at 1,124 each;
    7 against 11 % at 1,124 each for Yates's test and the pooled z-test. All through assignment, tally fold and
    verdict, seeds fixed.
Peer: the nominal levels, and the exact power by enumeration.
Ratio: none. Bars: at most 5 % wrong verdicts, at most the level for shares (four binomial standard errors more for
    the level of 0.001), the exact power within four binomial standard errors.
Command: `python benchmarks/experiments_simulated.py`, `--runs 500` for fewer
"""

import argparse
import json
import math
import time
from typing import Any

import numpy as np

from foldline.experiments.goals import Proportion
from foldline.kernels import lose_patience
from foldline.simulation.trials import assigned, simulated_definition, simulated_walk
from foldline.stats.exact_power import exact_power

RUNS, SIZE, UNITS = 4_000, 1124, 20_000
TESTS = {"fleiss_cc": "yates", "fleiss": "pooled_z"}


def tolerance(rate: float, runs: int) -> float:
    """Four binomial standard errors."""
    return 4.0 * math.sqrt(rate * (1.0 - rate) / runs)


def peeking(runs: int) -> dict[str, Any]:
    """A/A experiments, looked at every minute."""
    goal = Proportion("click", baseline=0.07, effect=0.04)
    definition, rng = simulated_definition(goal, SIZE, rule="always_valid"), np.random.default_rng(1)
    wrong, shares = 0, np.empty(runs)
    for run in range(runs):
        walk = simulated_walk(definition, assigned(definition, UNITS, rng), (0.07, 0.07), rng)
        wrong += walk.verdict is not None and walk.verdict.result in ("challenger_wins", "control_wins")
        shares[run] = walk.sample_ratio_p
    alarms = {str(level): float((shares <= level).mean()) for level in (0.05, 0.01, 0.001)}
    return {
        "runs": runs,
        "wrong_verdicts": wrong / runs,
        "shares_at_most": alarms,
        "passed": wrong / runs <= 0.05
        and alarms["0.05"] <= 0.05
        and alarms["0.001"] <= 0.001 + tolerance(0.001, runs),
    }


def power(method: str, test: Any, runs: int) -> dict[str, Any]:
    """Experiments with the effect they were designed for."""
    goal = Proportion("click", baseline=0.07, effect=0.04, method=method)  # type: ignore[arg-type]  # one of the methods
    definition, rng = simulated_definition(goal, SIZE), np.random.default_rng(2)
    variants, wins = np.arange(2 * SIZE) % 2, 0
    for _ in range(runs):
        verdict = simulated_walk(definition, variants, (0.07, 0.11), rng).verdict
        wins += verdict is not None and verdict.result == "challenger_wins"
    exact = exact_power((0.07, 0.11), (SIZE, SIZE), test)
    within = tolerance(exact, runs)
    return {
        "test": test,
        "runs": runs,
        "wins": wins / runs,
        "exact_power": round(exact, 5),
        "tolerance": round(within, 5),
        "passed": abs(wins / runs - exact) <= within,
    }


def main() -> None:
    """Simulate and print."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--runs", type=int, default=RUNS)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    lose_patience()
    begun = time.process_time()
    found: dict[str, Any] = {"peeking": peeking(given.runs)}
    for method, test in TESTS.items():
        found[f"power_{test}"] = power(method, test, 4 * given.runs)
    found["cpu_s"] = round(time.process_time() - begun, 1)
    if given.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<16} {value}")


if __name__ == "__main__":
    main()
