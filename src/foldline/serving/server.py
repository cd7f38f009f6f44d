"""Runs the service under uvicorn until it is told to stop; then drains."""

import contextlib
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn

from foldline.errors import RequestError
from foldline.serving.asgi import ServiceApp
from foldline.serving.settings import ServiceSettings

_logger = logging.getLogger("foldline.serving")

DRAIN_S = 10
"""How long requests under way may take to finish once the service is told to stop."""


class _Server(uvicorn.Server):
    """Ends long answers before it waits for them to end."""

    def __init__(self, config: uvicorn.Config, app: ServiceApp, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        service = self._app.service
        service.closing.set()
        service.wake()
        await super().shutdown(sockets)


def run_server(
    app: ServiceApp, settings: ServiceSettings, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGINT or SIGTERM, finish what is under way, and return.

    Args:
        app: the service.
        settings: where to listen.
        ready: called with the address once requests are answered.

    Raises:
        RequestError: `http.address` where the address cannot be had.
    """
    listening = listen(settings)
    config = uvicorn.Config(
        for_pages_of(settings.origins, app),
        http="httptools",
        loop="auto",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config, app, ready)
    with listening, contextlib.suppress(KeyboardInterrupt, SystemExit):
        # uvicorn raises the signal it was stopped with again, once all is done.
        server.run([listening])
    if not server.started:
        raise RequestError("http.failed", "the service could not start; its log says why")


def for_pages_of(origins: Sequence[str], app: ServiceApp) -> Any:
    """The application, open to web pages of these origins (CORS); as it is where there are none."""
    if not origins:
        return app
    from starlette.middleware.cors import CORSMiddleware

    inner: Any = app
    return CORSMiddleware(
        inner,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "Last-Event-ID"],
        expose_headers=["ETag", "Retry-After"],
        max_age=600,
    )


def listen(settings: ServiceSettings) -> socket.socket:
    """A listening socket.

    Raises:
        RequestError: `http.address` where the address cannot be had.
    """
    host = settings.host
    try:
        family = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, settings.port))
    except OSError as error:
        raise RequestError(
            "http.address",
            f"listening on {host}:{settings.port}: {error}; is another process there? give another --port",
        ) from error
    return listening


def check_open(host: str, closed: bool) -> None:
    """Refuse to listen to the world without a key.

    Args:
        host: to listen on.
        closed: whether requests need a key.

    Raises:
        RequestError: `http.not_open`.
    """
    if closed or is_loopback(host):
        return
    raise RequestError(
        "http.not_open",
        f"listening on {host!r} without any key would let anybody decide and define; make one with "
        "`foldline keys add NAME --role admin`, or listen on 127.0.0.1",
        field="host",
        value=host,
    )


def is_loopback(host: str) -> bool:
    """Whether an address reaches this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
