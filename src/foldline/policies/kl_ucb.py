"""KL-UCB: upper confidence bounds as tight as 0/1 rewards allow."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.policies.epsilon_greedy import Ties
from foldline.policies.exact_sums import counts_and_sums
from foldline.policies.protocol import Parameters
from foldline.policies.pulled_sums import PulledSums, pulls_of
from foldline.policies.thompson import with_wilson
from foldline.policies.ucb1 import bounds_or_null, greatest_bound, pulls_and_means
from foldline.stats.bernoulli import upper_bounds
from foldline.stats.portable import log


class KlUcb(PulledSums, frozen=True, tag="kl_ucb"):
    """Chooses the action with the greatest q such that n · kl(mean, q) <= ln t + c ln ln t.

    Garivier and Cappé 2011, algorithm 1, with the Bernoulli divergence, which bounds every reward between 0 and 1;
    rewards are rescaled from the loop's range. n, t and untried actions as in `Ucb1`.

    Example:
        >>> KlUcb().c
        0.0
    """

    c: Annotated[
        float,
        Meta(ge=0.0, le=100.0, description="weight of ln ln t: 3 in the proof, 0 recommended in practice"),
    ] = 0.0
    ties: Ties = "random"

    dials: ClassVar[frozenset[str]] = frozenset({"c", "ties"})
    summary: ClassVar[str] = "upper confidence bounds for 0/1 rewards, much tighter than ucb1; not random"

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The bound of each action, null where it was never decided, and the tie rule. See `Policy.compile`.

        About 1 us an action.
        """
        pulls, means = pulls_and_means(state, columns, unit_bits, low, high)
        spread = log(float(max(1, int(pulls_of(state).sum()))))
        level = spread + self.c * log(spread) if spread > 1.0 else spread
        bounds = upper_bounds(means, np.maximum(pulls, 1.0), level)
        return {"bounds": bounds_or_null(bounds, pulls), "ties": self.ties}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return greatest_bound(parameters, allowed)

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """See `Policy.estimates`; `low` and `high` are Wilson's 95 % interval of 0/1 rewards."""
        known = super().estimates(state, columns, as_of=as_of, unit_bits=unit_bits)
        _, total = counts_and_sums(state)
        return with_wilson(known, total[columns].astype(np.float64) * 2.0**-unit_bits)
