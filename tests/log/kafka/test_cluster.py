"""A real cluster: opening, topics as others see and make them, messages of other clients, sizes."""

import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import (
    Consumer,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from foldline.errors import InputError, LogError
from foldline.log.kafka import stream
from foldline.log.kafka.catalogue import FRESH_S
from foldline.log.kafka.clients import MESSAGE_BYTES, OPEN_S
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.messages import HEADER
from foldline.log.open import open_log
from foldline.log.protocol import AHEAD_MS, Batch, Row, Topic
from foldline.records.dead_letter import DeadLetter
from tools.kafka.cluster import PASSWORD, USER
from tools.kafka.sharing import Shared


@pytest.fixture
def log(kafka_url: str) -> Iterator[KafkaLog]:
    """An empty log on Kafka."""
    with KafkaLog(kafka_url) as opened:
        yield opened


@pytest.fixture
def admin(broker: Shared) -> AdminClient:
    """Another client of the cluster."""
    return AdminClient({"bootstrap.servers": broker.bootstrap})


def _name(log: KafkaLog, topic: str) -> str:
    return f"{log.url.rpartition('/')[2]}.{topic}"


def _make(admin: AdminClient, name: str, **config: str) -> None:
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(name, 1, config=settings)])[name].result(30)


@pytest.mark.parametrize("server", ["127.0.0.1:1", "no-such-host.invalid:9092"])
def test_a_cluster_that_does_not_answer_is_an_error(server: str) -> None:
    """Within seconds, with the client's reason."""
    started = time.monotonic()
    with pytest.raises(LogError, match=r"refused|resolve") as raised:
        open_log(f"kafka://{server}")
    assert raised.value.code == "log.unavailable"
    assert time.monotonic() - started < 3 * OPEN_S


def test_a_wrong_password_is_an_error_at_once(broker: Shared) -> None:
    """The client alone would try for ever in silence."""
    url = (
        f"kafka://{broker.bootstrap_sasl}/t?security.protocol=SASL_PLAINTEXT&sasl.mechanism=PLAIN"
        f"&sasl.username={USER}&sasl.password="
    )
    with open_log(url + PASSWORD) as log:
        assert log.topics() == []
    with pytest.raises(LogError, match="refuses this client") as raised:
        open_log(url + "wrong")
    assert raised.value.code == "log.unavailable"


def _over_tls(broker: Shared, authority: Path, password: str = PASSWORD) -> str:
    return (
        f"kafka://{broker.bootstrap_tls}/t?security.protocol=SASL_SSL&sasl.mechanism=PLAIN"
        f"&sasl.username={USER}&sasl.password={password}&ssl.ca.location={authority}"
    )


def test_tls_is_spoken_where_asked_for(broker: Shared, tmp_path: Path) -> None:
    """Records go through; the password may stand in a file of properties."""
    with open_log(_over_tls(broker, broker.authority)) as log:
        log.create(Topic("secret"))
        log.append([Batch("secret", 0, b"x", 1, 5, 5)])
        assert [row.payload for row in log.read("secret", 0, 0)] == [b"x"]
        log.delete("secret")
    file = tmp_path / "client.properties"
    file.write_text(f"sasl.password={PASSWORD}\n")
    url = _over_tls(broker, broker.authority).replace(f"&sasl.password={PASSWORD}", "")
    with open_log(f"{url}&foldline.properties={file}") as log:
        assert log.topics() == []


def test_what_tls_refuses_is_an_error_within_seconds(broker: Shared) -> None:
    """A wrong password, an authority that did not sign, no TLS at all; each with what to look at."""
    ca, plain = broker.authority, f"kafka://{broker.bootstrap_tls}/t"
    for url, says in (
        (_over_tls(broker, ca, "wrong"), "see user, password, rights"),
        (_over_tls(broker, ca.with_name("other.pem")), r"name the authority .* with ssl\.ca\.location"),
        (plain, "which security.protocol it wants"),
    ):
        started = time.monotonic()
        with pytest.raises(LogError, match=says) as raised:
            open_log(url)
        assert raised.value.code == "log.unavailable"
        assert "only-for-tests" not in str(raised.value)
        assert time.monotonic() - started < 3 * OPEN_S


