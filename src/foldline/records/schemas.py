"""JSON Schema of every record type, for those who write or read the log in other languages."""

from typing import Any, Final

import msgspec

from foldline.errors import InputError
from foldline.records.types import (
    Activation,
    Decision,
    Definition,
    Example,
    Label,
    Observation,
    Outcome,
    Phase,
    Record,
    Reward,
    Tick,
)

RECORD_TYPES: Final[dict[str, type[Record]]] = {
    kind.__name__.lower(): kind
    for kind in (Decision, Reward, Outcome, Activation, Tick, Observation, Definition, Phase, Example, Label)
}


def schema(type_name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one record type.

    It says all but one rule: a reward names exactly one of `decision` and `unit`.

    Args:
        type_name: the record's `type`: `decision`, `reward`, `outcome`, `activation`, `tick`, `observation`,
            `definition`, `phase`, `example` or `label`.

    Raises:
        InputError: `input.invalid` where there is no such type.

    Example:
        >>> schema("tick")["$ref"]
        '#/$defs/Tick'
    """
    if type_name not in RECORD_TYPES:
        raise InputError(
            "input.invalid",
            f"type_name is {type_name!r}, expected one of {', '.join(RECORD_TYPES)}",
            field="type_name",
        )
    return msgspec.json.schema(RECORD_TYPES[type_name])


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every record type, by its `type`."""
    return {name: schema(name) for name in RECORD_TYPES}
