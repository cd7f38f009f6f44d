"""Decision ids and what may stand as a name."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError
from foldline.records.ids import LONGEST, DecisionId, checked_name, decision_id, parse_decision_id

_LOCALS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 999_999_999), st.integers(0, 999_999_999), _LOCALS)
def test_an_id_parses_into_what_it_was_made_of(generation: int, partition: int, local: str) -> None:
    """Also where the local part holds dots."""
    text = decision_id(generation, partition, local)
    assert parse_decision_id(text) == DecisionId(generation, partition, local)
    assert decision_id(*parse_decision_id(text)) == text


_NO_IDS = [
    "", "a", "0.1", "0.1.", "0..a", ".1.a", "-1.0.a", "00.1.a", "0.01.a", "0x1.1.a", "0.1234567890.a", "\u0660.1.a",
]  # fmt: skip


@pytest.mark.parametrize("text", _NO_IDS)
def test_what_is_no_id_is_refused(text: str) -> None:
    """One id has one spelling; anything else is unknown."""
    with pytest.raises(InputError) as caught:
        parse_decision_id(text)
    assert caught.value.code == "input.unknown_decision"


def test_an_id_of_another_type_is_refused() -> None:
    """A number passed for an id is named in the message."""
    with pytest.raises(InputError, match="17"):
        parse_decision_id(17)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("text", ["u", "user-1", "日本語", "a b", "x" * LONGEST, "a\u00a0b", "\U0001f600"])
def test_good_names_pass_unchanged(text: str) -> None:
    """Any printable text, and other spaces, up to the bound."""
    assert checked_name(text, "unit") is text


_NO_NAMES = [
    "", "x" * (LONGEST + 1), "a\nb", "a\x00", "\x1f", "a\x7f", "a\x85b", "\ud800", None, 7, b"u",
]  # fmt: skip


@pytest.mark.parametrize("text", _NO_NAMES)
def test_bad_names_are_refused_by_field(text: str) -> None:
    """Empty, long and non-text values, control characters and lone surrogates."""
    with pytest.raises(InputError, match="unit is") as caught:
        checked_name(text, "unit")
    assert (caught.value.code, caught.value.field) == ("input.invalid", "unit")
