"""Restoring from a roots topic that the brokers have compacted, and whatever order others left there."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from foldline.engine.defining import create_catalogue, define
from foldline.engine.identity import Identity, identity_of
from foldline.engine.learner import Learner, Pace
from foldline.engine.replay import replay
from foldline.engine.restore import read_standing, restore, rows_from
from foldline.log.open import open_log
from foldline.log.protocol import Log, Row
from foldline.loops.catalogue import Catalogue
from foldline.loops.topics import topics_of
from tests.engine.traffic import START, append, definition

PACE = Pace(max_records=25, root_every_ms=0, publish_every_ms=0)
LOOP = definition(1)
ROOTS = topics_of(LOOP).roots


@pytest.fixture
def log(kafka_url: str) -> Iterator[Log]:
    """A log with a loop."""
    with open_log(kafka_url) as opened:
        create_catalogue(opened)
        define(opened, Catalogue(), LOOP.name, lambda _: LOOP, holder="test", now=START)
        yield opened


def _let_compact(url: str) -> None:
    """From now on the roots topic is compacted as soon as the brokers come by."""
    wanted = {"segment.ms": "1", "min.cleanable.dirty.ratio": "0.0", "delete.retention.ms": "0"}
    change = AlterConfigOpType.SET
    entries = [ConfigEntry(name, value, incremental_operation=change) for name, value in wanted.items()]
    resource = ConfigResource(ResourceType.TOPIC, _name(url), incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": url.split("/")[2]})
    admin.incremental_alter_configs([resource])[resource].result(30)


def _name(url: str) -> str:
    return f"{url.rpartition('/')[2]}.{ROOTS}"


def _identity(log: Log) -> Identity:
    return identity_of(LOOP.fold(), log.topic(topics_of(LOOP).events), 0)


def _learn(log: Log, now: int) -> None:
    learner = Learner(log, LOOP, "one", PACE)
    while learner.step(now=now):
        now += 1
    learner.close(now=now)


def _standing(url: str, key: bytes) -> list[Row]:
    """The roots there now, asked for anew: who follows a topic keeps what it has read."""
    with open_log(url) as fresh:
        return [row for row in rows_from(fresh, ROOTS, 0, 0) if row.key == key]


def _await_compaction(log: Log, url: str, key: bytes) -> list[Row]:
    """Segments are closed by what comes after them; the newest one is never compacted."""
    deadline = time.monotonic() + 60
    while len(found := _standing(url, key)) > 2:
        assert time.monotonic() < deadline
        append(log, LOOP, 77, 10)
        _learn(log, START + 1_000)
    return found


def _check(log: Log, url: str) -> int:
    """Restored from the log alone it goes on to the bytes of one fold; the offset it went on from."""
    with open_log(url) as fresh:
        n = restore(fresh, ROOTS, LOOP.fold(), _identity(fresh)).n
        append(log, LOOP, 78, 30)
        _learn(fresh, START + 2_000)
        assert all(c.agrees and c.pending for c in replay(fresh, LOOP, batch=7).comparisons)
        return n


def test_a_compacted_topic_is_restored_from(log: Log, kafka_url: str) -> None:
    """Of dozens of roots and pages the newest stand; what is restored is the state as it was left."""
    append(log, LOOP, 1, 600)
    _learn(log, START)
    key = _identity(log).key().encode()
    assert len(_standing(kafka_url, key)) > 10
    last = restore(log, ROOTS, LOOP.fold(), _identity(log)).n
    _let_compact(kafka_url)
    assert len(_await_compaction(log, kafka_url, key)) <= 2
    assert _check(log, kafka_url) >= last


def test_an_older_root_that_stands_last_is_no_step_back(log: Log, kafka_url: str) -> None:
    """The highest n is restored from; where compaction has left only an older one, folding on gives the same."""
    append(log, LOOP, 2, 600)
    _learn(log, START)
    key = _identity(log).key().encode()
    roots = _standing(kafka_url, key)
    newest = read_standing(log, ROOTS, _identity(log)).roots[0].n
    producer = Producer({"bootstrap.servers": kafka_url.split("/")[2]})
    producer.produce(_name(kafka_url), roots[3].payload, key, partition=0)
    assert producer.flush(30) == 0
    with open_log(kafka_url) as fresh:
        standing = read_standing(fresh, ROOTS, _identity(fresh))
        assert standing.roots[0].n == newest
    _let_compact(kafka_url)
    deadline = time.monotonic() + 60
    while len(_standing(kafka_url, key)) > 1:
        assert time.monotonic() < deadline
        producer.produce(_name(kafka_url), b"", b"another key", partition=0)
        assert producer.flush(30) == 0
    assert _check(log, kafka_url) < newest
