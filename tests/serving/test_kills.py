"""SIGKILL at random moments under load: what was acknowledged is counted exactly once."""

import json
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import foldline as fl
from foldline.log.open import open_log
from tests.serving.load import Load
from tests.serving.processes import Process
from tools.ports import free_ports

CONFIG = '[loops.news]\nactions = ["a", "b"]\nsalt = "salt"\npartitions = 2\n'


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A log's URL."""
    return f"sqlite:///{tmp_path}/kills.db"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that defines the loop."""
    path = tmp_path / "foldline.toml"
    path.write_text(CONFIG)
    return path


def _ids(url: str, kind: str) -> Counter[str]:
    """How often each id stands on the log."""
    with open_log(url) as log:
        lines = [
            json.loads(line)
            for partition in range(2)
            for row in log.read("news.events", partition, 0, max_records=1_000_000)
            for line in row.payload.split(b"\n")
        ]
    return Counter(line["id"].split(".")[-1] for line in lines if line["type"] == kind)


def _check(url: str, load: Load) -> None:
    """Every decision and reward acknowledged is on the log, and the fold counts each once."""
    decisions, rewards = _ids(url, "decision"), _ids(url, "reward")
    assert load.decided <= decisions.keys()
    assert load.rewarded <= rewards.keys()
    with fl.open(url) as app:
        news = app.loop("news")
        news.decide("last", id="last")
        news.catch_up()
        ends = tuple(app.log.offsets("news.events", p)[1] for p in range(2))
        while news.bundle.cut != ends:
            app.log.wait({("news.bundles", 0): app.log.offsets("news.bundles", 0)[1]}, 1.0)
        counts = news.counts()
    assert counts["decisions"] == len(decisions) + 1
    assert counts["rewards"] == len(rewards)
    assert counts.reward_sum == len(rewards)
    assert (counts["unmatched"], counts["dead"]) == (0, 0)
    assert counts["duplicate_decisions"] == decisions.total() - len(decisions)


@contextmanager
def _running(*commands: list[str]) -> Iterator[list[Process]]:
    processes = [Process(*command) for command in commands]
    try:
        yield processes
    finally:
        for process in processes:
            process.__exit__(None, None, None)


def _kill_and_start(processes: list[Process], which: int, command: list[str]) -> None:
    processes[which].popen.kill()
    processes[which].popen.wait()
    processes[which].__exit__(None, None, None)
    processes[which] = Process(*command)


def test_up_killed_ten_times_loses_and_doubles_nothing(url: str, config: Path) -> None:
    """Clients send again what was not answered, with the same ids."""
    port = str(free_ports()[0])
    command = ["up", "--log", url, "--port", port, "--config", str(config)]
    rng = random.Random(20)
    with _running(command) as processes:
        base = processes[0].ready()["url"]
        with Load(base) as load:
            for _ in range(10):
                load.await_more(rng.randrange(20, 120))
                _kill_and_start(processes, 0, command)
                assert processes[0].ready()["url"] == base
            load.await_more(50)
            load.finish()
        assert load.decided == load.rewarded == load.sent
        assert processes[0].stop() == 0
    _check(url, load)


def test_serve_and_learn_killed_in_turn_lose_and_double_nothing(url: str, config: Path) -> None:
    """In several processes on one file; the survivor goes on."""
    port = str(free_ports()[0])
    serve = ["serve", "--log", url, "--port", port, "--config", str(config)]
    learn = ["learn", "--log", url, "--config", str(config)]
    rng = random.Random(21)
    with _running(learn, serve) as processes:
        processes[0].ready()
        base = processes[1].ready()["url"]
        with httpx.Client(base_url=base, timeout=30) as client:
            assert client.get("/v1/loops/news/bundle", params={"wait": 30}).status_code == 200
        with Load(base) as load:
            for which, command in [(0, learn), (1, serve), (0, learn), (1, serve)]:
                load.await_more(rng.randrange(20, 120))
                _kill_and_start(processes, which, command)
                processes[which].ready()
            load.await_more(50)
            load.finish()
        assert load.decided == load.rewarded == load.sent
        assert [process.stop() for process in processes] == [0, 0]
    _check(url, load)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains(url: str, config: Path, number: signal.Signals) -> None:
    """Every request answered 200 before the end is on the log; the status is 0 and the last line says so."""
    with Process("up", "--log", url, "--port", "0", "--config", str(config)) as up:
        with Load(up.ready()["url"], retry=False) as load:
            load.await_more(100)
            assert up.stop(number) == 0
        assert up.messages()[-1] == "stopped; everything accepted is on the log"
        assert not any('"level": "error"' in line for line in up.lines)
    assert load.decided <= _ids(url, "decision").keys()
    assert load.rewarded <= _ids(url, "reward").keys()
    with fl.open(url, learn=False) as app:
        assert app.loop("news").counts()["decisions"] == len(_ids(url, "decision"))
