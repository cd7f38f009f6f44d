"""What the service answered, as values or as errors of the class that its code belongs to."""

import re
from typing import Any, TypeVar

import msgspec

from foldline.errors import (
    CODES,
    DefinitionError,
    FoldError,
    FoldlineError,
    InputError,
    LogError,
    RecordError,
    RequestError,
)

_CLASSES: dict[str, type[FoldlineError]] = {
    "input": InputError,
    "definition": DefinitionError,
    "record": RecordError,
    "log": LogError,
    "fold": FoldError,
}
_BY_STATUS = {
    401: "http.unauthorized",
    403: "http.forbidden",
    404: "http.not_found",
    405: "http.method",
    408: "http.slow",
    413: "http.too_large",
    429: "http.rate",
    500: "http.failed",
}
AGAIN = frozenset({429, 502, 503, 504})
"""Statuses after which the same request may be sent again: nothing was done, or no answer reached a proxy."""


class Fault(msgspec.Struct, frozen=True):
    """An error as the service words it."""

    code: str
    message: str
    field: str | None = None
    value: Any = None
    expected: str | None = None


class _FaultAnswer(msgspec.Struct, frozen=True):
    error: Fault


_FAULT = msgspec.json.Decoder(_FaultAnswer)
Value = TypeVar("Value")


def error_of(status: int, body: bytes, retry_after_s: int | None = None) -> FoldlineError:
    """The error of an answer that is no success.

    Args:
        status: of the answer.
        body: ours, or whatever a proxy wrote.
        retry_after_s: what the service asked to wait.
    """
    try:
        fault = _FAULT.decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        code = _BY_STATUS.get(status, "http.unavailable" if status in AGAIN else "http.failed")
        text = body[:120].decode(errors="replace")
        return RequestError(
            code, f"answered with status {status} and {text!r}, which is no answer of Foldline's",
            value=status, retry_after_s=retry_after_s,
        )  # fmt: skip
    return error_from(fault, status, retry_after_s)


def error_from(fault: Fault, status: int = 400, retry_after_s: int | None = None) -> FoldlineError:
    """The error of a fault. A code this version does not know keeps its message, under the status's code."""
    code, message = fault.code, fault.message
    if code not in CODES:
        message = f"{message} [{code}]"
        code = _BY_STATUS.get(status, "http.unavailable" if status in AGAIN else "http.failed")
    kind = _CLASSES.get(code.partition(".")[0])
    if kind is None:
        return RequestError(
            code, message, field=fault.field, value=fault.value, expected=fault.expected,
            retry_after_s=retry_after_s,
        )  # fmt: skip
    return kind(code, message, field=fault.field, value=fault.value, expected=fault.expected)


def unreachable(url: str, error: Exception) -> RequestError:
    """The error of a request that got no answer."""
    return RequestError(
        "http.unavailable",
        f"{url} gave no answer ({type(error).__name__}: {error}); check address and network, and send again",
        field="url",
        value=url,
    )


def read_value(decoder: "msgspec.json.Decoder[Value]", body: bytes) -> Value:
    """The value of a successful answer.

    Raises:
        RequestError: `http.failed` where it is not of the form this version knows.
    """
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RequestError(
            "http.failed", f"the answer {body[:120]!r} is not of the form expected: {error}"
        ) from error


def read_many(decoder: "msgspec.json.Decoder[Value]", body: bytes, count: int) -> list[Value | FoldlineError]:
    """The values of an answered array; in the place of an item that could not be used stands its error."""
    items = read_value(_RAWS, body)
    if len(items) != count:
        raise RequestError("http.failed", f"{count} items were sent, {len(items)} answered")
    values: list[Value | FoldlineError] = []
    for item in items:
        fault = _fault_in(bytes(item))
        values.append(read_value(decoder, bytes(item)) if fault is None else error_from(fault))
    return values


_RAWS = msgspec.json.Decoder(list[msgspec.Raw])


def _fault_in(item: bytes) -> Fault | None:
    try:
        return _FAULT.decode(item).error
    except msgspec.MsgspecError:
        return None


def seconds_of(retry_after: str | None) -> int | None:
    """Whole seconds of a header Retry-After; a date is not looked at."""
    if retry_after is None or not re.fullmatch(r"\s*[0-9]{1,9}\s*", retry_after):
        return None
    return int(retry_after)
