"""How pages write numbers, times and spans; used as filters in templates."""

from datetime import UTC, datetime

from markupsafe import Markup

NONE = "–"

_SPANS = ((3_600, "h"), (60, "min"), (1, "s"))
_MULTIPLES = ((1e9, "G"), (1e6, "M"), (1e4, "k"))


def count(value: int | None) -> str:
    """A whole number in groups of three.

    Example:
        >>> count(1234567)
        '1,234,567'
    """
    return NONE if value is None else f"{value:,}"


def brief(value: float | None) -> str:
    """A number in three significant digits.

    Example:
        >>> brief(0.0434712), brief(1234567.0), brief(1234.5), brief(0.0501), brief(0.0)
        ('0.0435', '1.23 M', '1234', '0.0501', '0')
    """
    if value is None:
        return NONE
    for size, unit in _MULTIPLES:
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def signed(value: float | None) -> str:
    """A difference in three significant digits, with its sign.

    Example:
        >>> signed(0.0434712), signed(-12.0), signed(0.0), signed(None)
        ('+0.0435', '−12', '0', '–')
    """
    if value is None:
        return NONE
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return f"{sign}{brief(abs(value))}"


def percent(value: float | None, signed: bool = False) -> str:
    """A share as a percentage.

    Example:
        >>> percent(0.1234), percent(0.4, signed=True), percent(None)
        ('12.3 %', '+40.0 %', '–')
    """
    return NONE if value is None else f"{100 * value:{'+' if signed else ''}.1f} %"


def span(milliseconds: int | None) -> str:
    """A span of time in its largest fitting unit.

    Example:
        >>> span(900), span(4_000), span(150_000), span(90_000_000)
        ('0.9 s', '4 s', '2.5 min', '1 d 1 h')
    """
    if milliseconds is None:
        return NONE
    seconds = max(0.0, milliseconds / 1000)
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds >= 86_400:
        days, hours = divmod(int(seconds // 3_600), 24)
        return f"{days} d {hours} h" if hours else f"{days} d"
    size, unit = next((size, unit) for size, unit in _SPANS if seconds >= size)
    return f"{round(seconds / size, 1):g} {unit}"


def utc(milliseconds: int) -> str:
    """A time in UTC, as far as calendars reach.

    Example:
        >>> utc(1_700_000_000_000)
        '2023-11-14 22:13:20 UTC'
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError):
        return f"{milliseconds} ms"


def moment(milliseconds: int | None) -> Markup:
    """A time element: UTC in the title; scripts write the viewer's zone into it.

    Example:
        >>> moment(1_700_000_000_000)[:40]
        Markup('<time data-ms="1700000000000" title="202')
    """
    if milliseconds is None:
        return Markup("–")
    written = utc(milliseconds)
    return Markup('<time data-ms="{}" title="{}">{}</time>').format(milliseconds, written, written)


def age(milliseconds: int | None, now: int) -> Markup:
    """A time element that says how long ago; scripts keep it going."""
    if milliseconds is None:
        return Markup("–")
    return Markup('<time data-age="{}" data-now="{}" title="{}">{}</time>').format(
        milliseconds, now, utc(milliseconds), span(now - milliseconds)
    )
