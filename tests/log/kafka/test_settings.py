"""Topics that others made or changed, on a real cluster: what breaks a promise is refused, what only costs is said."""

import re

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from foldline.errors import LogError
from foldline.log.kafka.address import Address
from foldline.log.kafka.clients import SENT_BYTES
from foldline.log.kafka.settings import Standing, check_standing, faults_of, settings_for
from foldline.log.open import open_log
from foldline.log.protocol import Topic
from tests.log.kafka.altering import alter
from tools.kafka.sharing import Shared

MENDING = re.compile(r"--entity-name (\S+) --add-config (\S+)")

REFUSED = [
    (Topic("t", cleanup="compact"), {"cleanup.policy": "compact,delete"}, "deleted by age"),
    (Topic("t", cleanup="compact"), {"cleanup.policy": "delete"}, "deleted by age"),
    (Topic("t"), {"cleanup.policy": "compact,delete"}, "only the newest would stay"),
    (Topic("t"), {"message.timestamp.type": "LogAppendTime"}, "times in place"),
    (Topic("t"), {"max.message.bytes": "1000000"}, "could not be written"),
    (Topic("t"), {"message.timestamp.after.max.ms": "3600000"}, "stream time"),
    (Topic("t", lasting=True), {"retention.ms": "604800000"}, "nowhere else"),
    (Topic("t", lasting=True), {"retention.bytes": "1000000000"}, "nowhere else"),
]

SAID = [
    (Topic("t"), {"retention.ms": "604800000"}, "fold.retention_overtook"),
    (Topic("t"), {"retention.bytes": "1000000000"}, "fold.retention_overtook"),
    (Topic("t", retention_ms=5_000), {"retention.ms": "4000"}, "expected 5000"),
    (Topic("t"), {"message.timestamp.before.max.ms": "86400000"}, "after an outage"),
    (Topic("t", cleanup="compact"), {"segment.bytes": "1073741824"}, "compacted only once"),
]


def _made_by_others(broker: Shared, url: str, topic: Topic, changed: dict[str, str]) -> str:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    name = f"{url.rpartition('/')[2]}.{topic.name}"
    admin.create_topics([NewTopic(name, 1, config=settings_for(topic) | changed)])[name].result(30)
    return name


def _mend(broker: Shared, said: str) -> None:
    """Do what the message's command does."""
    found = MENDING.search(said)
    assert found is not None, said
    alter(broker.bootstrap, found[1], dict(pair.split("=") for pair in found[2].split(",")))


@pytest.mark.parametrize(("topic", "changed", "why"), REFUSED)
def test_what_breaks_a_promise_is_refused(
    topic: Topic, changed: dict[str, str], why: str, broker: Shared, kafka_url: str
) -> None:
    """By name, with what was found and expected; the command in the message mends it."""
    name = _made_by_others(broker, kafka_url, topic, changed)
    [(setting, found)] = changed.items()
    with open_log(kafka_url) as log:
        for ask in (log.create, log.examine):
            with pytest.raises(LogError, match=why) as raised:
                ask(topic)
            assert raised.value.code == "log.topic_conflict"
        said = str(raised.value)
        assert f"{setting} is {found}, expected {settings_for(topic).get(setting, '-1')}" in said
        assert f"--entity-name {name} " in said
    _mend(broker, said)
    with open_log(kafka_url) as log:
        assert log.create(topic).cleanup == topic.cleanup
        assert log.examine(topic) == []


@pytest.mark.parametrize(("topic", "changed", "why"), SAID)
def test_what_only_costs_is_said(
    topic: Topic, changed: dict[str, str], why: str, broker: Shared, kafka_url: str
) -> None:
    """The topic is taken as it is; the command in the message mends it."""
    _made_by_others(broker, kafka_url, topic, changed)
    with open_log(kafka_url) as log:
        log.create(topic)
        [said] = log.examine(topic)
        assert why in said
    _mend(broker, said)
    with open_log(kafka_url) as log:
        assert log.examine(topic) == []


def test_topics_of_ones_own_are_as_they_should_be(kafka_url: str) -> None:
    """On whatever cleanup; a longer retention than asked for is no fault."""
    with open_log(kafka_url) as log:
        for topic in (
            Topic("a"),
            Topic("b", 2, "compact"),
            Topic("c", retention_ms=9),
            Topic("d", lasting=True),
        ):
            log.create(topic)
            assert log.examine(topic) == []
        assert log.examine(Topic("c", retention_ms=8)) == []


def _standing(copies: int, **changed: str) -> Standing:
    """A topic as a cluster of several brokers has it."""
    settings = settings_for(Topic("t")) | {
        "message.timestamp.before.max.ms": f"{(1 << 63) - 1}",
        "retention.bytes": "-1",
        "unclean.leader.election.enable": "false",
        "min.insync.replicas": "2",
    }
    return Standing(Topic("t"), copies, settings | {k.replace("_", "."): v for k, v in changed.items()})


def test_fewer_copies_than_asked_for_are_refused() -> None:
    """With the way out; more are none of the log's business."""
    with pytest.raises(
        LogError, match=r"copies is 2, expected 3.*kafka-reassign-partitions.sh, or ask"
    ) as raised:
        check_standing(_standing(2), Topic("t"), Address("one:9092", replication=3))
    assert raised.value.code == "log.topic_conflict"
    assert "kafka-configs.sh" not in str(raised.value)
    for asked in (-1, 1, 2):
        assert check_standing(_standing(2), Topic("t"), Address("one:9092", replication=asked)) == []


def test_what_may_lose_acknowledged_records_is_found() -> None:
    """A leader that lags is refused; one broker that acknowledges alone is said. With one copy neither matters."""
    unclean = _standing(3, unclean_leader_election_enable="true")
    with pytest.raises(LogError, match="acknowledged be lost"):
        check_standing(unclean, Topic("t"), Address("one:9092"))
    [alone] = faults_of(_standing(3, min_insync_replicas="1"), Topic("t"), -1)
    assert (alone.expected, alone.breaks) == ("2", False)
    one = _standing(1, unclean_leader_election_enable="true", min_insync_replicas="1")
    assert list(faults_of(one, Topic("t"), -1)) == []


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One command mends it."""
    wrong = _standing(1, message_timestamp_type="LogAppendTime", max_message_bytes="1000")
    with pytest.raises(LogError) as raised:
        check_standing(wrong, Topic("t"), Address("one:9092", namespace="shop"))
    assert (
        "--bootstrap-server one:9092 --alter --entity-type topics --entity-name shop.t --add-config "
        f"message.timestamp.type=CreateTime,max.message.bytes={SENT_BYTES}" in str(raised.value)
    )


def test_brokers_that_do_not_know_a_setting_are_too_old() -> None:
    """As those before 3.6 do not know how far ahead a time may be."""
    standing = _standing(1)
    settings = {k: v for k, v in standing.settings.items() if not k.startswith("message.timestamp.after")}
    with pytest.raises(LogError, match=r"Apache Kafka 3\.6 or newer is needed") as raised:
        check_standing(Standing(standing.topic, 1, settings), Topic("t"), Address("one:9092"))
    assert raised.value.code == "log.unavailable"
