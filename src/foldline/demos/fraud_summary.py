"""What came of a run of the fraud demo: one row a consumer, and all together."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import foldline as fl
from foldline.demos.fraud import LOOP, Run, Settings
from foldline.models.expression import model_text
from foldline.models.report import ModelReport

METRICS = ("accuracy", "roc_auc", "f1", "recall", "log_loss", "mae", "rmse", "r2")
"""Of a `Part`: of classes, then of numbers."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From an example's time on the log to its inference's, milliseconds; None without inferences."""

    mean: float | None
    p50: float | None
    p99: float | None
    max: float | None


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer, or all together; None where there is no such number.

    Attributes:
        partitions: learnt by it.
        count: inferences.
        accuracy: share predicted right.
        roc_auc: area under the ROC curve.
        f1: of the positive class.
        recall: likewise.
        log_loss: mean, in nats.
        mae: mean absolute error, of a regressor; likewise the next two.
        rmse: root of the mean squared error.
        r2: share of the labels' variance explained.
        latency_ms: of the inferences.
        memory_bytes: of the models' snapshots.
    """

    partitions: list[int]
    count: int
    accuracy: float | None
    roc_auc: float | None
    f1: float | None
    recall: float | None
    log_loss: float | None
    mae: float | None
    rmse: float | None
    r2: float | None
    latency_ms: Latency
    memory_bytes: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run.

    Attributes:
        model: as it is typed at a prompt.
        dataset: its name.
        partitions: of the log.
        seconds: from the first example to the last inference.
        per_second: inferences.
        overall: all together.
        consumers: one by one.
        note: what must be known to read the figures.
    """

    model: str
    dataset: str
    partitions: int
    seconds: float
    per_second: float
    overall: Part
    consumers: list[Part]
    note: str = ""


class Inferences(msgspec.Struct, frozen=True, kw_only=True):
    """The inferences of a run, one entry each, in the order of their partition.

    Attributes:
        partition: of each.
        latency_ms: of each.
    """

    partition: list[int]
    latency_ms: list[int]


class InferenceLine(msgspec.Struct):
    """What is read of a line of the output topic."""

    at: int
    time: int
    type: str


INFERENCE = msgspec.json.Decoder(InferenceLine)


def read_inferences(settings: Settings, url: str) -> Inferences:
    """Read what the models put out."""
    found = Inferences(partition=[], latency_ms=[])
    with fl.open(url, learn=False) as app:
        reader = app.loop(LOOP).outputs(settings.model.name)
        while outputs := reader.read():
            for output in outputs:
                line = INFERENCE.decode(output.line)
                if line.type == "inference" and output.source is not None:
                    found.partition.append(output.source.partition)
                    found.latency_ms.append(line.time - line.at)
    return found


def summarise(settings: Settings, url: str, run: Run, inferences: Inferences) -> Summary:
    """The summary of a run."""
    partition, latency = np.array(inferences.partition), np.array(inferences.latency_ms)
    with fl.open(url, learn=False) as app:
        fraud = app.loop(LOOP)

        def part(partitions: list[int]) -> tuple[Part, ModelReport]:
            report = fraud.models(partitions)[settings.model.name]
            return _part(partitions, report, latency[np.isin(partition, partitions)]), report

        overall, report = part(list(range(settings.partitions)))
        consumers = [part(share)[0] for share in run.consumers]
    return Summary(
        model=model_text(settings.model.expression()),
        dataset=settings.stream.name,
        partitions=settings.partitions,
        seconds=run.seconds,
        per_second=overall.count / run.seconds if run.seconds else 0.0,
        overall=overall,
        consumers=consumers,
        note=report.note,
    )


def _part(partitions: list[int], report: ModelReport, latency: Any) -> Part:
    figures = {name: getattr(report.metrics, name, None) for name in METRICS}
    return Part(
        partitions=partitions,
        count=len(latency),
        latency_ms=_latency(latency),
        memory_bytes=sum(each.bytes for each in report.partitions),
        **figures,
    )


def _latency(latency: Any) -> Latency:
    if not len(latency):
        return Latency(mean=None, p50=None, p99=None, max=None)
    p50, p99 = np.percentile(latency, [50, 99])
    return Latency(mean=float(latency.mean()), p50=float(p50), p99=float(p99), max=float(latency.max()))


def write_csv(folder: Path, summary: Summary) -> Path:
    """The table as CSV, a row a consumer and one for all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "consumers.csv"
    lines = [
        ",".join(
            ["consumer", "partitions", "count", *METRICS, "mean_ms", "p50_ms", "p99_ms", "max_ms", "bytes"]
        )
    ]
    rows = [*((str(number), part) for number, part in enumerate(summary.consumers)), ("all", summary.overall)]
    for who, part in rows:
        latency = part.latency_ms
        cells = [
            who, " ".join(map(str, part.partitions)), part.count, *(getattr(part, name) for name in METRICS),
            latency.mean, latency.p50, latency.p99, latency.max, part.memory_bytes,
        ]  # fmt: skip
        lines.append(",".join("" if cell is None else str(cell) for cell in cells))
    path.write_text("\n".join(lines) + "\n")
    return path
