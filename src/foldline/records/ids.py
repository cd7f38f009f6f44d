"""Decision ids, and what may stand as a unit, an id or a name."""

import re
from typing import Final, NamedTuple

from foldline.errors import InputError

LONGEST: Final = 400
"""Characters a unit, local id or name may have: a decision id around it still fits the record's 512."""

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DECISION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(.+)", re.DOTALL)


class DecisionId(NamedTuple):
    """The parts of a decision id.

    Attributes:
        generation: of the event topic, counts up from 0 when its partition count changes.
        partition: of the decision's unit.
        local: the rest: random, or the caller's own id; may contain dots.
    """

    generation: int
    partition: int
    local: str


def checked_name(text: str, field: str) -> str:
    """The text, if it can stand as a unit, an id or a name: 1 to 400 characters, none a control character.

    Args:
        text: as the caller gave it.
        field: what the caller calls it, for the message.

    Raises:
        InputError: `input.invalid`.

    Example:
        >>> checked_name("user-1", "unit")
        'user-1'
    """
    if not isinstance(text, str):
        raise InputError(
            "input.invalid", f"{field} is {text!r:.80}, expected a string", field=field, value=text
        )
    if not 1 <= len(text) <= LONGEST:
        raise InputError(
            "input.invalid",
            f"{field} is {text[:40]!r}, {len(text)} characters long, expected 1 to {LONGEST}",
            field=field,
            value=text,
        )
    # Printable texts, nearly all, need no closer look.
    if not text.isprintable() and (unfit := _UNFIT.search(text)):
        raise InputError(
            "input.invalid",
            f"{field} is {text[:80]!r}, with {unfit[0]!r} at {unfit.start()}, expected no control characters",
            field=field,
            value=text,
        )
    return text


def decision_id(generation: int, partition: int, local: str) -> str:
    """The id `generation.partition.local`; `local` is taken as `checked_name` passed it.

    Example:
        >>> decision_id(0, 3, "order.17")
        '0.3.order.17'
    """
    return f"{generation}.{partition}.{local}"


def parse_decision_id(text: str) -> DecisionId:
    """The parts of a decision id.

    Raises:
        InputError: `input.unknown_decision` where the text has not the form of one.

    Example:
        >>> parse_decision_id("0.3.order.17")
        DecisionId(generation=0, partition=3, local='order.17')
    """
    try:
        found = _DECISION.fullmatch(text)
    except TypeError:
        found = None
    if found is None:
        raise InputError(
            "input.unknown_decision",
            f"{text!r:.120} is not a decision id: expected generation.partition.local, such as '0.3.order.17', "
            "as returned by decide",
            field="decision",
        )
    return DecisionId(int(found[1]), int(found[2]), checked_name(found[3], "decision"))
