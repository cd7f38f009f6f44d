"""Regular expressions that cannot take for ever.

A backtracking matcher tries every way in which a pattern may divide a text: exponentially many where a repetition
stands inside another, and a power of the text's length with several side by side. The ways are counted in the
parsed pattern; one with too many is refused, and texts too long for a pattern match nothing.
"""

import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

MOST_STEPS = 20_000_000
"""Steps of the matcher, about a third of a second at worst."""

MOST_PATTERN = 256
"""Characters of a pattern."""

LONGEST_TEXT = 4096
SHORTEST_TEXT = 256
"""A pattern that cannot even search this many characters in so many steps is refused."""

_MANY = 64
"""A repetition of more than this counts as unbounded."""


class _Ways(NamedTuple):
    """In how many ways a pattern may match: factor · length^degree."""

    factor: float
    degree: int


class _TooManyError(Exception):
    """Why a pattern has unbounded ways."""


def pattern_fault(source: str) -> str | None:
    """What is wrong with a pattern, or None.

    Example:
        >>> pattern_fault("(a+)+$")
        'a repetition or a choice inside a repetition can take for ever; write it without'
        >>> pattern_fault("^Mozilla/.*Firefox") is None
        True
    """
    return _examined(source)[0]


def longest_text(source: str) -> int:
    """How many characters a pattern may be matched with; 0 for a faulty one.

    Example:
        >>> longest_text("Firefox"), longest_text("a.*b.*c")
        (4096, 493)
    """
    return _examined(source)[1]


@lru_cache(maxsize=1024)
def _examined(source: str) -> tuple[str | None, int]:
    if len(source) > MOST_PATTERN:
        return f"{len(source)} characters; at most {MOST_PATTERN}", 0
    try:
        parsed = list(re._parser.parse(source))  # noqa: SLF001 - the only parser there is
        re.compile(source)
        factor, degree = _sequence(parsed)
    except _TooManyError as error:
        return str(error), 0
    except (re.error, RecursionError, OverflowError) as error:
        return f"it is no regular expression: {error}", 0
    # Unless it begins at the beginning, it is tried from every character on.
    anchored = bool(parsed) and str(parsed[0]) == "(AT, AT_BEGINNING)"
    degree += 0 if anchored else 1
    # So many cuts of a text of n characters, in order: n^degree / degree!.
    steps = MOST_STEPS * math.factorial(degree) / factor
    longest = LONGEST_TEXT if degree == 0 else int(min(LONGEST_TEXT, steps ** (1.0 / degree)))
    if factor > MOST_STEPS or longest < SHORTEST_TEXT:
        return "its repetitions divide a text in too many ways; write it with fewer", 0
    return None, longest


def _sequence(parsed: Any) -> _Ways:
    """One after another: the ways multiply."""
    factor, degree = 1.0, 0
    for operation, argument in parsed:
        part = _one(str(operation), argument)
        factor, degree = min(factor * part.factor, 1e300), degree + part.degree
    return _Ways(factor, degree)


def _one(operation: str, argument: Any) -> _Ways:
    if operation.endswith("REPEAT"):
        return _repeated(*argument)
    if operation == "BRANCH":
        branches = [_sequence(branch) for branch in argument[1]]
        return _Ways(sum(ways.factor for ways in branches), max(ways.degree for ways in branches))
    if operation in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return _sequence(argument[-1])
    if operation == "ATOMIC_GROUP":
        return _sequence(argument)
    if operation.startswith("GROUPREF"):
        raise _TooManyError("a back reference can take for ever; write it without")
    return _Ways(1.0, 0)


def _repeated(least: int, most: int, body: Any) -> _Ways:
    ways = _sequence(body)
    if int(most) > _MANY:
        if ways != (1.0, 0):
            raise _TooManyError(
                "a repetition or a choice inside a repetition can take for ever; write it without"
            )
        return _Ways(1.0, 1)
    if ways.factor > 1.0 and most > 1 and ways.factor**most > MOST_STEPS:
        raise _TooManyError(
            "a repetition or a choice inside a repetition can take for ever; write it without"
        )
    return _Ways((most - least + 1) * ways.factor**most, ways.degree * most)
