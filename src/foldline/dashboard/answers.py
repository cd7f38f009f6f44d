"""Answers that browsers may keep: JSON with a version, and what is not modified."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

DIGITS = 5
"""Significant digits of numbers that are only drawn."""


def matches(request: Request, etag: str) -> bool:
    """Whether the browser has that version already."""
    known = request.headers.get("if-none-match", "")
    return etag in (each.strip().removeprefix("W/") for each in known.split(","))


def not_modified(headers: Mapping[str, str]) -> Response:
    """304."""
    return Response(status_code=304, headers=dict(headers))


def unchanged(request: Request, version: str) -> Response | None:
    """304 to whoever has that version, before anything is computed."""
    etag = f'"{version}"'
    return not_modified({"etag": etag, "cache-control": "no-cache"}) if matches(request, etag) else None


def versioned_json(request: Request, version: str, content: object) -> Response:
    """JSON with its version as ETag, encoded already where it is bytes; 304 to whoever has it."""
    etag = f'"{version}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    return unchanged(request, version) or Response(
        content if isinstance(content, bytes) else msgspec.json.encode(content),
        headers=headers,
        media_type="application/json",
    )


def rounded(value: Any) -> Any:
    """The same JSON value with floats of `DIGITS` significant digits, a third of the bytes."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, list):
        return [rounded(each) for each in value]
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return value
