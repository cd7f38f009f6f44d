"""Points in time as people write them."""

from datetime import UTC, datetime

from foldline.errors import InputError


def parse_instant(text: str | None, *, field: str) -> int | None:
    """Milliseconds since 1970-01-01 UTC from such a number or from ISO 8601, read as UTC where no zone is named.

    Raises:
        InputError: `input.invalid`.

    Example:
        >>> parse_instant("2026-01-01", field="since")
        1767225600000
        >>> parse_instant("1767225600000", field="since")
        1767225600000
    """
    if text is None:
        return None
    if text.isdecimal() and len(text) > len("20260101"):
        return int(text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            "input.invalid",
            f"{field} {text!r}: expected milliseconds since 1970 or ISO 8601 such as '2026-01-31T12:00'",
            field=field,
        ) from error
    zoned = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return round(zoned.timestamp() * 1000)


def format_instant(time_ms: int) -> str:
    """How a time is shown: ISO 8601, UTC, to the millisecond.

    Example:
        >>> format_instant(1767225600000)
        '2026-01-01T00:00:00.000Z'
    """
    return (
        datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
