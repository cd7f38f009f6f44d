"""Writing what a client sends: bodies of requests and events of an outbox (see `loops.messages`) as JSON.

An event is encoded once, when it happens, and its bytes are what the outbox keeps and the service gets.
"""

import math
from typing import Any

import msgspec

from foldline.errors import InputError, RequestError
from foldline.records.codec import check_json

MOST_BYTES = 500_000
"""Bytes of the largest event: it fits a request with room to spare."""


encode_plain = msgspec.json.Encoder().encode
"""For what holds nothing of the caller's but checked strings and numbers."""


def encode_body(body: object, context: dict[str, Any] | None = None) -> bytes:
    """JSON of a body or an event.

    Args:
        body: what to send.
        context: the features in it, which are checked.

    Raises:
        InputError: `input.not_finite` or `input.invalid` where the context holds what JSON cannot.
        RequestError: `edge.too_large` where it is larger than any service takes.
    """
    if context is not None:
        if not isinstance(context, dict):
            raise InputError(
                "input.invalid",
                f"context is {context!r:.80}, expected a dict of features",
                field="context",
                expected="a dict of features",
            )
        check_json(context, "context", 2)
    try:
        line = encode_plain(body)
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        raise InputError("input.invalid", f"{body!r:.200} cannot be written as JSON: {error}") from error
    if len(line) > MOST_BYTES:
        raise RequestError(
            "edge.too_large",
            f"this takes {len(line)} bytes as JSON, at most {MOST_BYTES} can be sent; log less context",
            field="context",
            value=len(line),
            expected=f"at most {MOST_BYTES} bytes",
        )
    return line


def checked_value(value: object, field: str = "value") -> float:
    """A reward as a float.

    Raises:
        InputError: `input.not_finite`.
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(
            "input.not_finite",
            f"{field} is {value!r:.80}, expected a finite number",
            field=field,
            value=repr(value)[:80],
            expected="a finite number",
        )
    return float(value)
