"""Goals as a program names them: a proportion, a mean or a ratio of units, with what its design needs."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import msgspec

from foldline.errors import InputError
from foldline.experiments.measure import Direction, Goal, Kind
from foldline.stats.sample_size import ProportionMethod
from foldline.stats.tails import Alternative


def _goal(kind: Kind, fields: dict[str, Any]) -> Goal:
    try:
        return msgspec.convert({"kind": kind, **fields}, Goal)
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"a goal of kind {kind!r}: {error}") from error


@dataclass(frozen=True, slots=True)
class Proportion:
    """The share of units with a reward or observation above 0.

    Attributes:
        name: of the rewards or observations.
        baseline: the control's expected rate.
        effect: the absolute difference to be found, above 0; with a margin, the one expected.
        direction: `increase` or `decrease`: which way is better.
        method: of the sample size.
        alternative: `two_sided`, or `greater` (where less is better: `less`): whether it is better, one-sided.
        margin: how much worse is still good enough (non-inferiority, one-sided, by the method `unpooled`).

    Example:
        >>> Proportion("click", baseline=0.07, effect=0.04).goal().kind
        'proportion'
    """

    name: str
    baseline: float
    effect: float
    direction: Direction = "increase"
    method: ProportionMethod = "fleiss_cc"
    alternative: Alternative = "two_sided"
    margin: float = 0.0
    kind: ClassVar[Kind] = "proportion"

    def goal(self) -> Goal:
        """As it stands in a definition; `input.invalid` for a wrong type."""
        return _goal(self.kind, asdict(self))


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean over units of what their rewards or observations add up to.

    Attributes:
        name: of the rewards or observations.
        sd: standard deviation of a unit's value.
        effect: the absolute difference to be found, above 0; with a margin, the one expected.
        baseline: the control's expected mean, for relative effects.
        direction: `increase` or `decrease`: which way is better.
        cap: least and greatest value a unit may count with.
        covariate: name of observations before the exposure that explain part of the value.
        covariate_correlation: expected, of value and covariate.
        alternative: `two_sided`, or `greater` (where less is better: `less`): whether it is better, one-sided.
        margin: how much worse is still good enough (non-inferiority, one-sided).

    Example:
        >>> Mean("revenue", sd=15, effect=0.7).goal().sd
        15.0
    """

    name: str
    sd: float
    effect: float
    baseline: float | None = None
    direction: Direction = "increase"
    cap: tuple[float, float] | None = None
    covariate: str | None = None
    covariate_correlation: float = 0.0
    alternative: Alternative = "two_sided"
    margin: float = 0.0
    kind: ClassVar[Kind] = "mean"

    def goal(self) -> Goal:
        """As it stands in a definition; `input.invalid` for a wrong type."""
        return _goal(self.kind, asdict(self))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two totals over units, such as revenue per session.

    Attributes:
        name: of the rewards or observations above the line.
        per: of those below it.
        sd: of the ratio's unit; `foldline.stats.ratio.ratio_sd` gives it.
        effect: the absolute difference to be found, above 0; with a margin, the one expected.
        baseline: the control's expected ratio, for relative effects.
        direction: `increase` or `decrease`: which way is better.
        alternative: `two_sided`, or `greater` (where less is better: `less`): whether it is better, one-sided.
        margin: how much worse is still good enough (non-inferiority, one-sided).

    Example:
        >>> Ratio("revenue", per="session", sd=0.35, effect=0.01).goal().per
        'session'
    """

    name: str
    per: str
    sd: float
    effect: float
    baseline: float | None = None
    direction: Direction = "increase"
    alternative: Alternative = "two_sided"
    margin: float = 0.0
    kind: ClassVar[Kind] = "ratio"

    def goal(self) -> Goal:
        """As it stands in a definition; `input.invalid` for a wrong type."""
        return _goal(self.kind, asdict(self))
