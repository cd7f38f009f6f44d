"""Learners on Kafka share the partitions evenly, and take over from those who go."""

import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from foldline.engine.defining import create_catalogue, define
from foldline.engine.host import Host
from foldline.engine.learner import Pace
from foldline.engine.replay import replay
from foldline.engine.worker import Worker
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from tests.engine.traffic import START, append, definition

PACE = Pace(root_every_ms=0, publish_every_ms=0)


def wall_clock() -> int:
    """Milliseconds."""
    return time.time_ns() // 1_000_000


@pytest.fixture
def log(kafka_url: str) -> Iterator[Log]:
    """An empty log on Kafka."""
    with open_log(kafka_url) as opened:
        create_catalogue(opened)
        yield opened


def _await(holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within half a minute."""
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _workers(host: Host) -> dict[int, Worker]:
    learner = host.learner("news")
    return {} if learner is None else dict(learner.workers)


def _owned(host: Host) -> set[int]:
    return set(_workers(host))


def _publishes(host: Host) -> bool:
    publisher = host._hosted["news"].publisher
    return publisher is not None and publisher.publishes


def test_learners_share_evenly_and_take_over(log: Log, kafka_url: str) -> None:
    """One has all; with a second each has half; when it goes, the first has all again, and nothing was folded twice."""
    loop = definition(4)
    define(log, Catalogue(), "news", lambda _: loop, holder="test", now=START)
    append(log, loop, 1, 100)
    hosts = []
    logs = [open_log(kafka_url) for _ in range(2)]
    for number, own in enumerate(logs):
        hosts.append(Host(own, holder=f"host{number}", learn=True, clock=wall_clock, pace=PACE))
    try:
        one, two = hosts
        one.add(loop)
        one.start()
        assert _await(lambda: _owned(one) == {0, 1, 2, 3})
        two.add(loop)
        two.start()
        assert _await(lambda: len(_owned(one)) == len(_owned(two)) == 2)
        assert _owned(one) | _owned(two) == {0, 1, 2, 3}
        append(log, loop, 2, 50)
        publishers = [0 in _owned(host) for host in hosts]
        assert _await(lambda: list(map(_publishes, hosts)) == publishers)
        two.close()
        assert _await(lambda: _owned(one) == {0, 1, 2, 3})
        append(log, loop, 3, 50)
        ends = [log.offsets("news.events", p)[1] for p in range(4)]
        assert _await(lambda: all(worker.n >= ends[p] - 1 for p, worker in _workers(one).items()))
    finally:
        for host in hosts:
            host.close()
        for own in logs:
            own.close()
    assert all(comparison.agrees for comparison in replay(log, loop, batch=7).comparisons)


def test_what_was_reached_is_committed_for_tools(log: Log, kafka_url: str) -> None:
    """A tool that shows a group's lag sees the offsets that the folds have reached; nobody else reads them."""
    loop = definition(2)
    define(log, Catalogue(), "news", lambda _: loop, holder="test", now=START)
    append(log, loop, 1, 50)
    servers, namespace = kafka_url.partition("://")[2].split("/")
    topic = f"{namespace}.news.events"
    with open_log(kafka_url) as own:
        host = Host(own, holder="host", learn=True, clock=wall_clock, pace=PACE)
        host.add(loop)
        host.start()
        consumer = Consumer({"bootstrap.servers": servers, "group.id": f"{namespace}.foldline.news"})

        def reached() -> bool:
            found = consumer.committed([TopicPartition(topic, p) for p in (0, 1)], timeout=10)
            return [place.offset for place in found] == [_workers(host)[p].n for p in (0, 1)]

        try:
            assert _await(lambda: len(_owned(host)) == 2)
            assert _await(reached)
        finally:
            consumer.close()
            host.close()
