"""Epsilon-greedy with sample averages."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.policies.exact_sums import ExactSums, counts_and_sums
from foldline.policies.protocol import Parameters
from foldline.policies.table import everything, greedy, quotient

Epsilon = Annotated[float, Meta(ge=0.0, le=1.0, description="probability of exploring among all actions")]
Ties = Annotated[
    Literal["random", "first"],
    Meta(
        description="among equally good actions: all equally likely, or the first in the definition's order"
    ),
]
StartValue = Annotated[
    float,
    Meta(
        ge=-1e12,
        le=1e12,
        description="estimate of an action before its first reward",
        extra={"unit": "reward"},
    ),
]


class EpsilonGreedy(ExactSums, frozen=True, tag="epsilon_greedy"):
    """Explores among all actions with probability epsilon, else takes the one with the best average reward.

    Q(a) = (sum of the rewards of a) / (their number), which is `Q += (R - Q) / N` without its rounding; q0 before
    the first reward, and forgotten after it (Sutton and Barto 2018, sections 2.4 and 2.5). A high q0 makes every
    action be tried once.

    Example:
        >>> EpsilonGreedy(0.05).epsilon
        0.05
    """

    epsilon: Epsilon = 0.1
    q0: StartValue = 0.0
    ties: Ties = "random"

    dials: ClassVar[frozenset[str]] = frozenset({"epsilon", "q0", "ties"})
    summary: ClassVar[str] = "explore with probability epsilon, else the best average"

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        return self.epsilon / actions

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The dials and Q of each action. See `Policy.compile`."""
        count, total = (array[columns] for array in counts_and_sums(state))
        values = quotient(total, count, unit_bits)
        return {
            "epsilon": self.epsilon,
            "ties": self.ties,
            "values": np.where(count > 0, values, self.q0).tolist(),
        }

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return greedy_weights(parameters, allowed)


def greedy_weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
    """The table of parameters `epsilon`, `ties` and `values`; shared by the epsilon-greedy policies."""
    values = np.asarray(parameters["values"], np.float64)
    return greedy(values, everything(allowed, len(values)), parameters["epsilon"], parameters["ties"])
