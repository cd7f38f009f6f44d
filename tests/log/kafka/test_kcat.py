"""A client that knows nothing of this package, kcat, reports rewards and reads policies."""

import json
import os
import shutil
import subprocess

import pytest

import foldline as fl
from foldline.loops.bundle import decode_bundle
from foldline.loops.topics import topics_of
from foldline.records.hashing import partition_of


@pytest.fixture(scope="module")
def kcat() -> str:
    """Where it is; without it a skip with the reason, in CI a failure."""
    found = shutil.which("kcat")
    if found is None:
        reason = "needs kcat on the path (Debian: apt-get install kcat)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def test_kcat_reports_rewards_and_reads_the_policy(kcat: str, kafka_url: str) -> None:
    """A reward by decision, one by unit, a whole outcome; and the newest bundle with its estimates."""
    servers, namespace = kafka_url.partition("://")[2].split("/")

    def produce(partition: int, **record: object) -> None:
        subprocess.run(
            [kcat, "-P", "-b", servers, "-t", f"{namespace}.news.events", "-p", str(partition)],
            input=json.dumps({"time": 1_700_000_000_000, **record}).encode(),
            check=True,
        )

    with fl.open(kafka_url) as app:
        news = app.loop("news", actions=["a", "b"], policy=fl.EpsilonGreedy(0.1), partitions=2)
        first, second = news.decide(unit="u1"), news.decide(unit="u2")
        produce(partition_of("u1", 2), type="reward", id="r1", decision=first.id, value=1.0)
        produce(partition_of("u1", 2), type="reward", id="r1", decision=first.id, value=1.0)
        produce(partition_of("u2", 2), type="reward", id="r2", unit="u2", value=0.0)
        produce(
            partition_of("u3", 2), type="outcome", id="0.0.o", unit="u3", action="b", propensity=0.5, reward=1.0,
            bundle="external", definition=1,
        )  # fmt: skip
        for unit in ("u1", "u2", "u3"):  # what covers these covers what kcat wrote before
            news.reward(news.decide(unit=unit), 0.0)
        news.catch_up()
        counts = news.counts()
        topic = topics_of(news.definition).policy
    assert second.unit == "u2"
    assert (counts["rewards"], counts["duplicate_rewards"], counts["outcomes"]) == (5, 1, 1)
    read = subprocess.run(
        [kcat, "-C", "-b", servers, "-t", f"{namespace}.{topic}", "-o", "beginning", "-e", "-q"],
        capture_output=True,
        check=True,
    ).stdout
    bundle = decode_bundle(read.strip().splitlines()[-1])
    assert (bundle.loop, bundle.actions) == ("news", ("a", "b"))
