"""How a model does: what people and programs are shown of it."""

from collections.abc import Mapping

import msgspec

from foldline.models.classification_metrics import ClassificationReport
from foldline.models.expression import model_text
from foldline.models.fold import ModelFold
from foldline.models.known import Count, KnownModel
from foldline.models.online import Task
from foldline.models.regression_metrics import RegressionReport
from foldline.models.window import WindowReport


class PartitionReport(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's models.

    Attributes:
        partition: its number.
        counts: see `Count`, in small letters.
        metrics: over all labelled examples.
        window: over the last ones.
        bytes: of the models' snapshots.
        models: how many there are, one a group.
        drift_alarms: how often errors became more frequent or greater, or usual scores higher, than chance explains.
    """

    partition: int
    counts: dict[str, int]
    metrics: ClassificationReport | RegressionReport
    window: WindowReport
    bytes: int
    models: int
    drift_alarms: int


class ModelReport(msgspec.Struct, frozen=True, kw_only=True):
    """A model of a loop.

    Attributes:
        name: within the loop.
        model: as it is typed at a prompt.
        task: what it predicts.
        shadow: whether it is never served.
        serve: how it is served.
        counts: over all partitions, see `Count`.
        metrics: over all labelled examples of all partitions.
        partitions: one by one.
        note: what must be known to read the figures; empty where there is nothing.
    """

    name: str
    model: str
    task: Task
    shadow: bool
    serve: str
    counts: dict[str, int]
    metrics: ClassificationReport | RegressionReport
    partitions: tuple[PartitionReport, ...]
    note: str = ""


def report_of(fold: ModelFold, parts: Mapping[int, KnownModel]) -> ModelReport:
    """The report of what is known of some partitions, by number."""
    whole, task = fold.merge_all(list(parts.values())), fold.model.task
    counts = counted(whole)
    note = ""
    if counts["cold"]:
        share = counts["cold"] / max(counts["examples"], 1)
        note = (
            f"{share:.0%} of the examples came before a model's first window was full and have the score 0; "
            "with fewer examples a partition than a window has, all of them do: give a smaller window_size"
        )
    return ModelReport(
        name=fold.name,
        model=model_text(fold.definition.expression()),
        task=task,
        shadow=fold.definition.shadow,
        serve=fold.definition.serve,
        counts=counts,
        metrics=metrics_of(whole, task),
        partitions=tuple(
            PartitionReport(
                partition=number,
                counts=counted(part),
                metrics=metrics_of(part, task),
                window=part.window.report(regression=task == "regression"),
                bytes=sum(map(len, part.saved.values())),
                models=len(part.saved),
                drift_alarms=part.drift.alarms,
            )
            for number, part in parts.items()
        ),
        note=note,
    )


def metrics_of(known: KnownModel, task: Task) -> ClassificationReport | RegressionReport:
    """The metrics; of a detector that names no class only those of its scores."""
    if task == "regression":
        return known.regression.report()
    report = known.classification.report()
    if task == "anomaly" and report.unpredicted == report.count:
        nothing = dict.fromkeys(("accuracy", "kappa", "precision", "recall", "f1", "macro_f1"))
        return msgspec.structs.replace(report, **nothing)
    return report


def counted(known: KnownModel) -> dict[str, int]:
    """The counts by name."""
    return {count.name.lower(): int(known.counts[count]) for count in Count}
