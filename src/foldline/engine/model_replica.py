"""What the models of a loop say now, to whoever asks: from their newest snapshots on the log, by any process."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from foldline.engine.known import FoldStates
from foldline.engine.root import Root
from foldline.errors import FoldlineError
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.models.definition import MODEL_KIND, ModelDefinition, model_definition
from foldline.models.fold import ModelFold
from foldline.models.inference import Names, Prediction
from foldline.models.known import Count, KnownModel
from foldline.models.online import Features, Predictions, most_probable
from foldline.models.report import ModelReport, report_of
from foldline.models.signing import Secret
from foldline.records.hashing import hash128, partition_of
from foldline.records.types import Value

LOOK_S: Final = 0.2
"""How often the log is looked at for newer snapshots."""


class ModelStates:
    """Follows the snapshots of one model of a loop. Thread-safe.

    Attributes:
        definition: of the model.
        fold: that learns it.
    """

    def __init__(self, log: Log, loop: LoopDefinition, definition: ModelDefinition, secret: Secret) -> None:
        self.definition = definition
        self.fold = ModelFold(definition, secret)
        self._partitions = loop.partitions
        self._states: FoldStates[KnownModel] = FoldStates(log, loop, self.fold)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._looked = 0.0
        self._followed = False
        self._failure: FoldlineError | None = None
        self._roots: list[Root | None] = [None] * loop.partitions
        # Where snapshots are followed it is replaced, never changed: who predicts then waits for no snapshot.
        self._loaded: dict[tuple[int, int], tuple[Root | None, Any, int]] = {}
        self._known: dict[int, tuple[Root | None, KnownModel]] = {}

    def report(self, partitions: Collection[int] | None = None) -> ModelReport:
        """How the model does, as of its newest snapshots, on some partitions or on all."""
        parts = dict(enumerate(self.parts()))
        return report_of(
            self.fold, parts if partitions is None else {p: parts[p] for p in sorted(partitions)}
        )

    @property
    def cut(self) -> tuple[int, ...]:
        """The offset that the snapshots covered when last looked at, by partition."""
        return self._states.cut

    def covers(self, offsets: Mapping[int, int]) -> bool:
        """Whether the newest snapshots cover these offsets, by partition."""
        with self._lock:
            self._states.read()
            cut = self._states.cut
        return all(cut[partition] >= offset for partition, offset in offsets.items())

    def parts(self) -> list[KnownModel]:
        """What is known of each partition, as of its newest snapshot; models as bytes."""
        with self._lock:
            self._states.read()
            return [self._part(partition) for partition in range(self._partitions)]

    def follow(self) -> None:
        """Read newer snapshots and load their models; from the first time on `predict` does neither. Blocks.

        What goes wrong is raised by `predict`, until it goes well again.
        """
        with self._lock:
            try:
                self._states.follow()
                loaded, roots = dict(self._loaded), list(self._states.roots)
                for partition, root in enumerate(roots):
                    if root is None or root is self._roots[partition]:
                        continue
                    known = self._part(partition)
                    for group, data in known.saved.items():
                        state = self.fold.model.load(data)
                        loaded[partition, group] = (root, state, int(known.counts[Count.LEARNT]))
            except FoldlineError as error:
                self._failure = error
            else:
                self._loaded, self._roots, self._failure = loaded, roots, None
            self._followed = True

    def predict(self, unit: str, x: Features) -> Prediction:
        """What the model of the unit's partition and group says, or all partitions' together.

        Where snapshots are not followed it looks for newer ones now and then, and loads what is asked for.
        """
        own = partition_of(unit, self._partitions) if self._partitions > 1 else 0
        group = int(hash128(unit)[1]) % self.definition.groups if self.definition.groups > 1 else 0
        asked = range(self._partitions) if self.definition.serve == "ensemble" else (own,)
        if self._followed:
            if self._failure is not None:
                raise self._failure
            models = [self._loaded.get((partition, group)) or self._nothing() for partition in asked]
        else:
            with self._lock:
                now = time.monotonic()
                if now - self._looked >= LOOK_S:
                    self._looked = now
                    self._states.follow()
                models = [self._model(partition, group) for partition in asked]
        with self._asking:
            told = [(self.fold.model.predict(state, x), learnt) for _, state, learnt in models]
        return _prediction(self.definition.name, told)

    def _nothing(self) -> tuple[None, Any, int]:
        return None, self.fold.model.empty(), 0

    def _model(self, partition: int, group: int) -> tuple[Root | None, Any, int]:
        """The model of a partition and a group, loaded when it is first asked for after a snapshot."""
        root = self._states.roots[partition]
        found = self._loaded.get((partition, group))
        if found is None or found[0] is not root:
            known = self._part(partition)
            data = known.saved.get(group)
            state = self.fold.model.empty() if data is None else self.fold.model.load(data)
            found = self._loaded[partition, group] = (root, state, int(known.counts[Count.LEARNT]))
        return found

    def _part(self, partition: int) -> KnownModel:
        root = self._states.roots[partition]
        found = self._known.get(partition)
        if found is None or found[0] is not root:
            found = self._known[partition] = (root, self._states.part(partition))
        return found[1]


class ModelReplica:
    """The models of a version of a loop.

    Args:
        log: only read.
        loop: the version.
        secret: gives the deployment's, with which River's states are signed.

    Attributes:
        models: by name, in the definition's order.
    """

    def __init__(self, log: Log, loop: LoopDefinition, secret: Secret) -> None:
        definitions = [model_definition(values) for values in loop.folds if values.get("kind") == MODEL_KIND]
        self.models = {each.name: ModelStates(log, loop, each, secret) for each in definitions}

    def follow(self) -> None:
        """Read newer snapshots of those that are no shadows, see `ModelStates.follow`."""
        for one in self.models.values():
            if not one.definition.shadow:
                one.follow()

    def predict(self, unit: str, x: Mapping[str, Value | None]) -> list[Prediction]:
        """What every model says that is not a shadow, in the definition's order."""
        given = {name: value for name, value in x.items() if value is not None}
        return [one.predict(unit, given) for one in self.models.values() if not one.definition.shadow]


