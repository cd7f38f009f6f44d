"""The reward rule refuses what contradicts itself, and counts in whole units."""

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import DefinitionError, FoldError, InputError
from foldline.fold.rule import RewardRule


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("wait_ms", -1),
        ("wait_ms", 1 << 60),
        ("wait_ms", 0.5),
        ("correction_ms", -1),
        ("correction_ms", 0),
        ("correction_ms", math.inf),
        ("default", math.nan),
        ("default", 2.0**40),
        ("aggregation", "median"),
        ("unit_bits", 53),
    ],
)
def test_incoherent_settings_are_refused(field: str, value: object) -> None:
    """The error names the field and the value given."""
    with pytest.raises(DefinitionError, match=field) as caught:
        RewardRule(**{field: value})  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.code == "definition.incoherent"
    assert caught.value.field == field


def test_correction_may_be_zero_where_there_is_a_wait() -> None:
    """Policies that cannot correct wait, and have no window after it."""
    assert RewardRule(wait_ms=5, correction_ms=0).span_ms == 5


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(-1e6, 1e6), st.integers(0, 40))
def test_units_are_the_nearest_whole_number_ties_to_even(value: float, bits: int) -> None:
    """The rounding is that of exact arithmetic."""
    assert RewardRule(unit_bits=bits).units(value) == round(Fraction(value) * 2**bits)


def test_values_without_units_are_refused() -> None:
    """Not finite, or beyond 64 bits."""
    with pytest.raises(InputError, match="nan"):
        RewardRule().units(math.nan)
    with pytest.raises(FoldError, match="unit_bits"):
        RewardRule().units(2.0**31)


def test_rules_go_through_json() -> None:
    """A definition carries its rule as JSON."""
    rule = RewardRule(wait_ms=3, aggregation="mean")
    assert msgspec.json.decode(msgspec.json.encode(rule), type=RewardRule) == rule
