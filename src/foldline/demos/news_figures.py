"""The two published figures of the news demo as PNG, and the run as Parquet."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldline.demos.news import Visits
from foldline.errors import MissingExtra
from foldline.simulation.worlds import NewsWorld


def write_figures(
    folder: Path,
    world: NewsWorld,
    visits: Sequence[Visits],
    times: Sequence[int],
    estimates: Sequence[Sequence[float]],
) -> list[Path]:
    """Average reward, and the estimate of each article over time.

    Args:
        folder: made if it is not there.
        world: what was decided in.
        visits: what each app did.
        times: steps at which the estimates were taken.
        estimates: one row a time, one column an article; NaN before an article's first reward.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots", "drawing figures") from error
    folder.mkdir(parents=True, exist_ok=True)
    reward = Figure(figsize=(8, 4.5), layout="constrained")
    _draw_reward(reward.add_subplot(), world, visits)
    per_article = Figure(figsize=(8, 4.5), layout="constrained")
    _draw_estimates(per_article.add_subplot(), world, times, np.array(estimates))
    paths = [folder / "average_reward.png", folder / "estimates.png"]
    for figure, path in zip((reward, per_article), paths, strict=True):
        figure.savefig(path, dpi=120)
    return paths


def write_parquet(folder: Path, world: NewsWorld, visits: Sequence[Visits]) -> Path:
    """The run, one row a step, in order of steps.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtra("parquet", "writing Parquet") from error
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, list[Any]] = {"app": [n for n, app in enumerate(visits) for _ in app.step]}
    for name in ("step", "action", "reward", "bundle", "decided_ns", "partition", "offset", "rewarded_ns"):
        columns[name] = [value for app in visits for value in getattr(app, name)]
    columns["action"] = [world.actions[i] for i in columns["action"]]
    path = folder / "run.parquet"
    pq.write_table(pa.table(columns).sort_by("step"), path)
    return path


def _draw_reward(axes: Any, world: NewsWorld, visits: Sequence[Visits]) -> None:
    order = np.argsort([step for app in visits for step in app.step], kind="stable")
    rewards = np.array([reward for app in visits for reward in app.reward], float)[order]
    steps = np.arange(1, len(rewards) + 1)
    axes.plot(steps, np.cumsum(rewards) / steps, color="#0072B2", label="average reward so far")
    window = min(1000, max(1, len(rewards) // 10))
    recent = np.convolve(rewards, np.ones(window) / window, mode="valid")
    axes.plot(steps[window - 1 :], recent, color="#56B4E9", lw=0.8, label=f"over the last {window} steps")
    baseline = [world.probabilities_at(int(s)).mean() for s in steps]
    best = [world.probabilities_at(int(s)).max() for s in steps]
    axes.plot(steps, baseline, color="#555555", ls="--", label="articles at random")
    axes.plot(steps, best, color="#009E73", ls=":", label="always the best article")
    axes.set(xlabel="step", ylabel="clicks per reader", title="Average reward", ylim=(0, None))
    axes.legend(frameon=False)


def _draw_estimates(axes: Any, world: NewsWorld, times: Sequence[int], estimates: Any) -> None:
    last = times[-1] if len(times) else 0
    best = world.best_at(last)
    for i, name in enumerate(world.actions):
        ours = i == best
        axes.plot(
            times,
            estimates[:, i],
            color="#D55E00" if ours else "#999999",
            lw=2.0 if ours else 0.8,
            zorder=3 if ours else 2,
            label=f"best: {name}" if ours else None,
        )
        axes.annotate(
            name.removeprefix("article-"),
            (last, estimates[-1, i]),
            fontsize=6,
            xytext=(3, 0),
            textcoords="offset points",
        )
    # An article's first few readers make wild estimates; what matters lies near the true probabilities.
    top = 2 * max(world.probabilities_at(0).max(), world.probabilities_at(int(last)).max())
    axes.set(xlabel="step", ylabel="estimated click probability", title="Estimate per article", ylim=(0, top))
    axes.legend(frameon=False)
