"""UCB1: the greatest upper confidence bound."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.policies.epsilon_greedy import Ties
from foldline.policies.exact_sums import counts_and_sums
from foldline.policies.protocol import WHOLE, Parameters
from foldline.policies.pulled_sums import PulledSums, pulls_of
from foldline.policies.table import best_of, equal_shares, everything, quotient
from foldline.stats.portable import log


class Ucb1(PulledSums, frozen=True, tag="ucb1"):
    """Chooses the action with the greatest mean + bonus · √(2 ln t / n), rewards rescaled to 0 to 1.

    Auer, Cesa-Bianchi and Fischer 2002, figure 1. n counts the action's decisions, t all of the loop's, also of
    actions it has no more. Actions never decided come first; one that was decided, but of which no reward is known
    yet, counts as if its rewards had been the greatest.

    Example:
        >>> Ucb1().ties
        'random'
    """

    bonus: Annotated[
        float,
        Meta(
            ge=0.0, le=1000.0, description="factor of the bonus; below 1 explores less than the proof needs"
        ),
    ] = 1.0
    ties: Ties = "random"

    dials: ClassVar[frozenset[str]] = frozenset({"bonus", "ties"})
    summary: ClassVar[str] = "the greatest upper confidence bound; not random"

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The bound of each action, null where it was never decided, and the tie rule. See `Policy.compile`."""
        pulls, means = pulls_and_means(state, columns, unit_bits, low, high)
        t = max(1, int(pulls_of(state).sum()))
        spread = 2.0 * log(float(t))
        bounds = means + self.bonus * np.sqrt(spread / np.maximum(pulls, 1.0))
        return {"bounds": bounds_or_null(bounds, pulls), "ties": self.ties}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return greatest_bound(parameters, allowed)


def pulls_and_means(
    state: Arrays, columns: Sequence[int], unit_bits: int, low: float, high: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(k,) decisions and average rewards of each action, rescaled to 0 to 1; 1 where none is known."""
    count, total = (array[columns] for array in counts_and_sums(state))
    means = (quotient(total, count, unit_bits) - low) / (high - low)
    return pulls_of(state)[columns].astype(np.float64), np.where(count > 0, np.clip(means, 0.0, 1.0), 1.0)


def bounds_or_null(bounds: npt.NDArray[np.float64], pulls: npt.NDArray[np.float64]) -> list[float | None]:
    """The bounds as JSON values, null where the action was never pulled."""
    return [bound if n > 0 else None for bound, n in zip(bounds.tolist(), pulls.tolist(), strict=True)]


def greatest_bound(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
    """The table of parameters `bounds` and `ties`; shared by the policies with confidence bounds."""
    bounds = np.array([np.inf if b is None else b for b in parameters["bounds"]], np.float64)
    return equal_shares(WHOLE, best_of(bounds, everything(allowed, len(bounds)), parameters["ties"]))
