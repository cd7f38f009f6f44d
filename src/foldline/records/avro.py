"""Records in Apache Avro: a schema for every record type, and values of it.

A record's type is the schema's name (`foldline.Reward`), its fields are the record's under their names, an absent one
is null. What is the caller's to shape, a decision's context, an example's features and labels, stands as JSON in a
string.
"""

from functools import cache
from typing import Any, Final

import msgspec
from msgspec.inspect import ListType, StructType, UnionType, type_info

from foldline.errors import InputError
from foldline.records.codec import encode
from foldline.records.schemas import RECORD_TYPES
from foldline.records.types import AnyRecord, Record

NAMESPACE: Final = "foldline"

_FREE: Final = ("context", "x", "y")
"""Fields whose values are the caller's to shape."""

_SCALARS: Final = {"StrType": "string", "IntType": "long", "FloatType": "double", "BoolType": "boolean"}


@cache
def avro_schema(type_name: str) -> dict[str, Any]:
    """The Avro schema (specification 1.11) of a record type.

    Args:
        type_name: the record's `type`.

    Raises:
        InputError: `input.invalid` where there is no such type.

    Example:
        >>> [field["name"] for field in avro_schema("activation")["fields"]]
        ['time', 'decision']
    """
    kind = RECORD_TYPES.get(type_name)
    if kind is None:
        raise InputError(
            "input.invalid",
            f"type_name is {type_name!r}, expected one of {', '.join(RECORD_TYPES)}",
            field="type_name",
        )
    info = type_info(kind)
    fields = info.fields if isinstance(info, StructType) else ()
    return {
        "type": "record",
        "name": kind.__name__,
        "namespace": NAMESPACE,
        "fields": [_field(field) for field in fields],
    }


def to_avro(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Type and Avro value of a record; None for a line that is none, or says more than a record of its type can."""
    try:
        record = msgspec.json.decode(line, type=AnyRecord)
        said = msgspec.json.decode(line).keys()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not said <= {"type", *record.__struct_fields__}:
        return None
    value = msgspec.structs.asdict(record)
    for name in _FREE:
        if value.get(name) is not None:
            value[name] = msgspec.json.encode(value[name]).decode()
    return type(record).__name__.lower(), value


def from_avro(name: str, value: Any) -> bytes:
    """A value as a line of JSON: a record's canonical line where its schema is one of ours, else the value as it is.

    Args:
        name: the full name of the schema it was written with.
        value: what an Avro reader gave.

    Raises:
        InputError: `input.invalid` where it is no record although its schema says so, or cannot be written as JSON.
    """
    kind = (
        RECORD_TYPES.get(name.removeprefix(f"{NAMESPACE}.").lower())
        if name.startswith(f"{NAMESPACE}.")
        else None
    )
    try:
        if kind is None or not isinstance(value, dict):
            return msgspec.json.encode(value)
        # What is left to its default is not written.
        given = {name: each for name, each in value.items() if each != _defaults(kind).get(name)}
        for free in _FREE:
            if isinstance(given.get(free), str):
                given[free] = msgspec.json.decode(given[free])
        record: Record = msgspec.convert(given | {"type": kind.__name__.lower()}, kind)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InputError("input.invalid", f"an Avro value of schema {name!r}: {error}") from error
    return encode(record)


@cache
def _defaults(kind: type[Record]) -> dict[str, Any]:
    info = type_info(kind)
    fields = info.fields if isinstance(info, StructType) else ()
    return {field.name: field.default for field in fields if field.default is not msgspec.NODEFAULT}


def _field(field: msgspec.inspect.Field) -> dict[str, Any]:
    if field.name in _FREE:
        free = {"name": field.name, "doc": "JSON"}
        if field.default is msgspec.NODEFAULT:
            return {**free, "type": "string"}
        return {**free, "type": ["null", "string"], "default": None}
    made: dict[str, Any] = {"name": field.name, "type": _type(field.type)}
    if field.default is not msgspec.NODEFAULT:
        made["default"] = field.default
    return made


def _type(info: msgspec.inspect.Type) -> Any:
    match info:
        case UnionType(types=types):
            # The default is null, and an Avro default is of a union's first branch.
            return ["null", *(_type(each) for each in types if type(each).__name__ != "NoneType")]
        case ListType(item_type=item):
            return {"type": "array", "items": _type(item)}
        case msgspec.inspect.Metadata(type=inner):
            return _type(inner)
        case msgspec.inspect.LiteralType():
            return "string"
        case _:
            return _SCALARS[type(info).__name__]
