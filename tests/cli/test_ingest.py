"""`foldline ingest`: foreign topics copied by a process of its own, once each, however often it is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import foldline as fl
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log, Topic
from tests.cli.conftest import Ran
from tests.serving.processes import Process
from tools.ports import free_ports

Run = Callable[..., Ran]

CONFIG = """
[loops.news]
actions = ["a", "b"]
partitions = 2

[ingest.shop]
topic = "orders"
loop = "news"
type = "outcome"
where = { status = "paid" }

[ingest.shop.fields]
unit = "customer.id"
action = "shown"
propensity = { constant = 0.5 }
reward = "paid"
"""


def order(n: int) -> bytes:
    """One order; every tenth is open, and every seventh is shown what the loop does not know."""
    value = {
        "customer": {"id": n % 50},
        "shown": "nothing" if n % 7 == 6 else "ab"[n % 2],
        "paid": n % 3 / 2,
        "status": "open" if n % 10 == 9 else "paid",
    }
    return json.dumps(value).encode()


def expected(count: int) -> tuple[int, int, int]:
    """Copied, passed over and dead of so many orders."""
    passed = sum(n % 10 == 9 for n in range(count))
    dead = sum(n % 10 != 9 and n % 7 == 6 for n in range(count))
    return count - passed - dead, passed, dead


def produce(log: Log, first: int, count: int) -> None:
    """Orders, five a batch."""
    now = time.time_ns() // 1_000_000
    for start in range(first, first + count, 5):
        lines = [order(n) for n in range(start, start + 5)]
        log.append([Batch("orders", start // 5 % 3, b"\n".join(lines), 5, now, now)])


def outcomes(log: Log) -> list[str]:
    """The ids of what was copied."""
    return [
        json.loads(line)["id"]
        for partition in range(2)
        for row in rows_from(log, "news.events", partition, 0)
        for line in row.payload.split(b"\n")
        if b'"type":"outcome"' in line
    ]


def outcomes_of(url: str) -> list[str]:
    """The same, of a log that is not open."""
    with open_log(url) as log:
        return outcomes(log)


def test_once_from_another_log(run: Run, tmp_path: Path) -> None:
    """What stands there is copied, by options alone; a second run finds nothing new, and `topics list` says how far."""
    source, target = f"sqlite:///{tmp_path}/shop.db", f"sqlite:///{tmp_path}/news.db"
    with open_log(source) as log:
        log.create(Topic("orders", 3))
        produce(log, 0, 100)
    with fl.open(target) as app:
        app.loop("news", actions=["a", "b"], partitions=2)
    fields = [
        argument
        for each in ("unit=customer.id", "action=shown", "propensity=chance", "reward=paid")
        for argument in ("--field", each)
    ]
    options = [
        "ingest",
        "shop",
        "--topic",
        "orders",
        "--loop",
        "news",
        "--type",
        "outcome",
        *fields,
        "--once",
    ]
    where = ["--where", '{"status": "paid"}', "--source", source, "--log", target]
    done = run(*options, *where, "--json")
    assert json.loads(done.out) == [
        {"ingest": "shop", "partitions": 3, "copied": 0, "passed": 10, "dead": 90, "left": 0}
    ]
    listed = json.loads(run("topics", "list", "--log", target, "--json").out)
    (elsewhere,) = [each for each in listed if each["topic"] is None]
    assert sum(mark["dead"] for mark in elsewhere["ingests"]) == 90
    assert "shop" in run("topics", "list", "--log", target).out
    dead = json.loads(run("topics", "dead", "news.events", "--log", target, "--json").out.splitlines()[0])
    assert "no propensity" in json.dumps(dead)
    said = run("topics", "resend", "news.events", "--log", target).out
    assert "90 of ingests were left: foldline ingest --dead" in said
    mended = [each.replace("propensity=chance", "propensity=paid") for each in options[:-1]]
    tried = json.loads(run(*mended, "--dead", *where, "--json").out)
    good = sum(n % 10 != 9 and n % 7 != 6 and n % 3 != 0 for n in range(100))
    assert tried == [{"ingest": "shop", "copied": good, "passed": 0, "dead": 90 - good, "before": 0}]
    assert len(outcomes_of(target)) == good
    assert run("topics", "resend", "news.events", "--log", target, "--json").out.count('"letters": 0') == 1
    again = run(*options, *where)
    assert again.out.split()[-4:] == ["0", "10", "90", "0"]


def test_what_is_wrong_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    """No configuration, no such name, no such field, no such topic."""
    log = f"sqlite:///{tmp_path}/news.db"
    config = tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    bad = tmp_path / "bad.toml"
    bad.write_text('[ingest.shop]\ntopic = "orders"\nloop = "news"\ntype = "reward"\n')
    with fl.open(log) as app:
        app.loop("news", actions=["a", "b"], partitions=2)
    for arguments, says in (
        ([], "no ingest is configured"),
        (["other", "--config", str(config)], "no ingest 'other' is configured"),
        (["--config", str(bad)], "needs the fields ['value']"),
        (["x", "--topic", "orders"], "--topic needs one NAME and --loop"),
        (["x", "--topic", "orders", "--loop", "news", "--field", "unit"], "expected FIELD=SOURCE"),
        (["x", "--topic", "orders", "--loop", "news", "--where", "{"], "is not JSON"),
        (
            ["x", "--topic", "orders", "--loop", "news", "--type", "sale"],
            "'sale': expected one of record, reward,",
        ),
        (["--config", str(config), "--once"], "'orders'"),
    ):
        done = run("ingest", *arguments, "--log", log)
        assert done.status in (1, 2), arguments
        assert says in done.err
        assert len(done.err.strip().splitlines()) == 1


def test_a_configuration_is_enough(run: Run, tmp_path: Path) -> None:
    """Loops are defined as by every role; a source that is not there is said and not made."""
    url, gone = f"sqlite:///{tmp_path}/news.db", tmp_path / "gone.db"
    config = tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    with open_log(url) as log:
        log.create(Topic("orders", 3))
        produce(log, 0, 50)
        done = run("ingest", "--config", str(config), "--log", url, "--once", "--json")
        assert json.loads(done.out)[0]["copied"] == len(outcomes(log)) == expected(50)[0]
    config.write_text(CONFIG.replace('loop = "news"', f'loop = "news"\nsource = "sqlite:///{gone}"'))
    done = run("ingest", "--config", str(config), "--log", url, "--once")
    assert (done.status, gone.exists()) == (2, False)
    assert "found none" in done.err


def _killed_again_and_again(url: str, config: Path, log: Log, count: int) -> None:
    """Produce while an ingest is killed; then let one finish."""
    produced = 0
    while produced < count:
        with Process("ingest", "--log", url, "--config", str(config)) as running:
            running.ready()
            produce(log, produced, 100)
            produced += 100
            before = len(outcomes(log))
            deadline = time.monotonic() + 60
            while len(outcomes(log)) == before:
                assert time.monotonic() < deadline, "".join(running.lines)
                log.wait({("news.events", p): log.offsets("news.events", p)[1] for p in range(2)}, 0.2)
            running.popen.kill()
            running.popen.wait()
    with Process("ingest", "--log", url, "--config", str(config), "--once") as last:
        said: Any = last.ready()[0]  # type: ignore[index]  # an array, of one ingest
    assert (said["copied"], said["passed"], said["dead"]) == expected(count)
    ids = outcomes(log)
    assert len(ids) == len(set(ids)) == expected(count)[0]


def test_killed_it_copies_each_once(tmp_path: Path) -> None:
    """On the embedded log."""
    url, config = f"sqlite:///{tmp_path}/news.db", tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    with fl.open(url) as app:
        app.loop("news", actions=["a", "b"], partitions=2)
        app.log.create(Topic("orders", 3))
        _killed_again_and_again(url, config, app.log, 300)


def test_killed_on_kafka_it_copies_each_once(kafka_url: str, tmp_path: Path) -> None:
    """On Kafka, where copies and mark are one transaction."""
    config = tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    with fl.open(kafka_url) as app:
        app.loop("news", actions=["a", "b"], partitions=2)
        app.log.create(Topic("orders", 3))
        _killed_again_and_again(kafka_url, config, app.log, 300)


def test_two_share_a_source_on_kafka(kafka_url: str, tmp_path: Path) -> None:
    """One is killed and one is stopped in the middle and wakes when others have its partitions: each once."""
    config = tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    arguments = ("ingest", "--log", kafka_url, "--config", str(config))
    with open_log(kafka_url) as log, ExitStack() as stack:
        log.create(Topic("orders", 3))
        first, second = (stack.enter_context(Process(*arguments)) for _ in range(2))
        with Process(*arguments) as third:
            for running in (first, second, third):
                running.ready()
            produce(log, 0, 100)
            _await_copies(log, expected(100)[0], third)
            third.popen.kill()
        second.popen.send_signal(signal.SIGSTOP)
        produce(log, 100, 200)
        _await_copies(log, expected(300)[0], first)  # it has all partitions by then
        second.popen.send_signal(signal.SIGCONT)
        produce(log, 300, 100)
        _await_copies(log, expected(400)[0], first)
        assert (first.stop(), second.stop()) == (0, 0)
        ids = outcomes(log)
        assert len(ids) == len(set(ids)) == expected(400)[0]


def _await_copies(log: Log, count: int, running: Process) -> None:
    deadline = time.monotonic() + 60
    while len(outcomes(log)) < count:
        assert time.monotonic() < deadline, "".join(running.lines)
        log.wait({("news.events", p): log.offsets("news.events", p)[1] for p in range(2)}, 0.2)


def test_records_of_kcat_are_counted(kafka_url: str) -> None:
    """Written to an inbox by who knows neither partitions nor ids; the learner counts them, the poison is kept."""
    kcat = shutil.which("kcat")
    if kcat is None:
        reason = "needs kcat on the path (Debian: apt-get install kcat)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    servers, namespace = kafka_url.partition("://")[2].split("/")
    with fl.open(kafka_url) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        app.log.create(Topic("inbox", 2))
        records = [
            {"type": "outcome", "unit": f"u{n}", "action": "a", "propensity": 0.5, "reward": 1}
            for n in range(20)
        ]
        lines = [json.dumps(record) for record in records] + ["no json"]
        subprocess.run(
            [kcat, "-P", "-b", servers, "-t", f"{namespace}.inbox", "-H", "trace=7"],
            input="\n".join(lines).encode(),
            check=True,
        )
        options = ["--topic", "inbox", "--loop", "news", "--once", "--log", kafka_url]
        done = subprocess.run(
            [sys.executable, "-c", "from foldline.cli import main; main()", "ingest", "in", *options],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        news.reward(news.decide("last"), 0.0)
        news.catch_up()
        counts = news.counts()
        assert (counts["outcomes"], counts["dead"]) == (20, 0)
        dead = [row for p in range(2) for row in rows_from(app.log, "news.events.dlq", p, 0)]
        assert len(dead) == 1
        assert b'"headers":[["trace",' in dead[0].payload


def test_up_copies_too(tmp_path: Path) -> None:
    """What its configuration names; one that cannot go on is told of, and everything else goes on."""
    url, config = f"sqlite:///{tmp_path}/news.db", tmp_path / "foldline.toml"
    config.write_text(CONFIG + '\n[ingest.gone]\ntopic = "gone"\nloop = "news"\n')
    with open_log(url) as log:
        log.create(Topic("orders", 3))
        produce(log, 0, 50)
        with Process("up", "--log", url, "--config", str(config), "--port", str(free_ports()[0])) as up:
            base = up.ready()["url"]
            with httpx.Client(base_url=base, timeout=30) as client:
                deadline = time.monotonic() + 60
                while len(outcomes(log)) < expected(50)[0]:
                    assert time.monotonic() < deadline, "".join(up.lines)
                    log.wait({("news.events", p): log.offsets("news.events", p)[1] for p in range(2)}, 0.2)
                said = _until_degraded(client, deadline)
                assert client.get("/readyz").status_code == 200
                assert "foldline_ingests_failed 1.0" in client.get("/metrics").text
                log.create(Topic("gone"))  # what is not there may come yet
                while client.get("/readyz").json()["status"] != "ready":
                    assert time.monotonic() < deadline, "".join(up.lines)
                    time.sleep(0.05)
                assert "foldline_ingests_failed 0.0" in client.get("/metrics").text
            assert up.stop() == 0
    assert "ingest 'gone' has stopped" in said["degraded"][0]


def _until_degraded(client: httpx.Client, deadline: float) -> dict[str, Any]:
    while True:
        said: dict[str, Any] = client.get("/readyz").json()
        if "degraded" in said:
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
