"""What interval estimates are returned as."""

from typing import NamedTuple


class Interval(NamedTuple):
    """An estimate with its confidence limits.

    Attributes:
        estimate: the point estimate.
        low: lower confidence limit.
        high: upper confidence limit.
        confidence: the share of such intervals that hold the truth, 0 to 1.
    """

    estimate: float
    low: float
    high: float
    confidence: float
