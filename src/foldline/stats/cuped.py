"""Less variance by a covariate known before exposure."""

from typing import Literal, NamedTuple

from foldline.stats.moments import Moments
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample


class Adjusted(NamedTuple):
    """Two samples adjusted for a covariate.

    Attributes:
        control: adjusted mean and variance.
        treatment: adjusted mean and variance.
        theta: the coefficient taken off, outcome per covariate.
        correlation: of outcome and covariate over all units; the variance falls by about its square.
    """

    control: Sample
    treatment: Sample
    theta: float
    correlation: float


def cuped_samples(
    control: Moments,
    treatment: Moments,
    outcome: int = 0,
    covariate: int = 1,
    *,
    slope: Literal["all", "within"] = "all",
) -> Adjusted | NotEstimable:
    """Means of y - theta (x - mean x), theta the slope of y on x (Deng, Xu, Kohavi and Walker 2013, equation 4).

    The covariate must be known strictly before a unit's exposure: one that the treatment touches takes part of
    the effect away with it.

    Args:
        control: moments of a unit's outcome and covariate, one observation a unit.
        treatment: likewise.
        outcome: which variable is measured.
        covariate: which was known before.
        slope: of `all` units as one, as GrowthBook takes it, or `within` the variants, as in an analysis of
            covariance.

    Returns:
        Samples for `welch`, or `NotEstimable` with fewer than two units in a variant or a covariate that does not
        vary.

    Example:
        >>> control = Moments.of_rows([[12, 10], [15, 14], [11, 9], [18, 17], [14, 12], [16, 15]])
        >>> treatment = Moments.of_rows([[14, 11], [19, 15], [13, 10], [17, 13], [20, 17], [16, 12]])
        >>> adjusted = cuped_samples(control, treatment)
        >>> round(adjusted.theta, 6), round(adjusted.treatment.mean - adjusted.control.mean, 6)
        (0.932029, 2.011329)
    """
    if min(control.n, treatment.n) < 2:
        return NotEstimable(
            f"{min(control.n, treatment.n)} units in a variant: a variance needs at least two"
        )
    both = control.merge(treatment)
    sloped = both if slope == "all" else _within(control, treatment)
    spread = sloped.comoments[covariate][covariate]
    if spread <= 0.0:
        return NotEstimable("the covariate is the same for all units: it explains nothing")
    theta = sloped.comoments[outcome][covariate] / spread
    whole = sloped.comoments[outcome][outcome]
    correlation = sloped.comoments[outcome][covariate] / (spread * whole) ** 0.5 if whole > 0.0 else 0.0
    centre = both.means[covariate]

    def adjusted(moments: Moments) -> Sample:
        rows = moments.comoments
        total = (
            rows[outcome][outcome]
            - 2 * theta * rows[outcome][covariate]
            + theta**2 * rows[covariate][covariate]
        )
        mean = moments.means[outcome] - theta * (moments.means[covariate] - centre)
        return Sample(moments.n, mean, max(total, 0.0) / (moments.n - 1))

    return Adjusted(adjusted(control), adjusted(treatment), theta, correlation)


def _within(control: Moments, treatment: Moments) -> Moments:
    """Co-moments about each variant's own means."""
    rows = tuple(
        tuple(a + b for a, b in zip(mine, theirs, strict=True))
        for mine, theirs in zip(control.comoments, treatment.comoments, strict=True)
    )
    return Moments(control.n + treatment.n, control.means, rows)
