"""Bayesian reading of an effect estimated with a standard error: normal likelihood, normal prior."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from foldline.errors import InputError
from foldline.stats.interval import Interval
from foldline.stats.tails import normal_below, normal_quantile


class EffectPosterior(NamedTuple):
    """What is believed of an effect, treatment minus control.

    Attributes:
        mean: of the posterior.
        sd: its standard deviation.
        chance_to_win: the probability that the effect is above zero.
        risk_control: expected loss of keeping control, E[max(effect, 0)].
        risk_treatment: expected loss of choosing treatment, E[max(-effect, 0)].
    """

    mean: float
    sd: float
    chance_to_win: float
    risk_control: float
    risk_treatment: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """The credible interval, equal tails."""
        reach = normal_quantile(0.5 + confidence / 2) * self.sd
        return Interval(self.mean, self.mean - reach, self.mean + reach, confidence)


def effect_posterior(
    estimate: float, standard_error: float, prior_mean: float = 0.0, prior_sd: float = math.inf
) -> EffectPosterior:
    """The posterior of an effect; an infinite prior_sd believes the data alone.

    Args:
        estimate: of the effect, absolute or relative; the risks are on its scale.
        standard_error: above 0.
        prior_mean: of the effect.
        prior_sd: above 0; 0.3 on the relative scale says that few changes move a metric by more than a third.

    Raises:
        InputError: `input.invalid` for a standard error or prior_sd not above 0.

    Example:
        >>> posterior = effect_posterior(0.29, 0.124783631588)
        >>> round(posterior.chance_to_win, 4)
        0.9899
    """
    if not standard_error > 0 or not prior_sd > 0:
        raise InputError(
            "input.invalid",
            f"standard_error={standard_error!r}, prior_sd={prior_sd!r}; expected both above 0",
        )
    weight, prior_weight = standard_error**-2, 0.0 if math.isinf(prior_sd) else prior_sd**-2
    mean = (estimate * weight + prior_mean * prior_weight) / (weight + prior_weight)
    sd = (weight + prior_weight) ** -0.5
    gain = _expected_positive(mean, sd)
    return EffectPosterior(mean, sd, normal_below(mean / sd), gain, _expected_positive(-mean, sd))


def _expected_positive(mean: float, sd: float) -> float:
    """E[max(X, 0)] of a normal X."""
    z = mean / sd
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return max(mean * normal_below(z) + sd * density, 0.0)


def probabilities_greatest(means: Sequence[float], sds: Sequence[float]) -> list[float]:
    """The probability that each of several independent normal quantities is the greatest; error below 1e-9.

    Args:
        means: of each.
        sds: standard deviation of each, above 0.

    Example:
        >>> [round(p, 6) for p in probabilities_greatest([10.0, 10.2], [0.1581139, 0.1581139])]
        [0.185547, 0.814453]
    """
    from scipy.special import ndtr

    centre, width = np.asarray(means, np.float64), np.asarray(sds, np.float64)
    if centre.shape != width.shape or not (width > 0).all():
        raise InputError("input.invalid", f"means {means!r}, sds {sds!r}; expected as many, sds above 0")
    steps = np.linspace(-9.0, 9.0, 2001)
    chances: list[float] = []
    for i in range(len(centre)):
        nodes = centre[i] + width[i] * steps
        below = ndtr((nodes[:, None] - centre[None, :]) / width[None, :])
        below[:, i] = np.exp(-0.5 * steps**2) / math.sqrt(2.0 * math.pi)
        chances.append(float(below.prod(axis=1).sum() * (steps[1] - steps[0])))
    return chances


def with_floor(shares: Sequence[float], floor: float) -> list[float]:
    """floor + (1 - n floor) share: no variant below the floor, the sum stays one.

    Raises:
        InputError: `input.invalid` where the floor is negative or more than an equal share.
    """
    if not 0.0 <= floor * len(shares) <= 1.0:
        raise InputError(
            "input.invalid", f"floor {floor!r} of {len(shares)}; expected 0 to {1 / len(shares):g}"
        )
    return [floor + (1.0 - len(shares) * floor) * share for share in shares]
