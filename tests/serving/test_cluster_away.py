"""The service while its Kafka cluster is away: it goes on, and nothing acknowledged is lost or counted twice."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import foldline as fl
from foldline.log.open import open_log
from foldline.log.outbox.mirror import MIRROR
from tests.serving.load import Load
from tests.serving.processes import Process
from tools.kafka.cluster import Cluster
from tools.kafka.sharing import Shared
from tools.ports import free_ports

CONFIG = '[loops.news]\nactions = ["a", "b"]\nsalt = "salt"\npartitions = 2\n'


@pytest.fixture
def cluster(tmp_path: Path, broker: Shared) -> Iterator[Cluster]:
    """A node of its own, to be killed; that the shared one stands says that it can be had."""
    made = Cluster(tmp_path / "kafka")
    made.up()
    try:
        yield made
    finally:
        made.down()


def _until(ready: Callable[[], Any], what: str, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.05)


def _readiness(client: httpx.Client) -> dict[str, Any]:
    answered = client.get("/readyz")
    assert answered.status_code == 200, answered.text
    said: dict[str, Any] = answered.json()
    return said


def _flag_reason(client: httpx.Client) -> str:
    """Of the loop as a flag, looked at without a decision."""
    (flag,) = client.post("/ofrep/v1/evaluate/flags", json={"context": {"targetingKey": "u1"}}).json()[
        "flags"
    ]
    reason: str = flag["reason"]
    return reason


def _metric(client: httpx.Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(name + " ")))


def _knows_a_bundle(outbox: Path) -> bool:
    with open_log(f"sqlite:///{outbox}") as local:
        rows = local.read(MIRROR, 0, 0, max_records=10_000)
    return any((row.key or b"").startswith(b"news.policy") for row in rows)


def _lines(url: str) -> list[list[dict[str, Any]]]:
    """The events of each partition."""
    with open_log(url) as log:
        found: list[list[dict[str, Any]]] = []
        for partition in range(2):
            offset, end = log.offsets("news.events", partition)
            found.append([])
            while rows := log.read("news.events", partition, offset, max_records=100_000, end=end):
                found[-1] += [json.loads(line) for row in rows for line in row.payload.split(b"\n")]
                offset = rows[-1].end
    return found


def _check(url: str, load: Load) -> None:
    """Every decision and reward acknowledged stands on the cluster, a reward after its decision; each counts once."""
    lines = _lines(url)
    ids = {
        kind: Counter(line["id"].split(".")[-1] for part in lines for line in part if line["type"] == kind)
        for kind in ("decision", "reward")
    }
    assert load.decided <= ids["decision"].keys()
    assert load.rewarded <= ids["reward"].keys()
    for part in lines:
        decided: set[str] = set()
        for line in part:
            if line["type"] == "decision":
                decided.add(line["id"])
            elif line["type"] == "reward":
                assert line["decision"] in decided, "a reward stands before its decision"
    with fl.open(url) as app:
        news = app.loop("news")
        _until(lambda: news.counts()["decisions"] >= len(ids["decision"]), "the fold to reach the end")
        _until(lambda: news.counts()["rewards"] >= len(ids["reward"]), "the fold to reach the end")
        counts = news.counts()
    assert counts["decisions"] == len(ids["decision"])
    assert counts["rewards"] == len(ids["reward"])
    assert counts.reward_sum == len(ids["reward"])
    assert (counts["unmatched"], counts["dead"]) == (0, 0)


@pytest.mark.timeout(300)
def test_broker_and_service_killed_under_load_lose_and_double_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The broker is killed; the service goes on, is killed with its outbox full, starts without the broker; drains."""
    url = f"kafka://{cluster.bootstrap}"
    config, outbox, port = tmp_path / "foldline.toml", tmp_path / "outbox.db", str(free_ports()[0])
    config.write_text(CONFIG)
    serve = ["serve", "--log", url, "--port", port, "--config", str(config), "--outbox", str(outbox)]
    with Process("learn", "--log", url, "--config", str(config)) as learn, Process(*serve) as first:
        learn.ready()
        base = first.ready()["url"]
        with httpx.Client(base_url=base, timeout=60) as client, Load(base) as load:
            assert client.get("/v1/loops/news/bundle", params={"wait": 30}).status_code == 200
            load.await_more(100)
            assert _readiness(client)["status"] == "ready"
            _until(lambda: _knows_a_bundle(outbox), "the file to know by what to decide after its death")
            cluster.kill(0)
            load.await_more(300)
            said = _readiness(client)
            assert said["status"] == "degraded"
            assert "the cluster has been away since" in said["degraded"][0]
            assert _metric(client, "foldline_cluster_away") == 1
            assert _metric(client, "foldline_outbox_waiting_records") > 300
            assert _flag_reason(client) == "STALE"
            assert client.put("/v1/loops/news", json={"actions": ["a", "c"]}).status_code == 503
            first.popen.kill()
            first.popen.wait()
            with Process(*serve) as second:
                assert second.ready()["url"] == base
                load.await_more(200)
                _until(lambda: _readiness(client)["status"] == "degraded", "the service to notice")
                cluster.start(0)
                _until(lambda: _readiness(client)["status"] == "ready", "the outbox to drain")
                assert _metric(client, "foldline_cluster_away") == 0
                assert _flag_reason(client) in ("SPLIT", "DEFAULT")
                assert _metric(client, "foldline_outbox_sent_records_total") > 400
                load.await_more(50)
                load.finish()
                assert load.decided == load.rewarded == load.sent
                assert second.stop() == 0
        assert learn.stop() == 0
    _check(url, load)


def test_a_first_start_needs_the_cluster(tmp_path: Path) -> None:
    """Without a policy to decide with, a service does not pretend to serve."""
    outbox = tmp_path / "outbox.db"
    with Process("serve", "--log", "kafka://127.0.0.1:1", "--port", "0", "--outbox", str(outbox)) as serve:
        assert serve.popen.wait(60) == 1
    said = "".join(serve.lines)
    assert "log.unavailable" in said
    assert "holds no policy to decide with" in said
