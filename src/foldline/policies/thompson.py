"""Thompson sampling for 0/1 rewards."""

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
from foldline.policies.exact_sums import ExactSums, counts_and_sums
from foldline.policies.protocol import Law, Parameters
from foldline.policies.table import everything, proportional
from foldline.stats.best_action import probabilities_best
from foldline.stats.posterior import beta_posterior
from foldline.stats.wilson import wilson_interval

Floats = npt.NDArray[np.float64]


class Thompson(ExactSums, frozen=True, tag="thompson"):
    """Chooses each action with the probability that it is the best one, given what was learnt (Thompson 1933).

    An action's reward probability is Beta(prior_count · prior_mean + S, prior_count · (1 - prior_mean) + N - S),
    with N rewards learnt and S their sum, rescaled so that the loop's range becomes 0 to 1. The probability of
    being best is computed by quadrature when compiled, so deciding is one draw from a table and the propensity is
    known exactly.

    The default prior is a base rate of one percent worth 200 rewards, Beta(2, 198): right for click rates of a few
    percent, where a flat prior spends thousands of decisions on learning that nothing is clicked half of the time.
    Where rewards are common, set prior_mean to a rate you would expect of a good action, and a small prior_count:
    a strong prior far below the truth settles on the first action that succeeds.

    With a half-life, N and S are halved in weight every half-life of stream time and an untried action returns to
    the prior.

    Example:
        >>> Thompson(prior_mean=0.5, prior_count=2).merge_law
        'exact'
    """

    prior_mean: Annotated[
        float,
        Meta(
            ge=1e-6,
            le=0.999999,
            description="base rate: expected reward before the first, as a share of the range",
        ),
    ] = 0.01
    prior_count: Annotated[
        float, Meta(ge=0.01, le=1e9, description="rewards the prior is worth", extra={"unit": "rewards"})
    ] = 200.0
    half_life_s: HalfLife | None = None

    dials: ClassVar[frozenset[str]] = frozenset({"prior_mean", "prior_count"})
    summary: ClassVar[str] = "each action as often as it is probably the best; 0/1 rewards"

    @property
    def merge_law(self) -> Law:
        """Exact, or approximate with a half-life."""
        return "exact" if self.half_life_s is None else "approximate"

    @property
    def correction_law(self) -> Law:
        """Exact, or approximate with a half-life."""
        return self.merge_law

    def empty(self, actions: int) -> Arrays:
        """Exact sums, or decayed ones with a half-life. See `Policy.empty`."""
        return super().empty(actions) if self.half_life_s is None else empty_decayed(actions)

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`."""
        if self.half_life_s is None:
            return super().learn(state, emits, unit_bits=unit_bits)
        return learn_into(state, emits, self.half_life_s)

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """See `Policy.merge`."""
        return super().merge(left, right) if self.half_life_s is None else merge_decayed(left, right)

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """`alpha` and `beta` of each action, and `weights`, the table for all actions. See `Policy.compile`.

        About 12 us an action whose rewards or prior changed since the last call, 2 us another.
        """
        count, total = self._rewards(state, columns, as_of, unit_bits)
        # A range narrowed by a later definition may leave sums outside it.
        successes = np.clip((total - count * low) / (high - low), 0.0, count)
        alpha = self.prior_count * self.prior_mean + successes
        beta = self.prior_count * (1.0 - self.prior_mean) + (count - successes)
        best = _probabilities(alpha.tolist(), beta.tolist(), keep=True)
        weights = proportional(best, everything(None, len(best))).tolist() if len(best) else []
        return {"alpha": alpha.tolist(), "beta": beta.tolist(), "weights": weights}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`; a mask recomputes the probabilities of being best of the allowed actions."""
        if allowed is None:
            return np.array(parameters["weights"], np.int64)
        marked = np.flatnonzero(allowed)
        alpha, beta = parameters["alpha"], parameters["beta"]
        shares = np.zeros(len(alpha))
        shares[marked] = _probabilities([alpha[i] for i in marked], [beta[i] for i in marked])
        return proportional(shares, allowed)

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, Floats]:
        """See `Policy.estimates`; `low` and `high` are Wilson's 95 % interval of 0/1 rewards."""
        count, total = self._rewards(state, columns, as_of, unit_bits)
        return with_wilson(estimates_at(count, total), total)

    def _rewards(
        self, state: Arrays, columns: Sequence[int], as_of: int, unit_bits: int
    ) -> tuple[Floats, Floats]:
        """Number and sum of the rewards of each action, at `as_of`."""
        if self.half_life_s is not None:
            return decayed_at(state, columns, as_of, unit_bits, self.half_life_s)
        count, total = counts_and_sums(state)
        return count[columns].astype(np.float64), total[columns].astype(np.float64) * 2.0**-unit_bits


def with_wilson(estimates: Mapping[str, Floats], total: Floats) -> Mapping[str, Floats]:
    """The estimates with Wilson's interval of each sum of 0/1 rewards as `low` and `high`."""
    limits = np.full((2, len(total)), np.nan)
    for i, (n, successes) in enumerate(zip(estimates["pulls"].tolist(), total.tolist(), strict=True)):
        interval = wilson_interval(successes, n) if 0 <= successes <= n else None
        if interval:
            limits[:, i] = interval.low, interval.high
    return {**estimates, "low": limits[0], "high": limits[1]}


def _probabilities(alpha: Sequence[float], beta: Sequence[float], *, keep: bool = False) -> Floats:
    return probabilities_best([beta_posterior(a, b) for a, b in zip(alpha, beta, strict=True)], keep=keep)