def _prediction(name: str, told: list[tuple[Predictions, int]]) -> Prediction:
    """One answer of one model, or of several: the mean of what those say that say anything."""
    learnt = sum(count for _, count in told)
    cold = all(each.cold is not None and each.cold[0] for each, _ in told)
    if len(told) == 1:
        only = told[0][0]
        probabilities = only.probabilities[0] if only.probabilities is not None else None
        return Prediction(
            model=name, learnt=learnt, value=only.values[0], cold=cold,
            probabilities=Names().of(probabilities) if probabilities else None,
            score=only.scores[0] if only.scores is not None else None,
        )  # fmt: skip
    warm = [each for each, _ in told if not (each.cold is not None and each.cold[0])]
    scores = [each.scores[0] for each in warm if each.scores is not None]
    tables = [table for each in warm if each.probabilities is not None and (table := each.probabilities[0])]
    summed = _mean(tables)
    values = [each.values[0] for each in warm if each.values[0] is not None]
    return Prediction(
        model=name, learnt=learnt, cold=cold, probabilities=Names().of(summed) if summed else None,
        value=most_probable(summed) if summed else _joint(values),
        score=_average([score for score in scores if score is not None]),
    )  # fmt: skip


def _mean(tables: Sequence[Mapping[Value, float]]) -> dict[Value, float]:
    summed: dict[Value, float] = {}
    for table in tables:
        for value, p in table.items():
            summed[value] = summed.get(value, 0.0) + p / len(tables)
    return summed


def _average(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _joint(values: Sequence[Value | None]) -> Value | None:
    """The mean of numbers, the most frequent of classes."""
    numbers = [float(each) for each in values if isinstance(each, int | float) and not isinstance(each, bool)]
    if numbers and len(numbers) == len(values):
        return sum(numbers) / len(numbers)
    return max(values, key=values.count) if values else None
