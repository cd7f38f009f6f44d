"""The short way of requests that put records on the log: no task and no ASGI messages, one write for the answer.

Such a request comes whole in one piece, nearly always, and what it waits for is a commit that many wait for. So it
is judged where it is read, and answered where the commit is told of. Its checks, errors and counts are those of the
long way, which every other request goes, and this one too where anything about it is unusual.
"""

import logging
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final, Protocol

from foldline.errors import FoldlineError, RequestError
from foldline.serving.calls import Call
from foldline.serving.keys import Key
from foldline.serving.metrics import RequestCounts
from foldline.serving.refusals import refusal
from foldline.serving.reporting import Accept, Accepted
from foldline.serving.routes import LOOP, ROUTES, Route
from foldline.serving.service import Service

_logger = logging.getLogger("foldline.serving")

_PREFIX: Final = LOOP.partition("{")[0].encode()
_VERBS: Final[Mapping[bytes, tuple[Accept, Route]]] = {
    route.path.rpartition("/")[2].encode(): (route.accept, route)
    for route in ROUTES
    if route.accept is not None
}
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


Target = tuple[Accept, Route, str, bytes]
"""What takes a request, its route, the loop and the query."""


class Asker(Protocol):
    """The connection a request came by."""

    def reply(self, data: bytes, *, close: bool) -> None:
        """Send an answer whole."""

    def common_lines(self) -> bytes:
        """Header lines of every answer."""


class _Nobody:
    """Stands where the long way has a task that waits."""

    def set(self) -> None:
        """Nobody waits."""


class Owed:
    """An answer that is owed to a connection; to uvicorn's protocol it looks like a request under way.

    Attributes:
        reply: the answer, if all goes well.
        waits: whether it is given only once the records are on the log.
        keep_alive: whether the connection stays open after it.
        response_complete: whether it was given.
        disconnected: whether the client went away.
    """

    __slots__ = (
        "_asker", "_counts", "_name", "_started", "disconnected", "keep_alive", "reply", "response_complete", "waits",
    )  # fmt: skip

    more_body: ClassVar = False
    scope: ClassVar[Mapping[str, Any]] = {}
    message_event: ClassVar = _Nobody()

    def __init__(
        self, asker: Asker, name: str, counts: RequestCounts, started: float, accepted: Accepted
    ) -> None:
        self._asker = asker
        self._name = name
        self._counts = counts
        self._started = started
        self.reply, group = accepted
        self.waits = group is not None
        self.disconnected = self.response_complete = False
        self.keep_alive = True
        if group is not None:
            group.owed.append(self.settle)

    def settle(self, error: FoldlineError | None = None) -> None:
        """Give the answer, or say why there is none."""
        status, body, extra, kind = self.reply if error is None else refusal(error)
        self._counts.add(self._name, status, time.perf_counter() - self._started)
        self.response_complete = True
        lines = [_STATUS_LINES[status], self._asker.common_lines()]
        for name, value in extra:
            lines += (name, b": ", value, b"\r\n")
        keep_alive = self.keep_alive
        if not keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (kind, len(body), body))
        self._asker.reply(b"".join(lines), close=not keep_alive)


class Shortcut:
    """Takes requests the short way.

    Args:
        service: the running service; raises `http.overloaded` before there is one.
        admit: raises where the headers do not show a key for the route.
        counts: of requests.
    """

    def __init__(
        self,
        service: Callable[[], Service],
        admit: Callable[[Service, Route, list[tuple[bytes, bytes]], str], Key | None],
        counts: RequestCounts,
    ) -> None:
        self._service = service
        self._admit = admit
        self._counts = counts

    @property
    def max_body_bytes(self) -> int:
        """A body of more goes the long way, which refuses it; none is taken before there is a service."""
        try:
            return self._service().settings.max_body_bytes
        except RequestError:
            return 0

    def target(self, url: bytes) -> Target | None:
        """What takes a POST to this address; None where it goes the long way."""
        if not url.startswith(_PREFIX):
            return None
        path, _, query = url.partition(b"?")
        loop, _, verb = path[len(_PREFIX) :].partition(b"/")
        found = _VERBS.get(verb)
        if found is None or b"%" in loop or b"#" in query:
            return None
        return *found, loop.decode("ascii"), query

    def take(
        self,
        asker: Asker,
        target: Target,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> Owed:
        """Judge a request and queue its records; the answer is to be given at once unless it `waits`."""
        started = time.perf_counter()
        accept, route, loop, query = target
        try:
            service = self._service()
            key = self._admit(service, route, headers, loop) if service.keyring.closed else None
            accepted = accept(service, Call(loop, query, headers, body, key))
        except FoldlineError as error:
            accepted = Accepted(refusal(error), None)
            if accepted.reply.status == 500:
                _logger.exception("answering POST %s", route.path)
        except Exception as error:
            _logger.exception("answering POST %s", route.path)
            failed = RequestError("http.failed", f"the service failed: {type(error).__name__}")
            accepted = Accepted(refusal(failed, 500), None)
        return Owed(asker, route.name, self._counts, started, accepted)
