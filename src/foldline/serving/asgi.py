"""The service as an ASGI application, written against the protocol itself: the path of a decision passes no framework.

Routing is one dictionary look-up. Whatever is not the service's goes to `pages`, another application.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from foldline.errors import FoldlineError, RequestError
from foldline.serving.bodies import read_whole
from foldline.serving.calls import Answer, Asgi, Call, Gone, Receive, Scope, Send, Stream
from foldline.serving.connection import WAITS
from foldline.serving.guard import as_bearer
from foldline.serving.keys import Key
from foldline.serving.metrics import RequestCounts, show_metrics
from foldline.serving.openapi import openapi
from foldline.serving.refusals import refusal
from foldline.serving.routes import EXPERIMENT, FLAG, LOOP, ROUTES, Route
from foldline.serving.sending import send_answer, send_stream, while_there
from foldline.serving.service import Service
from foldline.serving.shortcut import Shortcut

_logger = logging.getLogger("foldline.serving")

_NAMED: Final = {
    LOOP.partition("{")[0]: LOOP,
    EXPERIMENT.partition("{")[0]: EXPERIMENT,
    FLAG.partition("{")[0]: FLAG,
}
"""Paths that go on with a name, by what comes before it."""

_GONE: Final = 499
"""Counted, never sent: the client went away before its answer."""


class ServiceApp:
    """Answers requests to a service.

    Args:
        service: called once, within the event loop, when the server starts.
        pages: answers every other path; None for none.

    Attributes:
        shortcut: takes those that put records on the log, where a connection offers them to it.
    """

    def __init__(self, service: Callable[[], Service], pages: Asgi | None = None) -> None:
        self._make = service
        self._pages = pages
        self._service: Service | None = None
        self._counts = RequestCounts()
        self.shortcut = Shortcut(lambda: self.service, _admit, self._counts)
        self._named: dict[str, dict[tuple[str, str], Route]] = {prefix: {} for prefix in _NAMED}
        self._others: dict[tuple[str, str], Route] = {}
        for route in ROUTES:
            for prefix, whole in _NAMED.items():
                if route.path.startswith(whole):
                    self._named[prefix][route.method, route.path[len(whole) :].lstrip("/")] = route
                    break
            else:
                self._others[route.method, route.path] = route
        self._others["GET", "/metrics"] = Route(
            "GET", "/metrics", self._metrics, None, "metrics", "What the service counts"
        )
        self._others["GET", "/openapi.json"] = Route(
            "GET", "/openapi.json", self._openapi, None, "openapi", "This interface", public=True
        )
        self._document = msgspec.json.encode(openapi())

    @property
    def service(self) -> Service:
        """The running service."""
        if self._service is None:
            raise RequestError("http.overloaded", "the service has not started yet", retry_after_s=1)
        return self._service

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """One connection's request, or the server's start and stop."""
        kind = scope["type"]
        if kind == "http":
            return self._http(scope, receive, send)
        return self._lifespan(receive, send) if kind == "lifespan" else _close_socket(send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        path, method = scope["path"], scope["method"]
        name, route = "", None
        prefix = next((each for each in _NAMED if path.startswith(each)), None)
        if prefix is not None:
            name, _, verb = path[len(prefix) :].partition("/")
            route = self._named[prefix].get((method, verb))
        else:
            route = self._others.get((method, path))
            if route is None and self._pages is not None and not self._ours(path):
                await self._page(self._pages, scope, receive, send)
                return
        reply: Answer | Stream
        try:
            if route is None:
                raise self._no_route(method, path)
            service, headers = self.service, scope["headers"]
            key = None
            if service.keyring.closed and not route.public:
                key = _admit(service, route, headers, name)
            body = b""
            if route.reads is not None:
                settings = service.settings
                body = await read_whole(headers, receive, settings.max_body_bytes, settings.body_timeout_s)
            work = route.handler(service, Call(name, scope["query_string"], headers, body, key))
            if route.waits:
                scope[WAITS] = True
                work = while_there(work, receive)
            reply = await work
        except FoldlineError as error:
            reply = refusal(error)
            if reply.status == 500:
                _logger.exception("answering %s %s", method, path)
        except Gone:
            self._counts.add(
                route.name if route is not None else "none", _GONE, time.perf_counter() - started
            )
            return
        except Exception as error:
            _logger.exception("answering %s %s", method, path)
            reply = refusal(RequestError("http.failed", f"the service failed: {type(error).__name__}"), 500)
        status = reply.status if isinstance(reply, Answer) else 200
        self._counts.add(route.name if route is not None else "none", status, time.perf_counter() - started)
        if isinstance(reply, Stream):
            await send_stream(reply, receive, send)
        else:
            await send_answer(reply, send)

    async def _page(self, pages: Asgi, scope: Scope, receive: Receive, send: Send) -> None:
        """A page for people, who show an admin's key as the password a browser asks for; ended when the service is."""
        try:
            service = self.service
            if service.keyring.closed:
                given = as_bearer(_authorization(scope["headers"]))
                service.guard.admit(given, "admin", now=service.clock())
        except RequestError as error:
            status, body, headers, kind = refusal(error)
            asked = ((b"www-authenticate", b'Basic realm="Foldline: a key as password"'),)
            kept = tuple(header for header in headers if header[0] != b"www-authenticate")
            await send_answer(Answer(status, body, kept + asked if status == 401 else headers, kind), send)
            return
        page = asyncio.ensure_future(pages(scope, receive, send))
        closing = asyncio.ensure_future(service.closing.wait())
        try:
            await asyncio.wait({page, closing}, return_when=asyncio.FIRST_COMPLETED)
            if page.done():
                page.result()
        finally:
            page.cancel()
            closing.cancel()

    def _ours(self, path: str) -> bool:
        return path.startswith(("/v1/", "/ofrep/", "/api/")) or any(
            path == known for _, known in self._others
        )

    def _no_route(self, method: str, path: str) -> RequestError:
        table = self._others
        key = path
        for prefix in _NAMED:
            if path.startswith(prefix):
                table, key = self._named[prefix], path[len(prefix) :].partition("/")[2]
        allowed = sorted({m for m, known in table if known == key})
        if not allowed:
            return RequestError(
                "http.not_found", f"nothing stands at {path!r}; see /openapi.json", value=path
            )
        return RequestError(
            "http.method",
            f"{path} takes {', '.join(allowed)}, got {method}",
            value=method,
            expected=", ".join(allowed),
        )

    async def _metrics(self, service: Service, _call: Call) -> Answer:
        return await show_metrics(service, self._counts)

    async def _openapi(self, _service: Service, _call: Call) -> Answer:
        return Answer(200, self._document)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._service = self._make()
            self._service.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._service.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _close_socket(send: Send) -> None:
    await send({"type": "websocket.close", "code": 1003})


def _admit(service: Service, route: Route, headers: list[tuple[bytes, bytes]], name: str) -> Key | None:
    given = _authorization(headers)
    return service.guard.admit(given, route.role, now=service.clock(), loop=name)


def _authorization(headers: list[tuple[bytes, bytes]]) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name == b"authorization"), None)
