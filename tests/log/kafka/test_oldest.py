"""The oldest brokers claimed, and what is said of older ones."""

import os
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

import foldline as fl
from foldline.errors import LogError
from foldline.log.kafka.faults import OLDEST, fault
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
from tools.kafka.cluster import Cluster
from tools.kafka.jars import MissingTool

RELEASE = "3.6.2"


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one broker of the oldest release claimed; fetched once, some 43 MB."""
    cluster = Cluster(tmp_path_factory.mktemp("oldest"), RELEASE)
    try:
        cluster.up()
        yield cluster.bootstrap
    except MissingTool as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    finally:
        cluster.end()


def test_the_oldest_release_is_the_one_claimed() -> None:
    """What is tested is what the error for older ones names."""
    assert RELEASE.startswith(f"{OLDEST}.")


def test_a_loop_learns_on_the_oldest_brokers(oldest: str) -> None:
    """Topics, leases, a consumer group, transactions and bundles: what was decided and rewarded is in the bundle."""
    with fl.open(f"kafka://{oldest}/loop") as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        for number in range(20):
            news.reward(news.decide(f"u{number}"), 1)
        news.catch_up(60.0)
        assert (news.counts()["decisions"], news.counts().reward_sum) == (20, 20.0)


def test_the_log_holds_its_promises_on_the_oldest_brokers(oldest: str) -> None:
    """Single, packed and several batches, under a lease, compacted; topics stand as they were made."""
    with open_log(f"kafka://{oldest}/log") as log:
        asked = [Topic("t", 2), Topic("c", cleanup="compact"), Topic("d", retention_ms=60_000)]
        for topic in asked:
            log.create(topic)
            assert log.examine(topic) == []
        log.append([Batch("t", 0, b"a", 1, 5, 5)])
        log.append([Batch("t", 0, b"b\nc", 2, 5, 9), Batch("c", 0, b"v", 1, 5, 5, b"k")])
        lease = log.acquire("role", "one", 30.0)
        log.append([Batch("t", 1, b"d", 1, 5, 5)], lease=lease)
        assert log.acquire("role", "two", 30.0) is None
        assert [(row.payload, row.least, row.greatest) for row in log.read("t", 0, 0)] == [
            (b"a", 5, 5), (b"b\nc", 5, 9),
        ]  # fmt: skip
        assert [row.payload for row in log.read("t", 1, 0)] == [b"d"]
        assert [(row.key, row.payload) for row in log.read("c", 0, 0)] == [(b"k", b"v")]


@pytest.mark.parametrize(
    "said",
    [
        # As 3.5.2 answers when the first topic is created.
        KafkaError(KafkaError.INVALID_CONFIG, "Unknown topic config name: message.timestamp.after.max.ms"),
        KafkaError(KafkaError.UNSUPPORTED_VERSION, "The version of API is not supported."),
    ],
)
def test_older_brokers_are_named_as_such(said: KafkaError) -> None:
    """The error says which are needed."""
    found = fault(said, "creating topic 't'")
    assert isinstance(found, LogError)
    assert found.code == "log.unavailable"
    assert f"Apache Kafka {OLDEST} or newer is needed" in str(found)
    other = fault(KafkaError(KafkaError.INVALID_CONFIG, "Invalid value x for y"), "creating topic 't'")
    assert "newer" not in str(other)
