"""Reading the bodies of requests, and what is said about one that does not fit."""

import re
from typing import Any, TypeVar

import msgspec

from foldline.errors import FoldlineError, InputError, RequestError
from foldline.loops.messages import Fault

Decoded = TypeVar("Decoded")

LONGEST_MESSAGE = 1_000
"""Characters of a message answered: some quote what was sent, or list what there is."""

_AT = re.compile(r" - at `\$\.?(.*)`$")
_EXPECTED = re.compile(r"^Expected (.*?)(?:, got .*)?$")
_NAMED = re.compile(r"field `([^`]+)`")


def read_body(decoder: "msgspec.json.Decoder[Decoded]", body: bytes | msgspec.Raw) -> Decoded:
    """The struct of a body.

    Raises:
        RequestError: `http.bad_json` where it is no JSON.
        InputError: `input.invalid` where it is JSON of another form; names field, value and what was expected.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _misfit(decoder.type, bytes(body), str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError("http.bad_json", f"reading the body as JSON: {error}") from error
    except RecursionError as error:
        raise RequestError("http.bad_json", "the body is nested too deep; at most 64 levels") from error


def fault_of(error: FoldlineError) -> Fault:
    """What is answered about an error."""
    value = error.value
    if value is not None and not isinstance(value, str | int | float | bool):
        value = repr(value)
    if isinstance(value, str) and len(value) > 200:
        value = value[:200] + "…"
    message = str(error.args[0])
    if len(message) > LONGEST_MESSAGE:
        message = message[:LONGEST_MESSAGE] + "…"
    return Fault(error.code, message, error.field, value, error.expected)


def _misfit(kind: Any, body: bytes, message: str) -> InputError:
    """The error of JSON that does not have the form asked for."""
    at = _AT.search(message)
    text = message[: at.start()] if at else message
    named = _NAMED.search(text)
    path = ".".join(filter(None, [at[1] if at else "", named[1] if named else ""]))
    found = _EXPECTED.match(text)
    expected = found[1].replace("`", "") if found else None
    words = _words_at(kind, path) if expected is None else []
    if words:
        expected = f"one of {', '.join(words)}"
        text = f"{text}, expected {expected}"
    value = _value_at(body, path)
    return InputError(
        "input.invalid",
        f"{path or 'the body'}: {text[:1].lower()}{text[1:]}".replace("`", "'"),
        field=path or None,
        value=value,
        expected=expected,
    )


def _words_at(kind: Any, path: str) -> list[str]:
    """The words that a field takes which takes a few only, by its path; none for another field."""
    types = [msgspec.inspect.type_info(kind)]
    for part in [*re.findall(r"[^.\[\]]+", path), None]:
        flat: list[Any] = []
        for each in types:
            flat += each.types if isinstance(each, msgspec.inspect.UnionType) else [each]
        if part is None:
            return [
                str(word.value)
                for each in flat
                if isinstance(each, msgspec.inspect.EnumType)
                for word in each.cls
            ]
        types = [
            field.type
            for each in flat
            if isinstance(each, msgspec.inspect.StructType)
            for field in each.fields
            if field.encode_name == part
        ] + [each.item_type for each in flat if isinstance(each, msgspec.inspect.ListType)]
    return []


def _value_at(body: bytes, path: str) -> object:
    """What stands at a path such as `events[2].unit`, as far as it can be found."""
    try:
        value: Any = msgspec.json.decode(body)
        for part in re.findall(r"[^.\[\]]+", path):
            value = value[int(part)] if isinstance(value, list) else value[part]
    except (msgspec.DecodeError, KeyError, IndexError, ValueError, TypeError, RecursionError):
        return None
    return value
