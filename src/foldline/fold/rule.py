"""The reward rule: how long a decision waits for its reward, and what its rewards add up to."""

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, FoldError, InputError

Aggregation = Literal["sum", "first", "last", "max", "mean"]

AGGREGATIONS: tuple[Aggregation, ...] = ("sum", "first", "last", "max", "mean")

LONGEST_MS = 1 << 48
"""Upper bound of wait and correction window, about 8,900 years: keeps sums of times far from 64 bits."""

MOST_UNIT_BITS = 52


class RewardRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a decision is learnt, and with which reward. Part of a fold's identity: changing it starts a new fold.

    Attributes:
        name: the reward name that is learnt; rewards of other names are ignored and counted.
        wait_ms: reward wait, milliseconds of stream time from the decision to its maturity; 0 matures at once.
        correction_ms: correction window after maturity, milliseconds; duplicates are known for wait + correction.
        default: what a decision without reward is learnt with.
        aggregation: several rewards of one decision count as their sum, first, last (in log order), max or mean.
        activation: a decision counts only once an activation record says that it was shown.
        unit_bits: rewards are kept as integers in units of 2^-unit_bits, 0 to 52.

    Raises:
        DefinitionError: `definition.incoherent` where the settings contradict each other.

    Example:
        >>> RewardRule(wait_ms=500).units(0.5) == 1 << 31
        True
    """

    name: Annotated[str, Meta(min_length=1, max_length=256)] = "reward"
    wait_ms: Annotated[int, Meta(ge=0, description="milliseconds")] = 0
    correction_ms: Annotated[int, Meta(ge=0, description="milliseconds")] = 3_600_000
    default: float = 0.0
    aggregation: Aggregation = "sum"
    activation: bool = False
    unit_bits: Annotated[int, Meta(ge=0, le=MOST_UNIT_BITS)] = 32

    def __post_init__(self) -> None:
        if not self.name:
            raise _incoherent("name", self.name, "the name of the rewards to learn from")
        _check_whole("wait_ms", self.wait_ms, LONGEST_MS)
        _check_whole("correction_ms", self.correction_ms, LONGEST_MS)
        _check_whole("unit_bits", self.unit_bits, MOST_UNIT_BITS)
        if self.aggregation not in AGGREGATIONS:
            raise _incoherent("aggregation", self.aggregation, f"one of {', '.join(AGGREGATIONS)}")
        if self.span_ms == 0:
            raise _incoherent(
                "correction_ms", 0, "at least 1 where wait_ms is 0, or no reward could ever find its decision"
            )
        self._check_default()

    @property
    def span_ms(self) -> int:
        """Wait + correction: how long decisions are joined and duplicates recognised, milliseconds."""
        return self.wait_ms + self.correction_ms

    def units(self, value: float) -> int:
        """The value in units of 2^-unit_bits, rounded half to even.

        Raises:
            InputError: `input.not_finite` for NaN or infinity.
            FoldError: `fold.overflow` where the result has no room in 64 bits.
        """
        if not math.isfinite(value):
            raise InputError("input.not_finite", f"reward value {value!r}: expected a finite number")
        scaled = value * 2.0**self.unit_bits
        if not abs(scaled) < 2.0**63:
            raise FoldError(
                "fold.overflow",
                f"reward value {value!r} in units of 2^-{self.unit_bits}: expected less than 2^63 units; "
                f"declare a rule with fewer unit_bits",
            )
        return round(scaled)

    def _check_default(self) -> None:
        try:
            self.units(self.default)
        except (InputError, FoldError) as error:
            raise _incoherent("default", self.default, "a finite number below 2^63 reward units") from error


def _check_whole(name: str, value: object, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _incoherent(name, value, f"a whole number from 0 to {most}")


def _incoherent(name: str, value: object, expected: str) -> DefinitionError:
    return DefinitionError(
        "definition.incoherent", f"reward rule: {name}={value!r}, expected {expected}", field=name
    )
