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


def checked_url(url: str) -> str:
    """The address of a service, without a slash at its end.

    Raises:
        InputError: it is none.
    """
    library = httpx_of("Client")
    try:
        parsed = library.URL(url)
    except (library.InvalidURL, TypeError) as error:
        raise InputError("input.invalid", f"url is {url!r:.120}: {error}", field="url", value=url) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InputError(
            "input.invalid",
            f"url is {url!r:.120}, expected an address such as http://127.0.0.1:8080",
            field="url",
            value=url,
            expected="http://host:port or https://host",
        )
    return url.rstrip("/")


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
