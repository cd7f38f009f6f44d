"""Epsilon-greedy on averages that forget: follows drift, merges across partitions, corrects late rewards."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.policies.decayed_sums import (
    HalfLife,
    decayed_at,
    empty_decayed,
    estimates_at,
    learn_into,
    merge_decayed,
)
from foldline.policies.epsilon_greedy import Epsilon, Ties, greedy_weights
from foldline.policies.protocol import Law, Parameters, Policy


class Discounted(Policy, frozen=True, tag="discounted"):
    """Epsilon-greedy on Q = (prior_count · prior_mean + S) / (prior_count + N), N and S halving every half-life.

    The discounted mean of Kocsis and Szepesvári 2006 (see Garivier and Moulines 2011, section 2), in stream time
    instead of steps, with a prior that takes over where an action has not been tried for long. Without a prior an
    action's average stays at its last, noisy value.

    The prior mean says what an action is worth trying for: about the usual reward of the loop. Lower, and a change
    for the better is found by epsilon alone; much higher, and actions are tried again and again. The default is a
    click rate. Over 20 articles with click rates 0.012 to 0.05, one decision a second, 11,000 steps, 300 runs: mean
    reward 0.0429 (sample averages 0.0427); when all rates fall to a fifth and one article rises to 0.15, the new
    best has the majority after 424 steps (median; sample averages 2,015). With prior_mean 0: 0.0411 and 1,200.

    Example:
        >>> Discounted(half_life_s=200).prior_count
        32.0
    """

    epsilon: Epsilon = 0.1
    half_life_s: HalfLife = 300.0
    prior_count: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1e9,
            description="pseudo-rewards every action is taken to have",
            extra={"unit": "rewards"},
        ),
    ] = 32.0
    prior_mean: Annotated[
        float, Meta(ge=-1e12, le=1e12, description="mean of the pseudo-rewards", extra={"unit": "reward"})
    ] = 0.03
    ties: Ties = "random"

    dials: ClassVar[frozenset[str]] = frozenset({"epsilon", "prior_count", "prior_mean", "ties"})
    summary: ClassVar[str] = "epsilon-greedy that follows drift: rewards count half after a half-life"

    @property
    def merge_law(self) -> Law:
        """Approximate: float sums in another order differ in their last bits."""
        return "approximate"

    @property
    def correction_law(self) -> Law:
        """Approximate: the old reward is taken off with the weight it had."""
        return "approximate"

    def empty(self, actions: int) -> Arrays:
        """See `Policy.empty` and `decayed_sums.empty_decayed`."""
        return empty_decayed(actions)

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`; under 10 ns an emit."""
        return learn_into(state, emits, self.half_life_s)

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """See `Policy.merge`."""
        return merge_decayed(left, right)

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        return self.epsilon / actions

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The dials and Q of each action at `as_of`. See `Policy.compile`."""
        count, total = decayed_at(state, columns, as_of, unit_bits, self.half_life_s)
        pseudo = self.prior_count
        with np.errstate(divide="ignore", invalid="ignore"):
            values = (pseudo * self.prior_mean + total) / (pseudo + count)
        values = np.where(pseudo + count > 0.0, values, self.prior_mean)
        return {"epsilon": self.epsilon, "ties": self.ties, "values": values.tolist()}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        return greedy_weights(parameters, allowed)

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """See `Policy.estimates`; pulls and mean as they weigh at `as_of`, without the prior."""
        return estimates_at(*decayed_at(state, columns, as_of, unit_bits, self.half_life_s))
