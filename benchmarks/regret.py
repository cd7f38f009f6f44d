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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
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


CHECKS = "| figure | policy | runs | reference | measured | ± | bound | |"
RECOVERED = (
    "| policy | runs | reference | median steps | 95 % | never | reward, drift | reward, no drift | ± |"
)


@dataclass(frozen=True)
class Check:
    """One figure against its reference; `bound` is `SIGMAS` standard errors of the difference."""

    figure: str
    policy: str
    runs: int
    reference: float
    measured: float
    standard_error: float
    bound: float

    @property
    def good(self) -> bool:
        """Within the bound."""
        return abs(self.measured - self.reference) <= self.bound


def rewards(seeds: int, processes: int) -> Iterator[Check]:
    """Mean reward of each policy in the stationary world."""
    for policy, (reference, error) in REWARDS.items():
        runs = simulate_many(
            parse_policy(policy), NewsWorld.evenly_spaced(), STEPS, range(seeds), processes=processes
        )
        ours = (
            runs.standard_error if runs.standard_error and seeds >= FEW else error * math.sqrt(2000 / seeds)
        )
        bound = SIGMAS * math.hypot(error, ours)
        yield Check("mean reward", policy, seeds, reference, runs.mean_reward, ours, bound)


def regrets(seeds: int, processes: int) -> Iterator[Check]:
    """Regret after several numbers of rounds, on the published articles."""
    if not NEWS20.is_dir():
        return
    published = json.loads((NEWS20 / "regret_reference.json").read_text())["results_after_rounds"]
    for policy, name in REGRETS.items():
        rounds = [int(r) for r in published[name]]
        one = partial(_regret_after, policy, rounds)
        found = np.array(sorted(over_seeds(one, range(seeds), processes)))
        for column, after in enumerate(rounds):
            reference = published[name][str(after)]
            error = reference["sd_regret"] / math.sqrt(REFERENCE_RUNS)
            ours = reference["sd_regret"] / math.sqrt(seeds)
            yield Check(
                f"regret after {after:,}",
                policy,
                seeds,
                reference["mean_regret"],
                float(found[:, column].mean()),
                ours,
                SIGMAS * math.hypot(error, ours),
            )


def recoveries(
    policies: dict[str, float | None], seeds: int, processes: int, jumps: int | None
) -> Iterator[dict[str, Any]]:
    """Recovery from drift of each policy, and what it earns where nothing drifts."""
    stationary, drifting = NewsWorld.evenly_spaced(), NewsWorld.evenly_spaced().drifting(jumps=jumps)
    for text, reference in policies.items():
        policy = parse_policy(text)
        drifted = simulate_many(policy, drifting, STEPS, range(seeds), processes=processes)
        stayed = simulate_many(policy, stationary, STEPS, range(seeds), processes=processes)
        low, high = median_interval(drifted)
        yield {
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


def _check_row(c: Check) -> str:
    return (
        f"| {c.figure} | {c.policy} | {c.runs} | {c.reference:.5g} | {c.measured:.5g} | "
        f"{c.standard_error:.2g} | {c.bound:.2g} | {'ok' if c.good else 'FAILS'} |"
    )


def _recovery_row(row: dict[str, Any]) -> str:
    shown = {k: "-" if v is None else f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
    return (
        "| {policy} | {runs} | {reference} | {median} | {low} to {high} | {never} | {reward_drifting} | "
        "{reward_stationary} | {standard_error} |".format(**shown)
    )


def _shown(rows: Iterable[Any], header: str, line: Callable[[Any], str]) -> list[Any]:
    """Print a table while its rows come; nothing without a header."""
    kept: list[Any] = []
    for row in rows:
        if header and not kept:
            print(header + "\n" + "|---" * (header.count("|") - 1) + "|")
        if header:
            print(line(row), flush=True)
        kept.append(row)
    return kept


def main() -> None:
    """Run all and print; exit status 1 where a check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=100, help="runs of each policy; the published articles take half"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--recover", metavar="POLICY", nargs="*", help="only the recovery of these policies")
    parser.add_argument(
        "--jumps", type=int, help="index of the article that jumps; the middle one, 10, by default"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seeds, processes = given.seeds, given.processes
    checks: list[Check] = []
    if given.recover is None:
        figures = chain(rewards(seeds, processes), regrets(max(2, seeds // 2), processes))
        checks = _shown(figures, "" if given.json else CHECKS, _check_row)
    wanted = RECOVERIES if given.recover is None else {p: RECOVERIES.get(p) for p in given.recover}
    rows = _shown(
        recoveries(wanted, seeds, processes, given.jumps), "" if given.json else RECOVERED, _recovery_row
    )
    if given.json:
        print(json.dumps({"checks": [{**asdict(c), "good": c.good} for c in checks], "recoveries": rows}))
    sys.exit(not all(check.good for check in checks))


if __name__ == "__main__":
    main()
