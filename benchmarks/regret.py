"""Do the policies earn what they should, and recover from drift as fast as they should?

Question: do mean reward, regret and recovery equal references computed elsewhere?
Workload: runs of 11,000 steps with immediate learning on 20 articles, stationary and with a drift at step 8,000;
    and on the articles of the data folder beside the checkout, left out where that is missing.
Peer: published figures and simulations of other programs; each of ours has to lie within 4 standard errors of the
    difference. A correct program fails one check in 16,000 (one in some 8,000 with 100 runs, whose own spread is
    only estimated).
Command: `python benchmarks/regret.py [--seeds 100] [--json]`
"""

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foldline.policies.registry import parse_policy
from foldline.simulation.many_runs import RunSummary, over_seeds, simulate_many
from foldline.simulation.runs import simulate
from foldline.simulation.worlds import NewsWorld

NEWS20 = Path(__file__).resolve().parents[1] / "../shared/data/news20"
STEPS = 11_000
SIGMAS = 4.0

REWARDS = {
    "epsilon_greedy": (0.0431, 0.0001),
    "epsilon_greedy:q0=1": (0.0432, 0.0001),
    "constant_step:alpha=0.1": (0.0384, 0.0001),
    "constant_step:alpha=0.01": (0.0416, 0.0001),
    "thompson:prior_mean=0.01,prior_count=200": (0.0445, 0.0001),
}
"""Mean reward over 11,000 steps and its standard error, from 2,000 runs elsewhere."""

REGRETS = {
    "random": "uniform",
    "epsilon_greedy:q0=1": "eps_0.1",
    "ucb1": "ucb1",
    "thompson:prior_mean=0.5,prior_count=2": "ts_beta11",
}
"""Policies under the names of the reference file."""

RECOVERIES: dict[str, float | None] = {
    "epsilon_greedy": 2439,
    "constant_step:alpha=0.02": 403,
    "discounted:half_life_s=200,prior_mean=0.03125": 351,
    "discounted:half_life_s=500,prior_mean=0.03125": 598,
    "discounted": None,
}
"""Median steps from the drift to a majority of the last 100 decisions, from 200 runs elsewhere."""

REFERENCE_RUNS = 200

FEW = 30
"""Below this many runs their own spread says too little, and that of the reference's 2,000 runs stands for it."""


@dataclass(frozen=True)
class Check:
    """One figure against its reference; `bound` is `SIGMAS` standard errors of the difference."""

    figure: str
    policy: str
    runs: int
    reference: float | None
    measured: float
    standard_error: float
    bound: float | None

    @property
    def good(self) -> bool:
        """Within the bound, or nothing to compare with."""
        return (
            self.reference is None or self.bound is None or abs(self.measured - self.reference) <= self.bound
        )


def rewards(seeds: int, processes: int) -> list[Check]:
    """Mean reward of each policy in the stationary world."""
    checks = []
    for policy, (reference, error) in REWARDS.items():
        runs = simulate_many(
            parse_policy(policy), NewsWorld.evenly_spaced(), STEPS, range(seeds), processes=processes
        )
        ours = (
            runs.standard_error if runs.standard_error and seeds >= FEW else error * math.sqrt(2000 / seeds)
        )
        bound = SIGMAS * math.hypot(error, ours)
        checks.append(Check("mean reward", policy, seeds, reference, runs.mean_reward, ours, bound))
    return checks


def regrets(seeds: int, processes: int, most: int = 20_000) -> list[Check]:
    """Regret and share of the best article after several numbers of rounds, on the published articles."""
    if not NEWS20.is_dir():
        return []
    published = json.loads((NEWS20 / "regret_reference.json").read_text())["results_after_rounds"]
    checks = []
    for policy, name in REGRETS.items():
        rounds = [int(r) for r in published[name] if int(r) <= most]
        one = partial(_regret_after, policy, rounds)
        found = np.array(sorted(over_seeds(one, range(seeds), processes)))
        for column, after in enumerate(rounds):
            reference = published[name][str(after)]
            error = reference["sd_regret"] / math.sqrt(REFERENCE_RUNS)
            ours = reference["sd_regret"] / math.sqrt(seeds)
            checks.append(
                Check(
                    f"regret after {after:,}",
                    policy,
                    seeds,
                    reference["mean_regret"],
                    float(found[:, column].mean()),
                    ours,
                    SIGMAS * math.hypot(error, ours),
                )
            )
    return checks


