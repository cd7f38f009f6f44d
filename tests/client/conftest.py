"""The real service in a process of its own, and a proxy that fails at chosen moments."""

import asyncio
import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from foldline.client.http import AsyncClient, Client
from foldline.client.retrying import Backoff
from foldline.log.open import open_log
from foldline.policies.split import Split
from foldline.records.codec import decode_records
from foldline.records.types import AnyRecord, Decision
from tests.client.proxy import Proxy

_names = itertools.count()

APP = Path(__file__).with_name("app.py")
"""A program that decides until it is killed."""


class Service:
    """`foldline up` on an SQLite log. It can be killed and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self.log = f"sqlite:///{folder / 'service.db'}"
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [
            sys.executable,
            "-c",
            "from foldline.cli import main; main()",
            "up",
            "--log",
            self.log,
            "--json",
        ]
        with (self.folder / "stderr").open("a") as errors:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)], stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self.folder / "stderr").read_text()
        self.port = int(json.loads(line)["url"].rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def records(self, loop: str) -> list[AnyRecord]:
        """Everything on a loop's event topic."""
        with open_log(self.log) as log:
            found: list[AnyRecord] = []
            topic = next(t for t in log.topics() if t.name == f"{loop}.events")
            for partition in range(topic.partitions):
                offset = 0
                while rows := log.read(topic.name, partition, offset):
                    for row in rows:
                        found += decode_records(row.payload)
                        offset = row.end
            return found


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that wants no keys, shared: every test has a loop of its own."""
    with running(tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own."""
    (tmp_path / "own").mkdir()
    with running(tmp_path / "own") as started:
        yield started


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Service]:
    """A started service."""
    one = Service(folder)
    one.start()
    try:
        yield one
    finally:
        one.kill()


@pytest.fixture
def loop(service: Service) -> str:
    """A new loop with the actions a and b on the shared service."""
    return define(service)


def define(service: Service, **settings: Any) -> str:
    """A new loop on a service; its name."""
    name = f"loop{next(_names)}"
    with Client(service.url) as client:
        client.loop(name).define(
            **{"actions": ["a", "b"], "policy": Split({"a": 0.63, "b": 0.37}), **settings}
        )
    return name


@pytest.fixture
def proxy(service: Service) -> Iterator[Proxy]:
    """A proxy before the shared service."""
    with Proxy(service.port) as made:
        yield made


class Awaited:
    """An async client whose calls are awaited at once, so that one test serves both."""

    def __init__(self, inner: object, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if asyncio.iscoroutinefunction(found):
            return lambda *args, **kwargs: self._runner.run(found(*args, **kwargs))
        if name == "loop":
            return lambda *args, **kwargs: Awaited(found(*args, **kwargs), self._runner)
        return found


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Makes clients of either kind; the async ones look like the sync ones."""
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(url: str, **settings: Any) -> Client:
            settings = {"backoff": Backoff(0.01, 0.05), **settings}
            if request.param == "sync":
                return stack.enter_context(Client(url, **settings))
            made = Awaited(AsyncClient(url, **settings), runner)
            stack.callback(made.close)
            return cast("Client", made)

        yield make


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Look again until something holds that another process does."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def decisions(records: list[AnyRecord]) -> list[Decision]:
    """The decisions among records."""
    return [record for record in records if isinstance(record, Decision)]
