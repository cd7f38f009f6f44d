"""A request on its way through the service, and the answer to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from foldline.serving.keys import Key

Scope = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON = b"application/json"


class Gone(Exception):
    """The client went away."""


class Call(NamedTuple):
    """A request.

    Attributes:
        name: the loop or experiment that the path names, or "".
        query: what follows the question mark, raw.
        headers: names in lower case.
        body: whole.
        key: that it showed; None where the service is open.
    """

    name: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    key: Key | None = None

    def header(self, name: bytes) -> str | None:
        """The first header of a name in lower case, or None."""
        for found, value in self.headers:
            if found == name:
                return value.decode("latin-1")
        return None

    def parameters(self) -> Mapping[str, str]:
        """The query's parameters; of one given twice the last counts."""
        return dict(parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)) if self.query else {}


class Answer(NamedTuple):
    """An answer whole."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    kind: bytes = JSON


@dataclass(slots=True)
class Stream:
    """An answer that goes on: parts are sent as they come."""

    parts: AsyncIterator[bytes]
    kind: bytes = b"text/event-stream"
    headers: tuple[tuple[bytes, bytes], ...] = field(default=((b"cache-control", b"no-store"),))


_ENCODE = msgspec.json.Encoder().encode


def answer(value: object, status: int = 200, *headers: tuple[bytes, bytes]) -> Answer:
    """A value as JSON."""
    return Answer(status, _ENCODE(value), headers)