def test_unknown_properties_are_refused(broker: Shared) -> None:
    """By the client's own word for them."""
    with pytest.raises(LogError, match=r"no\.such\.property") as raised:
        open_log(f"kafka://{broker.bootstrap}?no.such.property=1")
    assert raised.value.code == "log.url"


def test_topics_are_made_with_what_the_log_needs(log: KafkaLog, admin: AdminClient) -> None:
    """Cleanup, retention, segments that close, sizes and times; the id is Kafka's."""
    made = {
        t.name: log.create(t)
        for t in (Topic("d", 3, retention_ms=5_000), Topic("k"), Topic("c", 2, "compact"))
    }
    settings = {}
    for topic in made:
        resource = ConfigResource(ResourceType.TOPIC, _name(log, topic))
        settings[topic] = admin.describe_configs([resource])[resource].result(30)
    assert settings["d"]["retention.ms"].value == "5000"
    assert settings["k"]["retention.ms"].value == "-1"
    # Whatever the brokers' own default is.
    kept = settings["k"]["retention.bytes"]
    assert (kept.value, kept.is_default) == ("-1", False)
    assert settings["c"]["cleanup.policy"].value == "compact"
    assert settings["c"]["segment.bytes"].value == str(64 << 20)
    assert settings["c"]["message.timestamp.after.max.ms"].value == "60000"
    assert int(settings["d"]["max.message.bytes"].value) > MESSAGE_BYTES
    described = admin.describe_topics(TopicCollection([_name(log, "d")]))[_name(log, "d")].result(30)
    assert len(described.partitions) == 3
    assert bytes.fromhex(made["d"].id) == _bytes_of(str(described.topic_id))
    assert log.topics() == [made["c"], made["d"], made["k"]]


def _bytes_of(id: str) -> bytes:
    """Kafka writes ids in base64, with - and _."""
    import base64

    return base64.urlsafe_b64decode(id + "==")


def test_a_topic_of_others_is_checked(log: KafkaLog, admin: AdminClient) -> None:
    """Other partitions or cleanup are a clear error; made again by others it is seen to be another."""
    _make(admin, _name(log, "t"), cleanup_policy="compact")
    with pytest.raises(LogError, match=r"cleanup\.policy is compact") as raised:
        log.create(Topic("t"))
    assert raised.value.code == "log.topic_conflict"
    first = log.topic("t").id
    log.append([Batch("t", 0, b"old", 1, 5, 5, b"k")])
    assert len(log.read("t", 0, 0)) == 1
    admin.delete_topics([_name(log, "t")])[_name(log, "t")].result(30)
    _make(admin, _name(log, "t"), cleanup_policy="compact")
    deadline = time.monotonic() + 30
    while [topic.id for topic in log.topics()] in ([], [first]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(FRESH_S)
    assert log.topic("t").id != first
    assert log.offsets("t", 0) == (0, 0)
    assert log.read("t", 0, 0) == []


def test_more_copies_than_brokers_are_refused(kafka_url: str) -> None:
    """The property reaches the cluster, and its refusal the caller."""
    with (
        open_log(f"{kafka_url}?foldline.replication=9") as log,
        pytest.raises(LogError, match=r"rules of this cluster forbid it .*REPLICATION_FACTOR"),
    ):
        log.create(Topic("t"))


def test_messages_of_other_clients_are_rows(log: KafkaLog) -> None:
    """One record each, with the message's time; a packed one says so in the header; nonsense there is passed over."""
    log.create(Topic("t"))
    producer = Producer({"bootstrap.servers": log.url.split("/")[2]})
    sent: list[tuple[bytes | None, bytes | None, Any]] = [
        (b'{"a":1}', None, None),
        (b"a\nb", b"key", None),
        (None, b"gone", None),
        (b"a\nb\nc", None, [(HEADER, b"2")]),
        (b"a\nb", None, [(HEADER, b"2 100 200"), ("ce_id", b"x")]),
        (b"a\nb", None, [(HEADER, b"many"), (HEADER, b"-1")]),
        (b"one", None, [(HEADER, b"7")]),
        (b"a\nb", None, [(HEADER, b"2 1800000000000 1900000000000")]),
    ]
    for value, key, headers in sent:
        producer.produce(
            _name(log, "t"), value, key, partition=0, timestamp=1_700_000_000_000, headers=headers
        )
    assert producer.flush(30) == 0
    time_ = 1_700_000_000_000
    log.offsets("t", 0)
    assert log.read("t", 0, 0) == [
        Row(0, 1, b'{"a":1}', time_, time_),
        Row(1, 1, b"a\nb", time_, time_, b"key"),
        Row(2, 1, b"", time_, time_, b"gone"),
        Row(3, 3, b"a\nb\nc", time_, time_, None, packed=True),
        Row(4, 2, b"a\nb", 100, 200, None, packed=True, headers=(("ce_id", b"x"),)),
        Row(5, 1, b"a\nb", time_, time_),
        Row(6, 1, b"one", time_, time_),
        Row(7, 2, b"a\nb", time_ + AHEAD_MS, time_ + AHEAD_MS, None, packed=True),
    ]


def test_other_clients_read_plain_json(log: KafkaLog) -> None:
    """One record is its message's value, its time the timestamp; a tombstone has no value."""
    log.create(Topic("c", cleanup="compact"))
    log.append([Batch("c", 0, b'{"a":1}', 1, 5, 5, b"k")])
    log.append([Batch("c", 0, b"", 1, 6, 6, b"k")])
    servers = log.url.split("/")[2]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "other", "enable.auto.commit": False})
    consumer.assign([TopicPartition(_name(log, "c"), 0, 0)])
    plain, tombstone = consumer.consume(2, 30)
    consumer.close()
    assert json.loads(plain.value() or b"") == {"a": 1}
    assert (plain.key(), plain.timestamp()[1], plain.headers()) == (b"k", 5, None)
    assert (tombstone.value(), tombstone.timestamp()[1]) == (None, 6)


