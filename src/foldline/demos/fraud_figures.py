"""The figures of the fraud demo as PNG: how the metrics went, and how long inferences took."""

from pathlib import Path

import numpy as np

import foldline as fl
from foldline.demos.fraud import LOOP, Settings
from foldline.demos.fraud_summary import Inferences
from foldline.errors import MissingExtra


def write_figures(folder: Path, settings: Settings, url: str, inferences: Inferences) -> list[Path]:
    """Metrics of the sliding window of each partition over its examples, and latencies over the run.

    Args:
        folder: made if it is not there.
        settings: what was run.
        url: of the log it was run on.
        inferences: what it put out.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots", "drawing figures") from error
    folder.mkdir(parents=True, exist_ok=True)
    with fl.open(url, learn=False) as app:
        courses = app.loop(LOOP).courses(settings.model.name)
    is_regressor = settings.model.build().task == "regression"
    metric = "mean absolute error" if is_regressor else "accuracy"
    metrics = Figure(figsize=(8, 4.5), layout="constrained")
    axes = metrics.add_subplot()
    for number, points in enumerate(courses):
        axes.plot(points[:, 1], points[:, 2], label=f"partition {number}", linewidth=1)
    axes.set(
        xlabel="labelled examples of the partition", ylabel=f"{metric} of the last {settings.model.window:,}"
    )
    axes.set_title(f"{settings.stream.name}: predicted, then learnt")
    if any(len(points) for points in courses):
        axes.legend(fontsize=7, ncols=2)
    latency = Figure(figsize=(8, 4.5), layout="constrained")
    axes = latency.add_subplot()
    values = np.array(inferences.latency_ms)
    axes.hist(values, bins=60)
    axes.set(xlabel="milliseconds from example to inference", ylabel="inferences", yscale="log")
    axes.set_title(f"{len(values):,} inferences")
    paths = [folder / ("error.png" if is_regressor else "accuracy.png"), folder / "latency.png"]
    for figure, path in zip((metrics, latency), paths, strict=True):
        figure.savefig(path, dpi=120)
    return paths
