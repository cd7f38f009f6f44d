"""The split policy: fixed shares per action, such as 90 : 10."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.errors import DefinitionError, InputError
from foldline.fold.arrays import Arrays
from foldline.policies.exact_sums import ExactSums
from foldline.policies.protocol import Parameters
from foldline.policies.table import everything, proportional

Weight = Annotated[float, Meta(ge=0.0, le=1e9)]


class Split(ExactSums, frozen=True, tag="split"):
    """Chooses with fixed weights; actions not named have weight zero.

    With a mask the weights of the allowed actions are scaled up; where all of them are zero, the allowed actions
    are equally likely.

    Example:
        >>> Split({"a": 0.9, "b": 0.1}).shares["b"]
        0.1
    """

    shares: Annotated[
        dict[str, Weight],
        Meta(
            min_length=1, description="weight of each action, in any unit", extra={"range": "0 to 1e9 each"}
        ),
    ]

    dials: ClassVar[frozenset[str]] = frozenset({"shares"})
    summary: ClassVar[str] = "fixed weights per action"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not sum(self.shares.values()) > 0.0:
            raise InputError(
                "input.invalid",
                f"policy 'split': shares={self.shares!r}: expected at least one above 0",
                field="shares",
            )

    def check(self, actions: Sequence[str], low: float, high: float) -> None:
        """See `Policy.check`."""
        _shares(self.shares, actions)

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        total, least = sum(self.shares.values()), min(self.shares.values())
        return least / total if len(self.shares) >= actions else 0.0

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The weights by action. See `Policy.compile`."""
        return {"weights": dict(sorted(self.shares.items()))}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`; `parameters` with the names, `actions`, as every reader adds them."""
        names = parameters["actions"]
        return proportional(_shares(parameters["weights"], names), everything(allowed, len(names)))


def _shares(weights: dict[str, float], actions: Sequence[str]) -> npt.NDArray[np.float64]:
    unknown = sorted(set(weights) - set(actions))
    if unknown:
        raise DefinitionError(
            "definition.incoherent",
            f"policy 'split': weights for {unknown!r}, which are none of the loop's actions {list(actions)!r}",
            field="shares",
        )
    return np.array([weights.get(name, 0.0) for name in actions], np.float64)
