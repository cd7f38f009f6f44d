"""Effects measured while a bandit shifts the traffic: inverse propensity scores and intervals that stay valid.

Means of a bandit's actions are biased downwards (an action is tried less after bad luck), and the t-test on them
is wrong. With the propensity p_t of every decision logged, the score of one decision,

    h_t = y_t (1{treatment} / p_t(treatment) - 1{control} / p_t(control)),

has the effect as its expectation given the past, whatever the policy; so sums of h_t - effect are a martingale,
and the normal mixture of their variance gives limits that hold at every moment (asymptotically): Howard et al.
(2021) and Waudby-Smith et al. (2024), used so for bandits by Liang and Bojinov (2023). The variance is bounded
only where propensities are: mix the bandit with a share of even choice (`foldline.policies.mixture`).
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.stats.always_valid import NormalMixture
from foldline.stats.exact_moments import ExactMoments
from foldline.stats.interval import Interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.wilson import check_confidence

Floats = npt.NDArray[np.float64]


def effect_scores(
    rewards: npt.ArrayLike,
    treated: npt.ArrayLike,
    propensities: npt.ArrayLike,
    control_model: npt.ArrayLike | float = 0.0,
    treatment_model: npt.ArrayLike | float = 0.0,
    *,
    served: npt.ArrayLike | bool = True,
) -> Floats:
    """(n,) unbiased scores of the effect, one a decision; with models, the augmented ones (AIPW), less variable.

    Args:
        rewards: (n,).
        treated: (n,) True where the treatment was served, False for control.
        propensities: (n,) probability with which the served one was chosen; above 0, at most 1.
        control_model: (n,) or one number: predicted reward of control, from earlier decisions only.
        treatment_model: likewise of treatment.
        served: (n,) False where another action than these two was; such a decision scores what the models say.

    Raises:
        InputError: `input.invalid` for other shapes or propensities outside the range.
    """
    y, p = np.asarray(rewards, np.float64), np.asarray(propensities, np.float64)
    on = np.asarray(treated, np.bool_)
    if not y.shape == p.shape == on.shape or y.ndim != 1:
        raise InputError("input.invalid", f"shapes {y.shape}, {on.shape}, {p.shape}; expected (n,) all")
    if not ((p > 0) & (p <= 1)).all():
        raise InputError("input.invalid", "a propensity is outside 0 to 1, or 0: no score exists without it")
    m0, m1 = np.asarray(control_model, np.float64), np.asarray(treatment_model, np.float64)
    return m1 - m0 + np.where(served, np.where(on, y - m1, m0 - y), 0.0) / p


class AdaptiveSums(NamedTuple):
    """What the confidence sequence needs of the scores so far; `merge` adds.

    Attributes:
        n: decisions.
        total: sum of scores.
        squares: sum of squared scores: an upper estimate of the martingale's variance, since the effect itself is
            not taken off (it is not known, and tiny beside the scores).
    """

    n: int
    total: float
    squares: float

    @classmethod
    def of_scores(cls, scores: Floats) -> "AdaptiveSums":
        """Of (n,) scores."""
        return cls(len(scores), float(scores.sum()), float((scores * scores).sum()))

    @classmethod
    def of_exact(cls, tally: ExactMoments, unit_bits: int) -> "AdaptiveSums":
        """Of a tally of scores as integers of 2^-unit_bits: the same bits in any order and grouping."""
        unit = 1 << unit_bits
        total, squares = Fraction(tally.sums[0], unit), Fraction(tally.products[0][0], unit * unit)
        return cls(tally.n, float(total), float(squares))

    def merge(self, other: "AdaptiveSums") -> "AdaptiveSums":
        """Of both."""
        return AdaptiveSums(self.n + other.n, self.total + other.total, self.squares + other.squares)


def adaptive_interval(
    sums: AdaptiveSums, planned: float, confidence: float = 0.95, *, largest: float = 0.0
) -> Interval | NotEstimable:
    """The effect, with limits that hold at every moment for any adaptive policy with bounded propensities.

    Args:
        sums: of the scores so far.
        planned: decisions at which the limits shall be narrowest, about; fixed before the first look, above 0.
        confidence: above 0, below 1.
        largest: how large a score may become, the rewards' range by the least propensity. It counts as one more in
            the variance: where heavy scores are rare, the sum of squares is too small until the first has come.

    Returns:
        The interval, or `NotEstimable` before any score other than zero.

    Example:
        >>> scores = effect_scores([1, 0, 1, 1], [True, False, True, False], [0.5] * 4)
        >>> adaptive_interval(AdaptiveSums.of_scores(scores), 100).estimate
        0.5
    """
    check_confidence(confidence)
    if not sums.n or not sums.squares > 0.0:
        return NotEstimable("no decision with a reward other than zero yet")
    error = math.sqrt(sums.squares + largest * largest) / sums.n
    mixture = NormalMixture.tuned(planned, 1.0 - confidence)
    return mixture.interval(sums.total / sums.n, error, sums.n, confidence)


def mixed_probabilities(bandit: npt.ArrayLike, share: float) -> Floats:
    """A mixture adaptive design: with probability `share` choose evenly, else as the bandit does.

    Every propensity is then at least share / n; the mixture is what is logged (Liang and Bojinov 2023, definition 1).

    Args:
        bandit: (…, n) probabilities of the bandit.
        share: 0 to 1.

    Example:
        >>> mixed_probabilities([1.0, 0.0], 0.2).round(6).tolist()
        [0.9, 0.1]
    """
    p = np.asarray(bandit, np.float64)
    if not 0.0 <= share <= 1.0:
        raise InputError("input.invalid", f"share is {share!r}; expected 0 to 1", field="share")
    mixed: Floats = share / p.shape[-1] + (1.0 - share) * p
    return mixed