def recoveries(policies: dict[str, float | None], seeds: int, processes: int) -> list[dict[str, Any]]:
    """Recovery from drift of each policy, and what it earns where nothing drifts."""
    rows = []
    stationary, drifting = NewsWorld.evenly_spaced(), NewsWorld.evenly_spaced().drifting()
    for text, reference in policies.items():
        policy = parse_policy(text)
        drifted = simulate_many(policy, drifting, STEPS, range(seeds), processes=processes)
        stayed = simulate_many(policy, stationary, STEPS, range(seeds), processes=processes)
        low, high = median_interval(drifted)
        rows.append(
            {
                "policy": text,
                "runs": seeds,
                "reference": reference,
                "median": drifted.median_recovery,
                "low": low,
                "high": high,
                "never": drifted.never_recovered,
                "reward_drifting": drifted.mean_reward,
                "reward_stationary": stayed.mean_reward,
                "standard_error": stayed.standard_error,
            }
        )
    return rows


def median_interval(runs: RunSummary) -> tuple[float | None, float | None]:
    """Order statistics 2 standard deviations of the binomial around the median: about 95 %; None is infinite."""
    ordered = sorted(math.inf if r is None else float(r) for r in runs.recoveries)
    n = len(ordered)
    ranks = (math.floor(n / 2 - math.sqrt(n)), math.ceil(n / 2 + math.sqrt(n)))
    low, high = (ordered[min(max(rank, 0), n - 1)] for rank in ranks)
    return tuple(value if math.isfinite(value) else None for value in (low, high))  # type: ignore[return-value]  # two of two


def _regret_after(policy: str, rounds: list[int], seed: int) -> list[float]:
    world = NewsWorld.from_file(NEWS20 / "articles.json")
    run = simulate(parse_policy(policy), world, max(rounds), seed, samples=0)
    probabilities = world.probabilities_at(0)
    lost = np.cumsum(probabilities.max() - probabilities[run.actions])
    return [float(lost[after - 1]) for after in rounds]


def _print_checks(checks: list[Check]) -> None:
    print("| figure | policy | runs | reference | measured | ± | bound | |")
    print("|---|---|---|---|---|---|---|---|")
    for c in checks:
        print(
            f"| {c.figure} | {c.policy} | {c.runs} | {c.reference:.5g} | {c.measured:.5g} | "
            f"{c.standard_error:.2g} | {c.bound:.2g} | {'ok' if c.good else 'FAILS'} |"
        )


def _print_recoveries(rows: list[dict[str, Any]]) -> None:
    print(
        "\n| policy | runs | reference | median steps | 95 % | never | reward, drift | reward, no drift | ± |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        shown = {k: "-" if v is None else f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
        print(
            "| {policy} | {runs} | {reference} | {median} | {low}-{high} | {never} | {reward_drifting} | "
            "{reward_stationary} | {standard_error} |".format(**shown)
        )


def main() -> None:
    """Run all and print; exit status 1 where a check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=100, help="runs of each policy; the published articles take half"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--recover", metavar="POLICY", nargs="*", help="only the recovery of these policies")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    checks: list[Check] = []
    if given.recover is None:
        checks = rewards(given.seeds, given.processes) + regrets(max(2, given.seeds // 2), given.processes)
    wanted = RECOVERIES if given.recover is None else {p: RECOVERIES.get(p) for p in given.recover}
    rows = recoveries(wanted, given.seeds, given.processes)
    if given.json:
        print(json.dumps({"checks": [{**asdict(c), "good": c.good} for c in checks], "recoveries": rows}))
    else:
        _print_checks(checks)
        _print_recoveries(rows)
    sys.exit(not all(check.good for check in checks))


if __name__ == "__main__":
    main()
