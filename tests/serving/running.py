"""The service on a free port, in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.engine.defining import create_catalogue
from foldline.engine.host import Host
from foldline.engine.learner import Pace
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch, Lease, Log
from foldline.loops.settings import LoopSettings
from foldline.serving.asgi import ServiceApp
from foldline.serving.keys import Key, Keyring, Role
from foldline.serving.server import build_server, listen
from foldline.serving.service import Service
from foldline.serving.settings import ServiceSettings

FAST = Pace(root_every_ms=0, publish_every_ms=0)
ON_LOOPBACK = ServiceSettings(port=0, bundle_timeout_s=10.0)


@dataclass
class Running:
    """A running service.

    Attributes:
        url: where it listens.
        log: beneath it.
        host: within it.
        app: the application.
        client: asks it.
    """

    url: str
    log: Log
    host: Host
    app: ServiceApp
    client: httpx.Client

    @property
    def service(self) -> Service:
        """What handles requests."""
        return self.app.service

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        url = httpx.URL(self.url)
        return url.host, int(url.port or 0)

    def key(self, *roles: Role, expires: int | None = None, rate: float | None = None) -> tuple[Key, str]:
        """A new key on the log, known to the service."""
        made = Keyring(self.log).add("test", roles, now=wall_clock(), expires=expires, rate=rate)
        self.service.keyring.read()
        return made

    def counts(self, loop: str, **least: int) -> dict[str, float]:
        """The loop's counts, once each of those named has come to at least so many."""
        while True:
            roots = self.log.offsets(f"{loop}.roots", 0)[1]
            shown: dict[str, float] = self.client.get(f"/v1/loops/{loop}").json()["counts"]
            if all(shown[name] >= count for name, count in least.items()):
                return shown
            self.log.wait({(f"{loop}.roots", 0): roots}, 1.0)


class GatedLog(MemoryLog):
    """A log on a slow disk: appends to event topics wait until `gate` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()

    def append(self, batches: Any, *, lease: Lease | Any = None) -> list[int]:
        """As of the log in memory."""
        if any(_is_event(batch) for batch in batches):
            self.reached.set()
            if not self.gate.wait(30):
                raise TimeoutError
        return super().append(batches, lease=lease)


def _is_event(batch: Batch) -> bool:
    return batch.topic.endswith(".events") and b'"definition","time"' not in batch.payload


@contextmanager
def running(
    log: Log | None = None,
    *,
    settings: ServiceSettings = ON_LOOPBACK,
    loops: dict[str, LoopSettings] | None = None,
    learn: bool = True,
    pages: Any = None,
) -> Iterator[Running]:
    """Serve until the block ends; requests under way are finished then. The log is closed if it was made here."""
    made = log is None
    log = log if log is not None else MemoryLog()
    create_catalogue(log)
    for name, given in (loops or {}).items():
        define_loop(log, name, given, holder="test", now=wall_clock())
    host = Host(log, holder="test", learn=learn, clock=wall_clock, pace=FAST, every_loop=True)
    host.round()
    host.start()
    app = ServiceApp(lambda: Service(log, host, settings), pages)
    ready = threading.Event()
    urls: list[str] = []

    def tell(url: str) -> None:
        urls.append(url)
        ready.set()

    with listen(settings) as listening:
        server = build_server(app, settings, tell)
        thread = threading.Thread(target=server.run, args=([listening],), name="test-server")
        thread.start()
        try:
            assert ready.wait(30)
            with httpx.Client(base_url=urls[0], timeout=30) as client:
                yield Running(urls[0], log, host, app, client)
        finally:
            server.should_exit = True
            thread.join()
            host.close()
            if made:
                log.close()
