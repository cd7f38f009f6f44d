"""Many runs of one policy in parallel processes, and what they say together."""

import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.policies.protocol import Policy
from foldline.simulation.runs import START_MS, simulate
from foldline.simulation.worlds import NewsWorld

Figures = TypeVar("Figures")

_Figures = tuple[int, float, float, float, int | None]
"""Seed, mean reward, regret, best share, recovery."""


@dataclass(frozen=True, slots=True, eq=False)
class RunSummary:
    """k runs of n steps, by rising seed.

    Attributes:
        policy: as JSON values, `kind` first.
        steps: n.
        seeds: the k seeds.
        rewards: (k,) float64 mean reward of each run.
        regrets: (k,) float64 regret of each run.
        best_shares: (k,) float64 share of the best action in each run.
        recoveries: of each run, see `Run.recovery`.
        baseline_reward: mean reward of choosing at random, in expectation.
        drifts: something changes within the steps.
    """

    policy: dict[str, object]
    steps: int
    seeds: tuple[int, ...]
    rewards: npt.NDArray[np.float64]
    regrets: npt.NDArray[np.float64]
    best_shares: npt.NDArray[np.float64]
    recoveries: tuple[int | None, ...]
    baseline_reward: float
    drifts: bool

    @property
    def mean_reward(self) -> float:
        """Clicks a step, over all runs."""
        return float(self.rewards.mean())

    @property
    def standard_error(self) -> float | None:
        """Of the mean reward, over the runs; None for a single one."""
        return standard_error(self.rewards)

    @property
    def lift(self) -> float:
        """Mean reward over the baseline's, minus 1."""
        return self.mean_reward / self.baseline_reward - 1.0

    @property
    def regret(self) -> float:
        """Mean regret of a run."""
        return float(self.regrets.mean())

    @property
    def best_action_share(self) -> float:
        """Mean share of the best action."""
        return float(self.best_shares.mean())

    @property
    def median_recovery(self) -> float | None:
        """Median steps to recover, runs that never did counted as infinite; None where the median is infinite."""
        if not self.drifts:
            return None
        median = statistics.median(np.inf if r is None else r for r in self.recoveries)
        return float(median) if np.isfinite(median) else None

    @property
    def never_recovered(self) -> float | None:
        """Share of the runs that never recovered; None where nothing drifts."""
        return sum(r is None for r in self.recoveries) / len(self.recoveries) if self.drifts else None

    def as_json(self) -> dict[str, object]:
        """The figures under the names of the command line."""
        figures: dict[str, object] = {
            "policy": self.policy,
            "steps": self.steps,
            "seeds": len(self.seeds),
            "mean_reward": self.mean_reward,
            "standard_error": self.standard_error,
            "baseline_reward": self.baseline_reward,
            "lift": self.lift,
            "regret": self.regret,
            "best_action_share": self.best_action_share,
        }
        if self.drifts:
            figures |= {"median_recovery": self.median_recovery, "never_recovered": self.never_recovered}
        return figures


def standard_error(values: npt.NDArray[np.float64]) -> float | None:
    """Of the mean of independent values: s / sqrt(k); None for a single one."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def simulate_many(
    policy: Policy,
    world: NewsWorld,
    steps: int,
    seeds: Iterable[int],
    *,
    processes: int = 2,
    start: int = START_MS,
    progress: Callable[[int], None] | None = None,
) -> RunSummary:
    """Run a policy once a seed, each as `simulate` does.

    Args:
        policy: decides and learns.
        world: what it decides in.
        steps: of each run, at least 1.
        seeds: one run each, at least one, each once.
        processes: how many run at a time; 1 runs in this process. More start new interpreters, which takes a
            second: a script that asks for them guards its entry with `if __name__ == "__main__"`.
        start: stream time of the first step, milliseconds.
        progress: called with the number of runs done, after each.

    Raises:
        InputError: no seeds, a seed twice, less than one step or process.
    """
    seeds = tuple(sorted(seeds))
    _check(seeds, processes)
    one = partial(_figures, policy, world, steps, start)
    done: list[_Figures] = []
    for figures in over_seeds(one, seeds, processes):
        done.append(figures)
        if progress is not None:
            progress(len(done))
    _, rewards, regrets, shares, recoveries = zip(*sorted(done, key=lambda f: f[0]), strict=True)
    return RunSummary(
        policy=msgspec.to_builtins(policy),
        steps=steps,
        seeds=seeds,
        rewards=np.array(rewards, np.float64),
        regrets=np.array(regrets, np.float64),
        best_shares=np.array(shares, np.float64),
        recoveries=recoveries,
        baseline_reward=world.uniform_reward(steps),
        drifts=world.drift_at is not None and world.drift_at < steps,
    )


def _figures(policy: Policy, world: NewsWorld, steps: int, start: int, seed: int) -> _Figures:
    run = simulate(policy, world, steps, seed, start=start, samples=0)
    return seed, run.mean_reward, run.regret, run.best_share, run.recovery


def over_seeds(one: Callable[[int], Figures], seeds: Sequence[int], processes: int) -> Iterator[Figures]:
    """Call a picklable function once a seed, in this process or in several, and yield results as they come."""
    if processes == 1:
        yield from map(one, seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(seeds)), mp_context=context) as pool:
        futures = [pool.submit(one, seed) for seed in seeds]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _check(seeds: Sequence[int], processes: int) -> None:
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(
            "input.invalid",
            f"got {len(seeds)} seeds {seeds[:5]!r}; expected one or more, each once",
            field="seeds",
        )
    if processes < 1:
        raise InputError(
            "input.invalid", f"processes is {processes!r}; expected at least 1", field="processes"
        )
