"""What a test measures, as far as its design needs to know."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from foldline.errors import InputError
from foldline.stats.sample_size import (
    PROPORTION_METHODS,
    ProportionMethod,
    SizeEquation,
    mean_equation,
    proportion_equation,
)

PROPORTION_TESTS: dict[str, str] = {
    "fleiss_cc": "yates",
    "fleiss": "pooled_z",
    "unpooled": "unpooled_z",
    "arcsine": "pooled_z",
}
"""The test whose power each method designs (`stats.two_proportions`)."""


@dataclass(frozen=True, slots=True)
class ProportionMetric:
    """A share of units: clicked or not.

    Attributes:
        baseline: the control's expected rate, above 0, below 1.
        method: of the sample size, see `stats.sample_size.proportion_equation`.
    """

    baseline: float
    method: ProportionMethod = "fleiss_cc"
    kind: ClassVar[str] = "proportion"

    def __post_init__(self) -> None:
        if not 0.0 < self.baseline < 1.0:
            raise InputError(
                "input.invalid",
                f"baseline is {self.baseline!r}; expected a rate between 0 and 1, such as 0.07",
                field="baseline",
                value=self.baseline,
            )
        if self.method not in PROPORTION_METHODS:
            raise InputError(
                "input.invalid",
                f"method {self.method!r}; expected one of {', '.join(PROPORTION_METHODS)}",
                field="method",
                value=self.method,
            )

    @property
    def analysis(self) -> str:
        """The test that a result of this design is analysed by."""
        return PROPORTION_TESTS[self.method]

    @property
    def room(self) -> tuple[float, float]:
        """Effects that leave the treatment's rate between 0 and 1, both ends excluded."""
        return -self.baseline, 1.0 - self.baseline

    def equation(self, effect: float, ratio: float, margin: float) -> SizeEquation:
        """The equation of the design; margin signed towards the better side."""
        return proportion_equation(
            self.baseline, self.baseline + effect, self.method, ratio=ratio, margin=margin
        )


@dataclass(frozen=True, slots=True)
class MeanMetric:
    """A mean over units: revenue, minutes; or a ratio metric, with the deviation `stats.ratio.ratio_sd` gives.

    Attributes:
        sd: standard deviation of a unit's value, above 0.
        baseline: the control's expected mean, for relative effects; None where it does not matter.
        covariate_correlation: of the value with a covariate known before exposure, whose part of the variance CUPED
            takes off; above -1, below 1.
        kind: mean or ratio.
    """

    sd: float
    baseline: float | None = None
    covariate_correlation: float = 0.0
    kind: Literal["mean", "ratio"] = "mean"
    method: ClassVar[str] = "welch"
    analysis: ClassVar[str] = "welch"
    room: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        if not 0.0 < self.sd < math.inf:
            raise InputError(
                "input.invalid",
                f"sd is {self.sd!r}; expected the standard deviation of a unit's value, above 0",
                field="sd",
                value=self.sd,
            )
        if not -1.0 < self.covariate_correlation < 1.0:
            raise InputError(
                "input.invalid",
                f"covariate_correlation is {self.covariate_correlation!r}; expected between -1 and 1",
                field="covariate_correlation",
                value=self.covariate_correlation,
            )

    def equation(self, effect: float, ratio: float, margin: float) -> SizeEquation:
        """The equation of the design; margin signed towards the better side."""
        left = self.sd * math.sqrt(1.0 - self.covariate_correlation**2)
        return mean_equation(abs(effect + margin), left, ratio=ratio)


Metric = ProportionMetric | MeanMetric
