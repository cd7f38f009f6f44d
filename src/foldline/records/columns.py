"""A batch of records as columns: what folds read.

One row per line of the batch, in log order. Strings that are only compared (ids, units) stand as 128-bit
hashes; strings with few values (actions, names) as indexes into a batch-local dictionary.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.records.examples import Examples
from foldline.records.labels import Labels
from foldline.records.types import Definition, Phase

ARRAYS: Final = (
    "kind", "time", "id", "unit", "reward_id", "action", "name", "value", "propensity", "experiment", "variant",
    "probability",
)  # fmt: skip
"""The columns that hold an entry for each row."""


class Kind(IntEnum):
    """The type of a row."""

    DEAD = 0
    DECISION = 1
    REWARD = 2
    OUTCOME = 3
    ACTIVATION = 4
    TICK = 5
    DEFINITION = 6
    OBSERVATION = 7
    PHASE = 8
    EXAMPLE = 9
    LABEL = 10


@dataclass(frozen=True, slots=True)
class Dead:
    """A row that could not be used: goes to the dead-letter topic."""

    row: int
    code: str
    message: str


@dataclass(slots=True)
class Columns:
    """A decoded batch of n records.

    Attributes:
        kind: (n,) int8, a `Kind`.
        time: (n,) int64 milliseconds; 0 on dead rows, which move no clock.
        id: (n, 2) uint64, hash of the decision id (decision, outcome, activation, reward by id), of the own id
            (observation, example) or the example's (label), zeros where absent.
        unit: (n, 2) uint64, hash of the unit, zeros where absent.
        reward_id: (n, 2) uint64, hash of a reward's own id, else zeros.
        action: (n,) int32, index into `actions`, -1 where absent.
        name: (n,) int32, index into `names`, -1 where absent.
        value: (n,) float64, reward or observed value, NaN where absent.
        propensity: (n,) float64, NaN where absent.
        experiment: (n, 2) uint64, hash of the experiment's name (decision), else zeros.
        variant: (n, 2) uint64, hash of the variant's key (decision), else zeros.
        probability: (n,) float64, of the variant (decision), NaN where absent.
        actions: the actions named in this batch, by first appearance.
        names: the reward and observation names in this batch, by first appearance.
        markers: definition markers by row.
        phases: experiments' markers by row.
        examples: the examples.
        labels: the labels that came without their examples.
        dead: the rows of kind DEAD with their errors, by row.
    """

    kind: npt.NDArray[np.int8]
    time: npt.NDArray[np.int64]
    id: npt.NDArray[np.uint64]
    unit: npt.NDArray[np.uint64]
    reward_id: npt.NDArray[np.uint64]
    action: npt.NDArray[np.int32]
    name: npt.NDArray[np.int32]
    value: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]
    experiment: npt.NDArray[np.uint64]
    variant: npt.NDArray[np.uint64]
    probability: npt.NDArray[np.float64]
    actions: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    markers: dict[int, Definition] = field(default_factory=dict)
    phases: dict[int, Phase] = field(default_factory=dict)
    examples: Examples = field(default_factory=Examples)
    labels: Labels = field(default_factory=Labels)
    dead: list[Dead] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kind)

    def slice(self, start: int, stop: int) -> "Columns":
        """Rows `start` to `stop` as views; row numbers of markers and dead rows are shifted."""
        arrays: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in ARRAYS}
        return Columns(
            **arrays,
            actions=self.actions,
            names=self.names,
            markers={row - start: marker for row, marker in self.markers.items() if start <= row < stop},
            phases={row - start: phase for row, phase in self.phases.items() if start <= row < stop},
            examples=self.examples.slice(start, stop),
            labels=self.labels.slice(start, stop),
            dead=[Dead(d.row - start, d.code, d.message) for d in self.dead if start <= d.row < stop],
        )
