"""What attribution tells a policy, as columns in record order."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Emit(IntEnum):
    """What happened to a decision."""

    DECIDED = 1
    """An action was chosen; for policies that count pulls at decision time."""
    UNDECIDED = 2
    """It no longer counts: replaced by a retry, or never activated."""
    LEARNT = 3
    """It matured with the reward `new`."""
    CORRECTED = 4
    """It had been learnt with `old`; the truth is `new`."""


@dataclass(slots=True)
class Emits:
    """m events, in the order the records caused them.

    Attributes:
        kind: (m,) int8, an `Emit`.
        action: (m,) int32, index into the fold's actions.
        old: (m,) int64, reward units learnt before (CORRECTED only, else 0).
        new: (m,) int64, reward units (LEARNT and CORRECTED, else 0).
        time: (m,) int64, stream time at the decision, milliseconds.
        row: (m,) int64, the batch row that caused it.
    """

    kind: npt.NDArray[np.int8]
    action: npt.NDArray[np.int32]
    old: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.kind)
