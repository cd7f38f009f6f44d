"""What a batch of records comes to for a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from foldline.models.known import Count
from foldline.models.online import Features
from foldline.records.examples import FeatureTable, Texts
from foldline.records.types import Value

Int64s = npt.NDArray[np.int64]


def _none() -> Int64s:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Taken:
    """What a batch comes to: steps in record order, each an example to predict or a label that came after its example.

    Attributes:
        row: (n,) of the record that each step follows from.
        at: (n,) that record's time, milliseconds.
        sequence: (n,) the example's number in the join.
        id: the example's id.
        unit: whose it is.
        group: (n,) of the models in its partition, which one predicts it.
        x: features, absent ones left out.
        y: the label; None where it is not known.
        source: where all stands in columns, (n,) the step at which each step's example is predicted; -1 for one that
            was before this batch.
        predicts: (n,) whether the example is new; otherwise it was predicted before, and only the label is.
        expired: numbers of examples whose label did not come, and for which none is declared.
        counts: to be added, see `Count`.
    """

    row: Int64s = field(default_factory=_none)
    at: Int64s = field(default_factory=_none)
    sequence: Int64s = field(default_factory=_none)
    id: list[str] | Texts = field(default_factory=list)
    unit: list[str] | Texts = field(default_factory=list)
    group: Int64s = field(default_factory=_none)
    x: list[Features] | FeatureTable = field(default_factory=list)
    y: Sequence[Value | None] = field(default_factory=list)
    predicts: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    source: Int64s | None = None
    expired: list[int] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Count), np.int64))

    def __len__(self) -> int:
        return len(self.row)
