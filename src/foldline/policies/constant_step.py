"""Epsilon-greedy with a constant step size: follows drift, at the price of a state that does not merge."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.kernels import kernel
from foldline.policies.epsilon_greedy import Epsilon, StartValue, Ties, greedy_weights
from foldline.policies.protocol import Law, Parameters, Policy

Floats = npt.NDArray[np.float64]

_LEARNT = 3


class ConstantStep(Policy, frozen=True, tag="constant_step"):
    """Epsilon-greedy on Q += alpha (R - Q), in the order the rewards are learnt (Sutton and Barto 2018, eq. 2.5).

    A reward's weight depends on how many came after it, so states of two partitions do not merge and a learnt
    reward cannot be corrected: the loop has one partition, and outcomes arrive complete or after a wait.

    Example:
        >>> ConstantStep(alpha=0.02).merge_law
        'none'
    """

    epsilon: Epsilon = 0.1
    alpha: Annotated[float, Meta(gt=0.0, le=1.0, description="step size: the share of the newest reward")] = (
        0.02
    )
    q0: StartValue = 0.0
    ties: Ties = "random"

    dials: ClassVar[frozenset[str]] = frozenset({"epsilon", "ties"})
    summary: ClassVar[str] = "epsilon-greedy that follows drift by a constant step size; one partition"

    @property
    def merge_law(self) -> Law:
        """Refused: averaging the states of k partitions would divide the step size by k."""
        return "none"

    @property
    def correction_law(self) -> Law:
        """Refused."""
        return "none"

    def empty(self, actions: int) -> Arrays:
        """`count` (n,) int64 and `value` (n,) float64, in units of the reward. See `Policy.empty`."""
        return {"count": np.zeros(actions, np.int64), "value": np.full(actions, self.q0)}

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`; CORRECTED emits change nothing. About 1 ns an emit."""
        value = cast(Floats, state["value"])
        done, row = _step(
            state["count"], value, emits.kind, emits.action, emits.new, self.alpha, 2.0**-unit_bits
        )
        if done < 0:
            raise IndexError(
                f"emit {row} names action {int(emits.action[row])}, but the state has {len(value)}; grow it first"
            )
        return bool(done)

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """Refused. See `Policy.merge`."""
        raise FoldError(
            "fold.not_mergeable",
            "policy 'constant_step': its state depends on the order of rewards and does not merge; "
            "run its loop on one partition, or use 'discounted'",
        )

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        return self.epsilon / actions

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The dials and Q of each action. See `Policy.compile`."""
        return {"epsilon": self.epsilon, "ties": self.ties, "values": state["value"][columns].tolist()}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return greedy_weights(parameters, allowed)

    def estimates(
        self,
        state: Arrays,
        columns: Sequence[int],
        *,
        as_of: int,
        unit_bits: int,
    ) -> Mapping[str, Floats]:
        """See `Policy.estimates`; the mean is Q, which weighs recent rewards most."""
        pulls = state["count"][columns].astype(np.float64)
        value = cast(Floats, state["value"])[columns]
        return {"pulls": pulls, "mean": np.where(pulls > 0, value, np.nan)}


@kernel
def _step(count: Any, value: Any, kind: Any, action: Any, new: Any, alpha: Any, unit: Any) -> Any:
    changed = 0
    for i in range(len(kind)):
        if kind[i] != _LEARNT:
            continue
        a = action[i]
        if a < 0 or a >= len(count):
            return -1, i
        count[a] += 1
        value[a] += alpha * (float(new[i]) * unit - value[a])
        changed = 1
    return changed, 0
