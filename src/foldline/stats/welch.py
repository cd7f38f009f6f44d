"""Difference of two means with unequal variances."""

from foldline.stats.comparison import Comparison, compare
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample import Sample, check_sample
from foldline.stats.tails import Alternative, check_alternative
from foldline.stats.wilson import check_confidence


def welch(
    control: Sample,
    treatment: Sample,
    *,
    confidence: float = 0.95,
    alternative: Alternative = "two_sided",
    null: float = 0.0,
) -> Comparison | NotEstimable:
    """The t-test of Welch (1947), of treatment minus control.

    Of a proportion too (`proportion_sample`), of a ratio metric (`ratio_sample`) and of adjusted means
    (`cuped_samples`); not of the means of bandits' actions, whose sampling depends on what was seen
    (`stats.adaptive`).

    Args:
        control: its units.
        treatment: its units.
        confidence: of the interval, above 0, below 1.
        alternative: two_sided, greater or less.
        null: the difference tested against; minus the margin, with `greater`, for non-inferiority.

    Returns:
        The comparison, or `NotEstimable` where a variant has fewer than two units or nothing varies.

    Raises:
        InputError: `input.invalid` for arguments outside these ranges.

    Example:
        >>> result = welch(Sample(8, 5.5, 18 / 7), Sample(8, 7.75, 15.5 / 7))
        >>> round(result.p_value, 6), round(result.freedom, 6)
        (0.011489, 13.922463)
    """
    check_confidence(confidence)
    check_alternative(alternative)
    check_sample(control, "control")
    check_sample(treatment, "treatment")
    freedom = welch_freedom(control, treatment)
    if isinstance(freedom, NotEstimable):
        return freedom
    error = (control.squared_error + treatment.squared_error) ** 0.5
    return compare(
        "welch",
        treatment.mean - control.mean,
        error,
        freedom,
        confidence=confidence,
        alternative=alternative,
        null=null,
    )


def welch_freedom(control: Sample, treatment: Sample) -> float | NotEstimable:
    """Degrees of freedom by Satterthwaite (1946), equation 17, or why there are none."""
    fewest = min(control.n, treatment.n)
    if fewest < 2:
        return NotEstimable(f"{fewest} units in a variant: a variance needs at least two")
    a, b = control.squared_error, treatment.squared_error
    if a + b == 0.0:
        return NotEstimable("no unit differs from another in its variant: there is no spread to compare with")
    # Shares first: squares of tiny variances would vanish.
    share = a / (a + b)
    return 1.0 / (share * share / (control.n - 1) + (1.0 - share) ** 2 / (treatment.n - 1))