def _messages(log: KafkaLog, topic: str, count: int) -> list[Message]:
    """What another client reads."""
    servers = log.url.split("/")[2]
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "other", "enable.auto.commit": False})
    consumer.assign([TopicPartition(_name(log, topic), 0, 0)])
    messages = consumer.consume(count, 30)
    consumer.close()
    assert len(messages) == count
    return messages


def test_single_records_are_cloud_events(log: KafkaLog, kafka_url: str) -> None:
    """Attributes as headers (CloudEvents 1.0, Kafka binding); packed records and what is no record have none."""
    log.create(Topic("t"))
    reward = b'{"type":"reward","time":1700000000123,"id":"r1","decision":"0.0.d","value":1.0}'
    tick = b'{"type":"tick","time":1700000000123}'
    for payload, count in ((reward, 1), (tick, 1), (tick + b"\n" + tick, 2), (b"no record", 1)):
        log.append([Batch("t", 0, payload, count, 1_700_000_000_123, 1_700_000_000_123)])
    with open_log(f"{kafka_url}?foldline.cloudevents=false") as plain:
        plain.append([Batch("t", 0, tick, 1, 1_700_000_000_123, 1_700_000_000_123)])
    first, second, packed, text, without = (dict(m.headers() or []) for m in _messages(log, "t", 5))
    assert first == {
        "ce_specversion": b"1.0",
        "ce_id": b"r1",
        "ce_type": b"foldline.reward",
        "ce_source": b"/topics/t",
        "ce_time": b"2023-11-14T22:13:20.123Z",
        "content-type": b"application/json",
    }
    assert (second["ce_type"], second["ce_id"]) == (b"foldline.tick", b"tick.1700000000123")
    assert (packed, text, without) == ({HEADER: b"2"}, {}, {})
    log.offsets("t", 0)
    assert [row.headers for row in log.read("t", 0, 0)] == [()] * 5


