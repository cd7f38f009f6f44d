"""What a fold needs of a model, River's or ours: predict some examples and learn others, in order.

Unlike `models.protocol.Model`, which works on a table of numbers, these take examples as they stand on the log:
features by name, of which any may be absent, and labels that are classes or numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from foldline.records.examples import FeatureTable
from foldline.records.types import Value

Task = Literal["classification", "regression", "anomaly"]

Features = Mapping[str, Value]


@dataclass(slots=True)
class Steps:
    """What to do, step after step; one entry a step each.

    Attributes:
        x: features.
        y: the label to learn, None for none.
        predicts: whether the step predicts; one that does not only learns a label that came late.
    """

    x: list[Features] | FeatureTable = field(default_factory=list)
    y: Sequence[Value | None] = field(default_factory=list)
    predicts: list[bool] | npt.NDArray[np.bool_] = field(default_factory=list)

    def add(self, x: Features, y: Value | None, *, predicts: bool) -> None:
        """One step more."""
        if isinstance(self.x, FeatureTable):
            self.x = list(self.x)
        self.x.append(x)
        if not isinstance(self.y, list):
            self.y = list(self.y)
        self.y.append(y)
        if not isinstance(self.predicts, list):
            self.predicts = list(self.predicts)
        self.predicts.append(predicts)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(slots=True)
class Predictions:
    """What came of some steps; one entry a step, None where it did not predict.

    Attributes:
        values: the class or number predicted; None where the model has none yet, or gives scores only.
        probabilities: by class, where the model has them; an empty mapping before it knows a class.
        scores: of an anomaly, greater for rarer.
        cold: whether the model said that it has not seen enough to say anything.
        failures: what the model raised, by step; it then predicted nothing, or did not learn.
    """

    values: Sequence[Value | None]
    probabilities: Sequence[Mapping[Value, float] | None] | None = None
    scores: list[float | None] | None = None
    cold: list[bool] | None = None
    failures: dict[int, str] = field(default_factory=dict)


class OnlineModel(Protocol):
    """A model by name, with its parameters.

    Attributes:
        task: what it predicts.
        portable: whether its state has the same bits on every machine; if not, on one machine and build.
        slower_once_dumped: whether a state loaded from a dump is faster from then on than the one that was dumped.
    """

    task: Task
    portable: bool
    slower_once_dumped: bool

    def identity(self) -> dict[str, Any]:
        """What its state depends on besides the examples, as JSON values."""
        ...

    def empty(self) -> Any:
        """The state before anything was learnt."""
        ...

    def run(self, state: Any, steps: Steps) -> Predictions:
        """Go through the steps in order, each predicted before it is learnt; the state is changed in place."""
        ...

    def predict(self, state: Any, x: Features) -> Predictions:
        """What the model says of one example now; the state does not change."""
        ...

    def dump(self, state: Any) -> bytes:
        """The state as bytes."""
        ...

    def load(self, data: bytes) -> Any:
        """The state dumped; going on from it gives the predictions of going on from the original.

        Raises:
            FoldError: `fold.damaged_root` where the bytes are not a dump.
        """
        ...


def most_probable(probabilities: Mapping[Any, float]) -> Any | None:
    """The class of the greatest probability, of equal ones the first; None of none."""
    return max(probabilities, key=probabilities.__getitem__) if probabilities else None


def chosen(values: Sequence[Mapping[Any, float] | None]) -> list[Any | None]:
    """The most probable class of each."""
    return [None if each is None else most_probable(each) for each in values]
