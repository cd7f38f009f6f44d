"""What another policy would have earned, from what one policy logged with its propensities."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.stats.not_estimable import NotEstimable

Floats = npt.NDArray[np.float64]


class OffPolicyValue(NamedTuple):
    """An estimate of a policy's mean reward.

    Attributes:
        estimate: the mean reward a decision.
        standard_error: of it; NaN with fewer than two decisions.
        effective_size: decisions that as many equally weighted ones would be worth, (Σ w)² / Σ w² (Kish 1965).
    """

    estimate: float
    standard_error: float
    effective_size: float


def importance_weights(target: npt.ArrayLike, propensities: npt.ArrayLike) -> Floats:
    """Target policy's probability of each logged action over the logged one.

    For a decision of a policy inside an experiment use P(action | variant), or, for actions that the variants
    share, the mixture `mixture_propensities`; never the product with the variant's probability alone.

    Args:
        target: (n,) probability of the logged action under the policy valued; 0 to 1.
        propensities: (n,) probability with which it was chosen; above 0, at most 1.

    Raises:
        InputError: `input.invalid` for probabilities outside these ranges.
    """
    wanted, logged = np.asarray(target, np.float64), np.asarray(propensities, np.float64)
    if wanted.shape != logged.shape or wanted.ndim != 1:
        raise InputError(
            "input.invalid", f"{wanted.shape} targets, {logged.shape} propensities; expected as many"
        )
    if not ((wanted >= 0) & (wanted <= 1)).all() or not ((logged > 0) & (logged <= 1)).all():
        raise InputError(
            "input.invalid", "a probability is outside 0 to 1, or a propensity is 0; both were logged?"
        )
    return wanted / logged


def mixture_propensities(
    variant_shares: Sequence[float], action_probabilities: Sequence[npt.ArrayLike]
) -> Floats:
    """(n,) Σ P(variant) P(action | variant): of actions that variants share, whichever variant chose.

    Args:
        variant_shares: P(variant), of sum 1.
        action_probabilities: for each variant, (n,) its probability of the logged action.

    Example:
        >>> mixture_propensities([0.5, 0.5], [[0.8], [0.4]]).round(6).tolist()
        [0.6]
    """
    table = np.asarray(action_probabilities, np.float64)
    shares = np.asarray(variant_shares, np.float64)
    if table.ndim != 2 or len(shares) != len(table) or abs(shares.sum() - 1.0) > 1e-9 or (shares < 0).any():
        raise InputError(
            "input.invalid",
            f"shares {list(variant_shares)!r} of {len(table)} variants; expected one each, of sum 1",
        )
    return shares @ table


def ips(rewards: npt.ArrayLike, weights: npt.ArrayLike) -> OffPolicyValue | NotEstimable:
    """Mean of weight · reward (Horvitz and Thompson 1952): unbiased, however adaptive the logging policy was.

    Example:
        >>> weights = importance_weights([1, 0, 1, 0, 1, 0], [0.8, 0.2, 0.8, 0.2, 0.5, 0.5])
        >>> ips([1, 0, 0, 1, 1, 0], [1.25, 0, 1.25, 0, 2, 0]).estimate
        0.5416666666666666
    """
    y, w = _paired(rewards, weights)
    if not len(y):
        return NotEstimable("no decisions")
    return _averaged(y * w, w)


def snips(rewards: npt.ArrayLike, weights: npt.ArrayLike) -> OffPolicyValue | NotEstimable:
    """Σ weight · reward / Σ weight (Swaminathan and Joachims 2015): a little biased, of much less variance.

    The standard error is the delta method's.
    """
    y, w = _paired(rewards, weights)
    if not len(y) or w.sum() <= 0.0:
        return NotEstimable("no logged action that the policy could have chosen")
    estimate = float((y * w).sum() / w.sum())
    error = float(np.sqrt(((w * (y - estimate)) ** 2).sum()) / w.sum())
    return OffPolicyValue(estimate, error if len(y) > 1 else float("nan"), effective_size(w))


def doubly_robust(
    rewards: npt.ArrayLike, weights: npt.ArrayLike, logged_model: npt.ArrayLike, target_model: npt.ArrayLike
) -> OffPolicyValue | NotEstimable:
    """A reward model's value, corrected by the weighted residuals (Dudík, Langford and Li 2011, equation 4).

    Right where either the propensities or the model are; unbiased with logged propensities whatever the model,
    which must not have learnt from the decision's own reward.

    Args:
        rewards: (n,).
        weights: (n,) from `importance_weights`.
        logged_model: (n,) the model's reward of the action logged.
        target_model: (n,) its reward of the target policy: the mean over the policy's actions.
    """
    y, w = _paired(rewards, weights)
    q, v = _paired(logged_model, target_model)
    if len(y) != len(q):
        raise InputError("input.invalid", f"{len(y)} rewards, {len(q)} predictions; expected as many")
    if not len(y):
        return NotEstimable("no decisions")
    return _averaged(v + w * (y - q), w)


def effective_size(weights: npt.ArrayLike) -> float:
    """(Σ w)² / Σ w²; 0 where all weights are 0."""
    w = np.asarray(weights, np.float64)
    squares = float((w * w).sum())
    return float(w.sum()) ** 2 / squares if squares > 0.0 else 0.0


def _averaged(scores: Floats, weights: Floats) -> OffPolicyValue:
    error = float(scores.std(ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else float("nan")
    return OffPolicyValue(float(scores.mean()), error, effective_size(weights))


def _paired(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise InputError("input.invalid", f"arrays of shapes {a.shape} and {b.shape}; expected (n,) both")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("input.not_finite", "arrays hold NaN or infinity; expected finite values")
    return a, b
