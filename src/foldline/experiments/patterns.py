"""Regular expressions that cannot take for ever.

A backtracking matcher takes exponential time where a repetition stands inside another, and a power of the text's
length with as many as there are side by side. Both are counted in the parsed pattern, and texts are bounded.
"""

import re
from functools import lru_cache
from typing import Any

MOST_TEXT = 512
"""Characters of a value that are looked at."""

MOST_PATTERN = 256
MOST_REPEATS = 3
"""Unbounded repetitions side by side: 512³ / 6 steps at worst."""

_MANY = 64
"""A repetition of more than this counts as unbounded."""


def bounded(text: str) -> str:
    """The part of a value that patterns see."""
    return text[:MOST_TEXT]


@lru_cache(maxsize=1024)
def pattern_fault(source: str) -> str | None:
    """What is wrong with a pattern, or None.

    Example:
        >>> pattern_fault("(a+)+$")
        'a repetition inside a repetition can take for ever; write it without'
        >>> pattern_fault("^Mozilla/.*Firefox") is None
        True
    """
    if len(source) > MOST_PATTERN:
        return f"{len(source)} characters; at most {MOST_PATTERN}"
    try:
        parsed = re._parser.parse(source)  # type: ignore[attr-defined]  # noqa: SLF001 - the only parser there is
        re.compile(source)
    except (re.error, RecursionError, OverflowError) as error:
        return f"it is no regular expression: {error}"
    repeats, nested, refers = _counted(parsed, inside=False)
    if refers:
        return "a back reference can take for ever; write it without"
    if nested:
        return "a repetition inside a repetition can take for ever; write it without"
    if repeats > MOST_REPEATS:
        return f"{repeats} unbounded repetitions; at most {MOST_REPEATS}"
    return None


def _counted(parsed: Any, *, inside: bool) -> tuple[int, bool, bool]:
    """Unbounded repetitions, whether one stands inside another, and whether there is a back reference."""
    repeats, nested, refers = 0, False, False
    for operation, argument in parsed:
        name = str(operation)
        refers = refers or name.startswith("GROUPREF")
        repeating = name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and (
            argument[1] is _UNBOUNDED or int(argument[1]) > _MANY
        )
        repeats += repeating
        nested = nested or (repeating and inside)
        for part in _parts(argument):
            more, deeper, refer = _counted(part, inside=inside or repeating)
            repeats, nested, refers = repeats + more, nested or deeper, refers or refer
    return repeats, nested, refers


def _parts(argument: Any) -> list[Any]:
    """The patterns within an operation's argument."""
    if isinstance(argument, re._parser.SubPattern):  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        return [argument]
    if isinstance(argument, list | tuple):
        return [part for item in argument for part in _parts(item)]
    return []


_UNBOUNDED = re._parser.MAXREPEAT  # type: ignore[attr-defined]  # noqa: SLF001 - as above
