"""What every client needs to reach a service: the library, the headers, a clock."""

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from foldline.errors import InputError, MissingExtra

Clock = Callable[[], int]


def wall_clock() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def httpx_of(purpose: str) -> Any:
    """The module httpx.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import httpx
    except ImportError as error:
        raise MissingExtra("client", f"foldline.{purpose}") from error
    module: ModuleType = httpx
    return module


def headers_of(key: str | None) -> dict[str, str]:
    """Headers of every request.

    Raises:
        InputError: the key cannot stand in a header.
    """
    headers = {"content-type": "application/json", "accept": "application/json"}
    if key is None:
        return headers
    if not (key and key.isascii() and key.isprintable() and " " not in key):
        # The key itself stays out of the message: messages are logged.
        raise InputError(
            "input.invalid",
            "key is not of the form that `foldline keys add` prints: fl_<id>_<secret>",
            field="key",
            expected="fl_<id>_<secret>",
        )
    return headers | {"authorization": f"Bearer {key}"}
