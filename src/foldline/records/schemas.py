"""JSON Schema of every record type, for those who write or read the log in other languages."""

import inspect
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


DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(type_name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one record type, with what each field means.

    Args:
        type_name: the record's `type`: `decision`, `reward`, `outcome`, `activation`, `tick`, `observation`,
            `definition`, `phase`, `example` or `label`.

    Raises:
        InputError: `input.invalid` where there is no such type.

    Example:
        >>> schema("tick")["required"]
        ['type', 'time']
    """
    if type_name not in RECORD_TYPES:
        raise InputError(
            "input.invalid",
            f"record type {type_name!r}, expected one of {', '.join(RECORD_TYPES)}",
            field="type_name",
        )
    kind = RECORD_TYPES[type_name]
    _, parts = msgspec.json.schema_components([kind])
    body: dict[str, Any] = parts[kind.__name__]
    summary, meanings = _described(kind)
    for name, field in body["properties"].items():
        if name in meanings:
            field["description"] = meanings[name]
    if kind is Reward:
        # The one rule that stands in no field: a reward names its decision or its unit, and not both.
        body["oneOf"] = [_names_only("decision", "unit"), _names_only("unit", "decision")]
    return {"$schema": DIALECT, **body, "description": summary}


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every record type, by its `type`."""
    return {name: schema(name) for name in RECORD_TYPES}


def _names_only(one: str, other: str) -> dict[str, Any]:
    named = {one: {"type": "string"}, other: {"type": "null"}}
    return {"required": [one], "properties": named}


def _described(kind: type[Record]) -> tuple[str, dict[str, str]]:
    """A type's summary and the meaning of its fields, as its docstring has them."""
    text = (inspect.getdoc(kind) or "").replace("None", "null")
    summary, _, rest = text.partition("\n")
    section = rest.partition("Attributes:\n")[2].partition("\n\n")[0]
    meanings: dict[str, str] = {"time": "stamped by whoever appends, milliseconds since 1970-01-01 UTC"}
    for line in inspect.cleandoc(section).splitlines():
        name, colon, meaning = line.partition(": ")
        if colon and name.isidentifier():
            meanings[last := name] = meaning
        else:
            meanings[last] += f" {line.strip()}"
    return summary, {"occurred": "the time the client claims, in milliseconds; moves no clock", **meanings}
