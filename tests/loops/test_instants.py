"""Points in time on the command line."""

import pytest

from foldline.errors import InputError
from foldline.loops.instants import format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("1767225600000", 1_767_225_600_000),
        ("2026-01-01", 1_767_225_600_000),
        ("2026-01-01T01:00+01:00", 1_767_225_600_000),
        ("20260101", 1_767_225_600_000),
    ],
)
def test_parse(text: str | None, expected: int | None) -> None:
    """Milliseconds and ISO 8601 are understood; without a zone it is UTC."""
    assert parse_instant(text, field="since") == expected


def test_parse_refuses_the_rest() -> None:
    """The error names the option and the forms."""
    with pytest.raises(InputError, match="since 'now': expected milliseconds since 1970 or ISO 8601"):
        parse_instant("now", field="since")


def test_format_round_trip() -> None:
    """What is shown reads back as the same time."""
    assert parse_instant(format_instant(1_767_225_600_123), field="at") == 1_767_225_600_123
