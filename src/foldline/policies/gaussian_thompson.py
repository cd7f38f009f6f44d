"""Thompson sampling for continuous rewards."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, cast

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.policies.exact_sums import ExactSums, counts_and_sums
from foldline.policies.protocol import Parameters
from foldline.policies.table import everything, proportional
from foldline.stats.best_action import probabilities_best
from foldline.stats.exact_sums import UInt64s, add_squares, learn_squares
from foldline.stats.mean_interval import mean_interval
from foldline.stats.posterior import student_posterior

Floats = npt.NDArray[np.float64]


class GaussianThompson(ExactSums, frozen=True, tag="gaussian_thompson"):
    """Thompson sampling for rewards that are normal with unknown mean and variance.

    Normal-inverse-gamma prior, so the mean's posterior is a Student-t (Murphy 2007, section 6.3): the prior mean is
    worth `prior_count` rewards, the prior variance `prior_sd`² is worth `prior_sd_count` (its degrees of freedom).
    Sums and sums of squares are exact integers; the variance is computed from them without cancellation.

    Example:
        >>> GaussianThompson(prior_mean=15.0, prior_sd=10.0).kind
        'gaussian_thompson'
    """

    prior_mean: Annotated[
        float,
        Meta(ge=-1e12, le=1e12, description="expected reward before the first", extra={"unit": "reward"}),
    ] = 0.5
    prior_count: Annotated[
        float,
        Meta(ge=0.001, le=1e9, description="rewards the prior mean is worth", extra={"unit": "rewards"}),
    ] = 1.0
    prior_sd: Annotated[
        float,
        Meta(
            ge=1e-9, le=1e12, description="expected standard deviation of a reward", extra={"unit": "reward"}
        ),
    ] = 0.5
    prior_sd_count: Annotated[
        float,
        Meta(ge=4.0, le=1e9, description="rewards the prior deviation is worth", extra={"unit": "rewards"}),
    ] = 4.0

    dials: ClassVar[frozenset[str]] = frozenset({"prior_mean", "prior_count", "prior_sd", "prior_sd_count"})
    summary: ClassVar[str] = "each action as often as it is probably the best; rewards of any size"

    def empty(self, actions: int) -> Arrays:
        """`count`, `sum`, and the sum of squares as 128 bits in `squares_high`, `squares_low` (n,) uint64."""
        squares = {name: np.zeros(actions, np.uint64) for name in ("squares_high", "squares_low")}
        return {**super().empty(actions), **squares}

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`; about 3 ns an emit."""
        low, high = _squares(state)
        learn_squares(low, high, emits.kind, emits.action, emits.old, emits.new)
        return super().learn(state, emits, unit_bits=unit_bits)

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """See `Policy.merge`."""
        sums = {
            name: {"count": s["count"], "sum": s["sum"]} for name, s in (("left", left), ("right", right))
        }
        low, high = add_squares(_squares(left), _squares(right))
        return {**super().merge(sums["left"], sums["right"]), "squares_high": high, "squares_low": low}

    def compile(
        self,
        state: Arrays,
        columns: Sequence[int],
        *,
        as_of: int,
        unit_bits: int,
        low: float,
        high: float,
    ) -> Parameters:
        """Student-t of each mean: `location`, `scale`, `freedom`; and `weights`, the table for all actions.

        See `Policy.compile`. About 12 us an action whose rewards or prior changed since the last call, 3 us another.
        """
        terms = [self._posterior(*moments) for moments in _moments(state, columns, unit_bits)]
        location, scale, freedom = ([term[k] for term in terms] for k in range(3))
        best = _probabilities(terms, keep=True)
        weights = proportional(best, everything(None, len(best))).tolist() if len(best) else []
        return {"location": location, "scale": scale, "freedom": freedom, "weights": weights}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`; a mask recomputes the probabilities of being best of the allowed actions."""
        if allowed is None:
            return np.array(parameters["weights"], np.int64)
        terms = list(zip(parameters["location"], parameters["scale"], parameters["freedom"], strict=True))
        marked = np.flatnonzero(allowed)
        shares = np.zeros(len(terms))
        shares[marked] = _probabilities([terms[i] for i in marked])
        return proportional(shares, allowed)

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, Floats]:
        """See `Policy.estimates`; `low` and `high` are the large-sample 95 % interval of the mean."""
        limits = np.full((2, len(columns)), np.nan)
        for i, (n, mean, deviations) in enumerate(_moments(state, columns, unit_bits)):
            interval = mean_interval(n, mean, deviations / (n - 1) if n > 1 else 0.0)
            if interval:
                limits[:, i] = interval.low, interval.high
        known = super().estimates(state, columns, as_of=as_of, unit_bits=unit_bits)
        return {**known, "low": limits[0], "high": limits[1]}

    def _posterior(self, n: int, mean: float, deviations: float) -> tuple[float, float, float]:
        """Location, scale and degrees of freedom of the mean's posterior (Murphy 2007, eqs. 86-89 and 95)."""
        count = self.prior_count + n
        away = mean - self.prior_mean
        squares = (
            self.prior_sd_count * self.prior_sd * self.prior_sd
            + deviations
            + self.prior_count * n * away * away / count
        )
        freedom = self.prior_sd_count + n
        location = (self.prior_count * self.prior_mean + n * mean) / count
        return location, math.sqrt(squares / (freedom * count)), freedom


def _moments(state: Arrays, columns: Sequence[int], unit_bits: int) -> list[tuple[int, float, float]]:
    """Number, mean and sum of squared deviations of each action's rewards, each rounded once from exact integers."""
    count, total = counts_and_sums(state)
    low, high = _squares(state)
    moments = []
    for column in columns:
        n, s = int(count[column]), int(total[column])
        if n == 0:
            moments.append((0, 0.0, 0.0))
            continue
        squares = (int(high[column]) << 64) + int(low[column])
        # Python divides integers of any size with one rounding.
        mean, deviations = s / (n << unit_bits), (n * squares - s * s) / (n << 2 * unit_bits)
        moments.append((n, mean, deviations))
    return moments


def _squares(state: Arrays) -> tuple[UInt64s, UInt64s]:
    return cast(UInt64s, state["squares_low"]), cast(UInt64s, state["squares_high"])


def _probabilities(terms: Sequence[tuple[float, float, float]], *, keep: bool = False) -> Floats:
    return probabilities_best([student_posterior(*term) for term in terms], keep=keep)
