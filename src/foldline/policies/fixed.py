"""The fixed policy: one action always; a control, or a way to switch a loop to what is known."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.errors import DefinitionError
from foldline.fold.arrays import Arrays
from foldline.policies.exact_sums import ExactSums
from foldline.policies.protocol import WHOLE, Parameters
from foldline.policies.table import equal_shares, everything


class Fixed(ExactSums, frozen=True, tag="fixed"):
    """Chooses one action always; where it is not allowed, any of the allowed ones with equal probability.

    Example:
        >>> Fixed("a")
        Fixed(action='a')
    """

    action: Annotated[str, Meta(min_length=1, max_length=256, description="the action to choose")]

    dials: ClassVar[frozenset[str]] = frozenset({"action"})
    summary: ClassVar[str] = "one action always"

    def check(self, actions: Sequence[str], low: float, high: float) -> None:
        """See `Policy.check`."""
        _index(self.action, actions)

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The action's name. See `Policy.compile`."""
        return {"action": self.action}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`; `parameters` with the names, `actions`, as every reader adds them."""
        names = parameters["actions"]
        chosen = np.zeros(len(names), np.bool_)
        chosen[_index(parameters["action"], names)] = True
        mask = everything(allowed, len(names))
        return equal_shares(WHOLE, chosen & mask if (chosen & mask).any() else mask)


def _index(action: str, actions: Sequence[str]) -> int:
    if action not in actions:
        raise DefinitionError(
            "definition.incoherent",
            f"policy 'fixed': action={action!r} is not one of the loop's actions {list(actions)!r}",
            field="action",
        )
    return list(actions).index(action)
