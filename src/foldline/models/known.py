"""What a model's fold knows of a partition: the models, how well they did, and inferences that wait for a label."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.models.classification_metrics import ClassificationMetrics
from foldline.models.definition import ModelDefinition
from foldline.models.drift import Drift
from foldline.models.held import Held, HeldInferences
from foldline.models.online import OnlineModel, Task
from foldline.models.regression_metrics import RegressionMetrics
from foldline.models.window import Course, Window
from foldline.stats.exact_sums import add_sums

COURSE_WIDTH = 6
"""Of a point: stream time, labelled examples, and of the window accuracy (or mean error), F1, recall, ROC AUC."""


class Count(IntEnum):
    """Index of each count. All count records unless said otherwise."""

    EXAMPLES = 0
    """Examples predicted."""
    DUPLICATES = 1
    """Examples dropped: the same id within the label window."""
    LEARNT = 2
    """Labels learnt; examples, for a detector that needs no label."""
    LABELLED = 3
    """Examples that have a label, or were given the one for missing labels."""
    LABELS_AGAIN = 4
    """Labels dropped: of an example that has one."""
    UNMATCHED = 5
    """Labels whose example did not come within the window."""
    MISSING = 6
    """Examples whose label did not come within the window."""
    COLD = 7
    """Examples predicted before the model had seen enough to say anything."""
    FAILURES = 8
    """Examples or labels at which the model raised an error."""


@dataclass(slots=True)
class KnownModel:
    """The half of the state that stands in the root.

    Attributes:
        counts: see `Count`.
        classification: metrics of a classifier or a detector.
        regression: of a regressor.
        window: the last labelled examples; of one partition, so it does not merge.
        course: of the window; likewise.
        drift: alarms of a classifier's or a regressor's errors; likewise.
        states: by group, the models in use; none in what was only loaded to be looked at, or merged.
        saved: by group, the models as bytes; a group's stands here or among the states.
        held: inferences whose label has not come.
        stream_time: running maximum of record times, milliseconds.
    """

    counts: npt.NDArray[np.int64]
    classification: ClassificationMetrics
    regression: RegressionMetrics
    window: Window
    course: Course
    drift: Drift
    states: dict[int, Any] = field(default_factory=dict)
    saved: dict[int, bytes] = field(default_factory=dict)
    held: HeldInferences = field(default_factory=HeldInferences)
    stream_time: int = 0


def nothing(definition: ModelDefinition) -> KnownModel:
    """The empty prefix's."""
    return KnownModel(
        np.zeros(len(Count), np.int64),
        ClassificationMetrics(definition.positive, definition.exact_scores),
        RegressionMetrics(),
        Window(definition.window),
        Course(COURSE_WIDTH),
        Drift(),
    )


def merged(definition: ModelDefinition, parts: list[KnownModel]) -> KnownModel:
    """Counts and metrics of several partitions together, in their order; the rest does not merge."""
    whole = nothing(definition)
    for part in parts:
        whole.counts = add_sums(whole.counts, part.counts)
        whole.classification.merge(part.classification)
        whole.regression.merge(part.regression)
        whole.stream_time = max(whole.stream_time, part.stream_time)
    return whole


def dump_known(known: KnownModel, model: OnlineModel) -> bytes:
    """As bytes: a function of the records folded, as far as the model's own bytes are.

    Models that are the slower for having been dumped are kept as bytes, until they are used again.
    """
    models = {group: model.dump(state) for group, state in known.states.items()}
    if model.slower_once_dumped:
        known.saved.update(models)
        known.states = {}
    held = b"\n".join([msgspec.json.encode(each) for each in known.held.in_order()])
    arrays: Arrays = {
        "counts": known.counts,
        "held": _bytes(held),
        "stream_time": np.array([known.stream_time]),
        "metrics": _bytes(_metrics(known, model.task)),
        **{f"window.{name}": array for name, array in known.window.dump().items()},
        **{f"course.{name}": array for name, array in known.course.dump().items()},
        **{f"drift.{name}": array for name, array in known.drift.dump().items()},
        **{f"model.{group}": _bytes(data) for group, data in {**known.saved, **models}.items()},
    }
    return dump_arrays(arrays)


def load_known(definition: ModelDefinition, data: bytes, task: Task) -> KnownModel:
    """What was dumped, with the models as bytes.

    Raises:
        FoldError: `fold.damaged_root` where the bytes are not a dump.
    """
    arrays = load_arrays(data)
    loaded = nothing(definition)
    try:
        metrics = arrays["metrics"].tobytes()
        if task == "regression":
            loaded.regression = RegressionMetrics.load(metrics)
        else:
            loaded.classification = ClassificationMetrics.load(
                metrics, definition.positive, definition.exact_scores
            )
        loaded.counts = arrays["counts"].astype(np.int64)
        loaded.stream_time = int(arrays["stream_time"][0])
        loaded.window = Window.load(_within(arrays, "window."), definition.window)
        loaded.course = Course.load(_within(arrays, "course."))
        loaded.drift = Drift.load(_within(arrays, "drift."))
        lines = arrays["held"].tobytes()
        held = [_HELD.decode(line) for line in lines.split(b"\n")] if lines else []
    except (KeyError, IndexError, ValueError, msgspec.MsgspecError) as error:
        raise FoldError(
            "fold.damaged_root", f"loading a model's known half of {len(data)} bytes: {error!r}"
        ) from error
    loaded.held.restore(held)
    loaded.saved = {int(group): array.tobytes() for group, array in _within(arrays, "model.").items()}
    return loaded


_HELD = msgspec.json.Decoder(Held)


def _metrics(known: KnownModel, task: Task) -> bytes:
    return known.regression.dump() if task == "regression" else known.classification.dump()


def _bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _within(arrays: Arrays, prefix: str) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
