"""The random policy: every allowed action equally often; the baseline, and the best logger for evaluation."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.policies.exact_sums import ExactSums
from foldline.policies.protocol import WHOLE, Parameters
from foldline.policies.table import equal_shares, everything


class Random(ExactSums, frozen=True, tag="random"):
    """Chooses among the allowed actions with equal probability; learns counts and sums for the estimates.

    Example:
        >>> Random().kind
        'random'
    """

    summary: ClassVar[str] = "every action equally often"

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        return 1.0 / actions

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The number of actions. See `Policy.compile`."""
        return {"n": len(columns)}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return equal_shares(WHOLE, everything(allowed, parameters["n"]))
