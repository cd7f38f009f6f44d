"""Do several variants have one rate?"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from foldline.errors import InputError
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.tails import chi_square_above
from foldline.stats.trials import Trials


class Homogeneity(NamedTuple):
    """A test of equal rates.

    Attributes:
        statistic: chi-square.
        freedom: variants less one.
        p_value: 0 to 1.
    """

    statistic: float
    freedom: int
    p_value: float


def chi_square_rates(variants: Sequence[Trials]) -> Homogeneity | NotEstimable:
    """Pearson's test (1900) that all variants have one rate, without continuity correction.

    Of two variants it is the square of the pooled z. Which variant differs it does not say: compare each with the
    control, adjusted by `stats.multiplicity.holm`.

    Returns:
        The test, or `NotEstimable` with fewer than two variants with units, or where rates do not vary.

    Example:
        >>> round(chi_square_rates([Trials(79, 1124), Trials(124, 1124)]).statistic, 6)
        10.96559
    """
    if any(not 0 <= variant.successes <= variant.n for variant in variants):
        raise InputError("input.invalid", f"{list(variants)!r}; expected 0 <= successes <= n in each")
    seen = [variant for variant in variants if variant.n]
    total, hits = sum(variant.n for variant in seen), sum(variant.successes for variant in seen)
    if len(seen) < 2:
        return NotEstimable("fewer than two variants have units: there is nothing to compare")
    if hits in (0, total):
        return NotEstimable("no unit succeeded, or every one did: rates that do not vary cannot be compared")
    rate = hits / total
    statistic = math.fsum((v.successes - v.n * rate) ** 2 / (v.n * rate * (1.0 - rate)) for v in seen)
    return Homogeneity(statistic, len(seen) - 1, chi_square_above(statistic, len(seen) - 1))