def test_dead_letters_are_written_as_connect_writes_them(log: KafkaLog) -> None:
    """The raw bytes and their own headers, and what was wrong as headers; read back, the letter as it was."""
    log.create(Topic("e.dlq"))
    letter = DeadLetter(
        time=5, fold="policy", topic="e", partition=1, offset=7, index=2, code="record.schema",
        error="expected a number – given text", payload=b"\xff\nraw", headers=(("trace", b"\xfe"), ("ce_id", b"x")),
        key=b"u1",
    )  # fmt: skip
    log.append([Batch("e.dlq", 0, msgspec.json.encode(letter), 1, 5, 5)])
    [message] = _messages(log, "e.dlq", 1)
    headers = dict(message.headers() or [])
    assert (message.key(), message.value()) == (b"u1", b"\xff\nraw")
    assert headers["trace"] == b"\xfe"
    assert headers["__connect.errors.topic"] == b"e"
    assert headers["__connect.errors.partition"] == b"1"
    assert headers["__connect.errors.offset"] == b"7"
    assert headers["__connect.errors.exception.class.name"] == b"record.schema"
    assert headers["__connect.errors.exception.message"] == letter.error.encode()
    log.offsets("e.dlq", 0)
    [row] = log.read("e.dlq", 0, 0)
    assert msgspec.json.decode(row.payload, type=DeadLetter) == letter


def test_headers_of_other_clients_are_kept(log: KafkaLog) -> None:
    """Beside the row, CloudEvents of theirs too."""
    log.create(Topic("t"))
    producer = Producer({"bootstrap.servers": log.url.split("/")[2]})
    producer.produce(_name(log, "t"), b"x", partition=0, headers=[("a", b"1"), ("ce_id", b"7"), ("a", b"2")])
    assert producer.flush(30) == 0
    log.offsets("t", 0)
    assert [row.headers for row in log.read("t", 0, 0)] == [(("a", b"1"), ("ce_id", b"7"), ("a", b"2"))]


def test_batches_too_large_are_refused(log: KafkaLog, admin: AdminClient) -> None:
    """By the log where it knows, by the broker where a topic of others takes less; the error says what to do."""
    log.create(Topic("t"))
    [offset] = log.append([Batch("t", 0, b"x" * MESSAGE_BYTES, 1, 5, 5)])
    assert len(log.read("t", 0, offset)[0].payload) == MESSAGE_BYTES
    _make(admin, _name(log, "small"), max_message_bytes="1000")
    # Of what is compressed, the broker sees what is left.
    text = random.Random(0).randbytes(1000).hex().encode()
    large, fits = Batch("small", 0, text, 1, 5, 5), Batch("small", 0, b"x", 1, 5, 5)
    lease = log.acquire("role", "one", 10.0)
    calls: list[Callable[[], object]] = [
        lambda: log.append([Batch("t", 0, b"x" * (MESSAGE_BYTES + 1), 1, 5, 5)]),
        lambda: log.append([large]),
        lambda: log.append([fits, large]),
        lambda: log.append([large], lease=lease),
    ]
    for call in calls:
        with pytest.raises(InputError, match="in parts"):
            call()
    assert log.read("small", 0, 0) == []
    log.append([fits])
    log.append([fits, fits])
    log.append([fits], lease=lease)
    assert [row.payload for row in log.read("small", 0, 0)] == [b"x"] * 4


def test_a_reader_far_ahead_holds_up_no_other(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions read in turn, each with more waiting than fits, and one of them from two places."""
    monkeypatch.setattr(stream, "FULL_ROWS", 300)
    monkeypatch.setattr(stream, "KEPT_ROWS", 100)
    log.create(Topic("t", 3))
    for partition in range(3):
        log.append([Batch("t", partition, b"%d" % n, 1, 5, 5) for n in range(2_000)])
    reached = dict.fromkeys((0, 1, 2, "again"), 0)
    seen: dict[object, list[bytes]] = {reader: [] for reader in reached}
    while any(len(lines) < 2_000 for lines in seen.values()):
        for reader, offset in reached.items():
            partition, most = (reader, 70) if isinstance(reader, int) else (0, 30)
            rows = log.read("t", partition, offset, max_records=most)
            seen[reader] += [row.payload for row in rows]
            reached[reader] = rows[-1].end if rows else offset
    assert all(lines == [b"%d" % n for n in range(2_000)] for lines in seen.values())


def test_a_broken_producer_is_replaced(log: KafkaLog) -> None:
    """After an error that a producer cannot survive the next append has another one."""
    log.create(Topic("t"))
    log.append([Batch("t", 0, b"a", 1, 5, 5)])
    broken = log._writer._producer
    log._writer._renew(broken)
    log._writer._renew(broken)
    log.append([Batch("t", 0, b"b", 1, 5, 5)])
    assert log._writer._producer is not broken
    assert [row.payload for row in log.read("t", 0, 0)] == [b"a", b"b"]
