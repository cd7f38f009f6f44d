"""Live updates: one look for all viewers, streams of changes, slow and vanished clients."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import pytest

import foldline as fl
from foldline.dashboard import live as live_module
from foldline.dashboard import shared as shared_module
from foldline.dashboard.shared import Shared
from tests.dashboard.site import served


@dataclass(frozen=True)
class _View:
    version: str


class _Source:
    """Says how often it was read, and in which thread."""

    def __init__(self) -> None:
        self.version = 0
        self.reads = 0
        self.threads: set[str] = set()

    def read(self) -> _View:
        self.reads += 1
        self.threads.add(threading.current_thread().name)
        return _View(str(self.version))


def test_many_viewers_share_one_look() -> None:
    """A hundred who ask at once cause one read, in another thread; asked too soon, the view is the last one."""
    source = _Source()
    shared: Shared[_View] = Shared(source.read, every_s=60)

    async def run() -> list[_View]:
        views = await asyncio.gather(*(shared.get() for _ in range(100)))
        return [*views, await shared.get()]

    views = asyncio.run(run())
    assert source.reads == 1
    assert len(set(map(id, views))) == 1
    assert threading.current_thread().name not in source.threads


def test_versions_skip_what_a_slow_listener_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that comes late gets the present version only; without change it hears that the line is alive."""
    monkeypatch.setattr(shared_module, "QUIET_S", 0.05)
    source = _Source()
    shared: Shared[_View] = Shared(source.read, every_s=0.001)

    async def run() -> list[str | None]:
        versions = shared.versions()
        heard = [await anext(versions)]
        source.version = 5
        await asyncio.to_thread(lambda: None)
        heard.append(await anext(versions))
        heard.append(await anext(versions))
        await versions.aclose()  # type: ignore[attr-defined]  # an async generator
        return heard

    assert asyncio.run(run()) == ["0", "5", None]


def test_a_failing_look_is_told_to_whoever_asks() -> None:
    """The next look is a new try."""
    fails = [True]

    def read() -> _View:
        if fails.pop() if fails else False:
            raise fl.FoldlineError("log.unavailable", "away")
        return _View("1")

    shared: Shared[_View] = Shared(read, every_s=0)

    async def run() -> str:
        with pytest.raises(fl.FoldlineError):
            await shared.get()
        return (await shared.get()).version

    assert asyncio.run(run()) == "1"


def test_a_change_is_told(app: fl.Foldline, site: str) -> None:
    """The stream says the version at once, and another one once something was folded."""
    with httpx.stream("GET", f"{site}/live?of=loops/news", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = (line for line in answer.iter_lines() if line.startswith("data:"))
        first = next(lines)
        news = app.loop("news")
        news.decide("told")
        assert next(lines) != first


def test_vanished_listeners_leave_nothing(app: fl.Foldline) -> None:
    """Connections that break are counted out; a client that reads nothing holds up nobody."""
    with served(app.log) as address:
        host, port = address.removeprefix("http://").split(":")
        slow = [_listen(host, int(port)) for _ in range(5)]
        _until(lambda: _listeners(address) == 5)
        assert httpx.get(address, timeout=20).status_code == 200
        for connection in slow:
            connection.close()
        _until(lambda: _listeners(address) == 0)


def test_too_many_listeners_are_sent_away(app: fl.Foldline, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 says so, and when to come back."""
    monkeypatch.setattr(live_module, "MOST_LISTENERS", 0)
    with served(app.log) as address:
        answer = httpx.get(f"{address}/live?of=overview")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "http.overloaded")
    assert int(answer.headers["retry-after"]) > 0


def _listen(host: str, port: int) -> socket.socket:
    connection = socket.create_connection((host, port), 10)
    connection.sendall(f"GET /live?of=overview HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return connection


def _listeners(address: str) -> int:
    from tests.dashboard.site import LIVE

    return LIVE[address].listeners


def _until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
