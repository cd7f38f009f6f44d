"""Runs the service under uvicorn until it is told to stop; then drains."""

import contextlib
import functools
import gc
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import uvicorn

from foldline.errors import RequestError
from foldline.serving.asgi import ServiceApp
from foldline.serving.connection import Connection
from foldline.serving.settings import ServiceSettings

_logger = logging.getLogger("foldline.serving")

SPARE_FILES = 64
"""Open files kept for the log and everything else that is no connection."""

GARBAGE = 10_000
"""Objects made before the collector looks for cycles; a request makes some twenty, and ends in a cycle or two."""

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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop once what is under way is done. A second signal changes nothing: draining is short."""
        if not self.should_exit:
            super().handle_exit(sig, frame)

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
    server = build_server(app, settings, ready)
    # What stands now stays: the collector need not walk through it again, and each request makes some garbage.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
    with listening, contextlib.suppress(KeyboardInterrupt, SystemExit):
        # uvicorn raises the signal it was stopped with again, once all is done.
        server.run([listening])
    if not server.started:
        raise RequestError("http.failed", "the service could not start; its log says why")


def build_server(
    app: ServiceApp, settings: ServiceSettings, ready: Callable[[str], None] = lambda _: None
) -> uvicorn.Server:
    """A server that runs until its `should_exit` is set; arguments as of `run_server`."""
    connection: Any = functools.partial(
        Connection,
        head_timeout_s=settings.body_timeout_s,
        max_connections=min(settings.max_connections, _allow_files(settings.max_connections)),
        shortcut=app.shortcut,
        origins=bool(settings.origins),
    )
    config = uvicorn.Config(
        for_pages_of(settings.origins, app),
        interface="asgi3",
        http=connection,
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
    return _Server(config, app, ready)


def _allow_files(connections: int) -> int:
    """Raise this process's limit of open files as far as is needed and allowed; the connections it leaves room for."""
    try:
        import resource
    except ImportError:  # not a Unix
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return connections if soft == resource.RLIM_INFINITY else max(1, soft - SPARE_FILES)


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
        with contextlib.ExitStack() as unless_bound:
            listening = unless_bound.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, settings.port))
            unless_bound.pop_all()
    except (OSError, UnicodeError) as error:
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
