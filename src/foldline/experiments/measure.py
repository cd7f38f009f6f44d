"""What an experiment measures of a unit: declared before it starts, counted by the tally, tested by the analysis."""

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, FoldError
from foldline.experiments.metrics import MeanMetric, Metric, ProportionMetric
from foldline.stats.sample_size import ProportionMethod
from foldline.stats.tails import Alternative

Direction = Literal["increase", "decrease"]
Kind = Literal["proportion", "mean", "ratio"]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
_LARGEST_UNITS = 2.0**62


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric of units.

    Attributes:
        name: of the rewards or observations that count; a unit's are summed.
        kind: `proportion` (a unit counts where its sum is above 0), `mean` (of the sums), or `ratio` of two sums.
        per: name of the rewards or observations below the line; of a ratio only.
        direction: which way is better.
        cap: least and greatest value a unit may count with (winsorising at limits fixed beforehand); None for none.
        covariate: name of observations made before a unit's exposure that explain part of its value (CUPED); of a
            mean only.
    """

    name: Text
    kind: Kind = "proportion"
    per: Text | None = None
    direction: Direction = "increase"
    cap: tuple[float, float] | None = None
    covariate: Text | None = None

    @property
    def better(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.direction == "increase" else -1


class Goal(Measure, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metric that decides, with what its design needs.

    Attributes:
        baseline: the control's expected rate or mean; required for a proportion.
        sd: standard deviation of a unit's value; required for means and ratios.
        effect: the absolute difference that is to be found, above 0; in the better direction. With a margin: the
            true difference expected, 0 allowed, and below 0 above minus the margin.
        method: of a proportion's sample size.
        covariate_correlation: expected, of value and covariate.
        alternative: `two_sided`: whether it differs; one-sided, in the better direction: whether it is better
            (`greater` where more is, `less` where less is), and nothing about its being worse.
        margin: of non-inferiority, one-sided only: how much worse, on the metric's own scale, is still good enough.
    """

    effect: float
    baseline: float | None = None
    sd: float | None = None
    method: ProportionMethod = "fleiss_cc"
    covariate_correlation: float = 0.0
    alternative: Alternative = "two_sided"
    margin: Annotated[float, Meta(ge=0)] = 0.0

    @property
    def null(self) -> float:
        """The difference tested against."""
        return -self.better * self.margin if self.margin else 0.0

    def metric(self) -> Metric:
        """What a design needs to know.

        Raises:
            InputError, DefinitionError: it is missing, or cannot be.
        """
        if self.kind == "proportion":
            if self.baseline is None:
                raise _incoherent("a proportion needs its baseline, the control's expected rate", "baseline")
            return ProportionMetric(self.baseline, self.method)
        if self.sd is None:
            raise _incoherent(f"a {self.kind} needs sd, the standard deviation of a unit's value", "sd")
        return MeanMetric(self.sd, self.baseline, self.covariate_correlation, self.kind)


class Guardrail(Measure, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric that must not become worse: looked at every minute with an always-valid interval.

    Attributes:
        margin: how much worse, on the metric's own scale, is tolerated; at least 0.
        alpha: chance of a false alarm, ever, for each challenger.
    """

    margin: Annotated[float, Meta(ge=0)] = 0.0
    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.01


def check_measure(measure: Measure, unit_bits: int) -> None:
    """Refuse a metric that contradicts itself.

    Raises:
        DefinitionError: `definition.incoherent`.
        FoldError: `fold.overflow` where a cap has no room in its units.
    """
    if isinstance(measure, Guardrail) and not math.isfinite(measure.margin):
        raise _incoherent(
            f"guardrail {measure.name!r}: margin {measure.margin!r}; expected how much worse is tolerated",
            "margin",
        )
    if (measure.kind == "ratio") != (measure.per is not None):
        raise _incoherent(
            f"metric {measure.name!r} of kind {measure.kind!r}: a ratio has `per`, no other", "per"
        )
    if measure.per == measure.name:
        raise _incoherent(f"metric {measure.name!r} is divided by itself; name another in `per`", "per")
    if measure.covariate is not None and measure.kind != "mean":
        raise _incoherent(
            f"metric {measure.name!r} of kind {measure.kind!r}: only a mean has a covariate", "covariate"
        )
    if measure.covariate == measure.name:
        raise _incoherent(
            f"metric {measure.name!r} is its own covariate; observe what was before under another name",
            "covariate",
        )
    if measure.cap is None:
        return
    low, high = measure.cap
    if measure.kind == "proportion" or not low < high:
        raise _incoherent(
            f"metric {measure.name!r}: cap {measure.cap!r}; expected low < high, and no proportion", "cap"
        )
    if max(abs(low), abs(high)) * 2.0**unit_bits >= _LARGEST_UNITS:
        raise FoldError(
            "fold.overflow", f"metric {measure.name!r}: cap {measure.cap!r} has no room in 2^-{unit_bits}"
        )


def _incoherent(message: str, field: str) -> DefinitionError:
    return DefinitionError("definition.incoherent", message, field=field)
