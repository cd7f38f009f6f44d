"""Answers of a cluster that are lost, clients that have lost sight of it: asked again, replaced, or told in a line."""

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from foldline.errors import LogError
from foldline.log.kafka import catalogue
from foldline.log.kafka.fetcher import Fetcher
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.transactions import Transactor
from foldline.log.protocol import Batch, Topic
from foldline.testing.log_checks.subject import lines_of, read_all


@pytest.fixture
def log(kafka_url: str) -> Iterator[KafkaLog]:
    """An empty log on Kafka."""
    with KafkaLog(kafka_url) as opened:
        yield opened


class _Deaf:
    """The client's administrator, some of whose answers are lost after the cluster has done what was asked."""

    def __init__(self, admin: AdminClient, losses: int) -> None:
        self._admin, self._losses = admin, losses

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._admin, name)
        return partial(self._ask, asked) if name in ("create_topics", "delete_topics") else asked

    def _ask(self, asked: Any, topics: list[Any], **settings: Any) -> dict[str, Future[None]]:
        futures = asked(topics, **settings)
        if self._losses == 0:
            return dict(futures)
        self._losses -= 1
        lost: dict[str, Future[None]] = {}
        for name, future in futures.items():
            future.exception(30)
            lost[name] = Future()
            lost[name].set_exception(TimeoutError())
        return lost


def test_a_topic_whose_making_was_not_answered_is_asked_for_again(log: KafkaLog) -> None:
    """What stands then was made by the first try; likewise what is gone."""
    real = log._catalogue._admin
    log._catalogue._admin = cast("AdminClient", _Deaf(real, 1))
    made = log.create(Topic("t", partitions=2))
    assert (made.partitions, log.topic("t").id) == (2, made.id)
    log._catalogue._admin = cast("AdminClient", _Deaf(real, 1))
    log.delete("t")
    with pytest.raises(LogError, match="t"):
        log.topic("t")


class _Blind:
    """The client's consumer, after a broker that had just started has told it that a partition is unknown."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> Any:
        raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))

    def know(self, *_: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def test_a_client_that_has_lost_sight_of_a_partition_is_replaced(log: KafkaLog) -> None:
    """It would not look again for minutes."""
    log.create(Topic("t"))
    log.append([Batch("t", 0, b'{"a":1}', 1, 5, 5)])
    askers = (log._reader._committed, log._reader._written)
    for asker in askers:
        asker._consumer = cast("Consumer", _Blind(asker._ready()))
    assert log.offsets("t", 0) == (0, 1)
    assert log._reader.written(log._address.on_cluster("t"), 0) == 1
    assert [type(asker._consumer) for asker in askers] == [Consumer, Consumer]


def test_a_topic_that_cannot_be_looked_for_is_an_error_of_the_log(log: KafkaLog) -> None:
    """A learner goes on trying after one; it would end with any other."""
    log.create(Topic("s"))
    log.create(Topic("t"))
    log.read("s", 0, 0)
    assert log._reader._slots
    for slot in log._reader._slots:
        slot._fetcher = cast("Fetcher", _Blind(slot._fetcher))
    with pytest.raises(LogError, match=r"looking for .*_TRANSPORT") as raised:
        log.read("t", 0, 0)
    assert raised.value.code == "log.unavailable"


def test_a_cluster_that_never_answers_is_an_error(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, after the time of a call."""
    monkeypatch.setattr(catalogue, "CALL_S", 0.5)
    log._catalogue._admin = cast("AdminClient", _Deaf(log._catalogue._admin, 1_000_000))
    with pytest.raises(LogError, match=r"creating topic .*no answer within 0\.5 s") as raised:
        log.create(Topic("t"))
    assert raised.value.code == "log.unavailable"


class _Unsure:
    """A producer whose commit is not answered: after the cluster has made it, or before it has heard of it."""

    def __init__(self, producer: Producer, *, made: bool) -> None:
        self._producer, self._made = producer, made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, *given: Any) -> None:
        if self._made:
            self._producer.commit_transaction(*given)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))


def _producer_of(transactor: Transactor) -> Producer | None:
    return transactor._producer


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("leased", [True, False])
def test_a_producer_that_is_not_sure_of_its_commit_is_thrown_away(
    log: KafkaLog, made: bool, leased: bool
) -> None:
    """librdkafka#5423: the next transaction carries nothing of it, whatever became of it."""
    log.create(Topic("t", 2))
    lease = log.acquire("role", "one", 60.0) if leased else None
    [transactor] = log._leases._own.values() if leased else [log._together]

    def append(line: bytes) -> None:
        log.append([Batch("t", p, line, 1, 5, 5) for p in (0, 1)], lease=lease)

    append(b"before")
    producer = _producer_of(transactor)
    assert producer is not None
    transactor._producer = cast("Producer", _Unsure(producer, made=made))
    with pytest.raises(LogError) as raised:
        append(b"unsure")
    assert raised.value.code == "log.unavailable"
    assert _producer_of(transactor) is None
    append(b"after")
    assert _producer_of(transactor) not in (None, producer)
    expected = [b"before", b"unsure", b"after"] if made else [b"before", b"after"]
    assert [lines_of(read_all(log, "t", p)) for p in (0, 1)] == [expected] * 2
