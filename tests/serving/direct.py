"""The application without a server: requests handed to it as ASGI messages, thousands a second."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.engine.defining import create_catalogue
from foldline.engine.host import Host
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Log
from foldline.loops.settings import LoopSettings
from foldline.serving.asgi import ServiceApp
from foldline.serving.service import Service
from foldline.serving.settings import ServiceSettings
from tests.serving.running import FAST, ON_LOOPBACK


@dataclass(frozen=True)
class Replied:
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error in it."""
        fault: dict[str, Any] = self.json()["error"]
        return fault


class Direct:
    """Asks an application, one request at a time.

    Attributes:
        log: beneath it.
        host: within it; `host.round()` learns.
        app: the application.
    """

    def __init__(self, runner: asyncio.Runner, app: ServiceApp, log: Log, host: Host) -> None:
        self._runner = runner
        self.app = app
        self.log = log
        self.host = host

    @property
    def service(self) -> Service:
        """What handles requests."""
        return self.app.service

    def ask(
        self, method: str, path: str, body: Any = b"", *, headers: dict[str, str] | None = None
    ) -> Replied:
        """The answer to a request; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._runner.run(self._ask(method, path, data, headers or {}))

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Replied:
        path, _, query = path.partition("?")
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        parts = [{"type": "http.request", "body": body, "more_body": False}]
        forever = asyncio.Event()

        async def receive() -> Any:
            if not parts:
                await forever.wait()
            return parts.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *rest = sent
        assert not any(part.get("more_body") for part in rest[-1:])
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        return Replied(start["status"], answered, b"".join(part["body"] for part in rest))


@contextmanager
def direct(
    loops: dict[str, LoopSettings] | None = None, *, settings: ServiceSettings = ON_LOOPBACK
) -> Iterator[Direct]:
    """An application on a log in memory; nothing runs beside it, so nothing is learnt but by `host.round()`."""
    with MemoryLog() as log, asyncio.Runner() as runner:
        create_catalogue(log)
        for name, given in (loops or {}).items():
            define_loop(log, name, given, holder="test", now=wall_clock())
        host = Host(log, holder="test", learn=True, clock=wall_clock, pace=FAST, every_loop=True)
        host.round()
        host.round()
        app = ServiceApp(lambda: Service(log, host, settings))
        messages: asyncio.Queue[Any] = asyncio.Queue()
        started = asyncio.Event()

        async def told(message: Any) -> None:
            assert not message["type"].endswith("failed"), message
            started.set()

        async def start() -> asyncio.Task[None]:
            task = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, told))
            await messages.put({"type": "lifespan.startup"})
            await started.wait()
            return task

        async def stop(task: asyncio.Task[None]) -> None:
            await messages.put({"type": "lifespan.shutdown"})
            await task

        task = runner.run(start())
        try:
            yield Direct(runner, app, log, host)
        finally:
            runner.run(stop(task))
            host.close()
