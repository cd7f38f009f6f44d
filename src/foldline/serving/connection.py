"""One connection: uvicorn's HTTP protocol, with what it lacks against slow, endless and half-closed clients.

A client has so many seconds for the head of each request, and so many bytes. One that has sent its request whole
and closed its sending side is still answered. What is no HTTP is refused in the one shape of all errors.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from foldline.errors import RequestError
from foldline.loops.messages import FaultAnswer
from foldline.serving.calls import Answer, answer
from foldline.serving.requests import fault_of
from foldline.serving.shortcut import Shortcut, Target

MAX_HEAD_BYTES: Final = 65_536

WAITS: Final = "foldline.waits"
"""Set in a request's scope: it may take long and ends when its client closes the sending side."""


class Connection(HttpToolsProtocol):
    """A client's connection.

    Args:
        head_timeout_s: seconds a client may take to send the head of a request, and the rest of a body refused.
        max_connections: the requests of one that comes on top of so many are refused.
        shortcut: takes requests the short way.
        origins: whether web pages of other origins may ask; what they ask goes the long way.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        head_timeout_s: float,
        max_connections: int,
        shortcut: Shortcut,
        origins: bool,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_timeout_s = head_timeout_s
        self._max_connections = max_connections
        self._shortcut = shortcut
        self._origins = origins
        self._target: Target | None = None
        self._body: list[bytes] = []
        self._one_too_many = False
        self._late: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Give it time for a first head."""
        super().connection_made(transport)
        self._one_too_many = len(self.connections) > self._max_connections
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; what comes outside a request under way must become the head of one in time."""
        super().data_received(data)
        if self._target is not None:
            self._go_the_long_way()
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431, f"the head of the request has more than {MAX_HEAD_BYTES} bytes; shorten it")
        if self._late is None and not self._owes() and not self.transport.is_closing():
            self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks: True keeps the sending side open
        """The client will send no more: answer what it has sent whole, then close."""
        self._ended = True
        return self._owes() and not self.cycle.more_body and WAITS not in self.cycle.scope

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is there; that of a connection too many is refused."""
        self._head_bytes = None
        if self._late is not None:
            self._head_came()
        if self._one_too_many:
            self.app = _refuse_connection
        elif self._is_plain():
            self._target = self._shortcut.target(self.url)
        if self._target is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._target is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is there whole."""
        target = self._target
        if target is None:
            super().on_message_complete()
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if len(body) > self._shortcut.max_body_bytes:
            self._go_the_long_way()
            super().on_message_complete()
            return
        self._target, self._body = None, []
        owed = self._shortcut.take(self, target, self.headers, body)
        self.cycle = owed  # type: ignore[assignment]  # as much of one as the protocol looks at
        if not owed.waits:
            owed.settle()

    def on_response_complete(self) -> None:
        """Go on with the next request; after the last of a client that sends no more, close."""
        super().on_response_complete()
        if self._ended and not self._owes():
            self.transport.close()

    def reply(self, data: bytes, *, close: bool) -> None:
        """Send an answer that was owed, whole."""
        transport = self.transport
        if not transport.is_closing():
            transport.write(data)
            if close:
                transport.close()
        self.on_response_complete()

    def common_lines(self) -> bytes:
        """Header lines of every answer: the server makes them anew each second."""
        return b"".join([name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers])

    def shutdown(self) -> None:
        """The service stops: a reader of a stream that does not read keeps nobody waiting."""
        super().shutdown()
        if self._owes() and WAITS in self.cycle.scope and self.flow.write_paused:
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be understood."""
        self._refuse(400, f"{msg[:1].lower()}{msg[1:].rstrip('.')}; expected HTTP/1.1")

    def _is_plain(self) -> bool:
        """Whether the head that came asks for nothing that the long way alone can give."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and not self._owes()
            and not self.expect_100_continue
            and not self.flow.write_paused
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and parser.get_http_version() == "1.1"
            and not (self._origins and any(name == b"origin" for name, _ in self.headers))
        )

    def _go_the_long_way(self) -> None:
        """Hand what came of a request to its application."""
        self._target, pieces, self._body = None, self._body, []
        super().on_headers_complete()
        for piece in pieces:
            super().on_body(piece)

    def _owes(self) -> bool:
        """Whether a request waits for its answer."""
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first

    def _await_head(self) -> None:
        self._late = self.loop.call_later(self._head_timeout_s, self.timeout_keep_alive_handler)

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse(self, status: int, message: str) -> None:
        code = "http.malformed" if status == 400 else "http.too_large"
        reply = answer(FaultAnswer(fault_of(RequestError(code, message))), status)
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        lines = [name + b": " + value + b"\r\n" for name, value in _headers(reply)]
        self.transport.write(head + b"".join(lines) + b"\r\n" + reply.body)
        self.transport.close()


async def _refuse_connection(
    _scope: MutableMapping[str, Any],
    _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """The application of a connection too many."""
    error = RequestError("http.overloaded", "too many connections are open; try again shortly")
    reply = answer(FaultAnswer(fault_of(error)), 503, (b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
    await send({"type": "http.response.body", "body": reply.body})


def _headers(reply: Answer) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", reply.kind),
        (b"content-length", b"%d" % len(reply.body)),
        (b"connection", b"close"),
        *reply.headers,
    ]
