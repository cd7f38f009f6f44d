"""Confluent's wire format: against bytes worked out by hand, against Confluent's own serializers, and on a broker.

The registry is the client library's own stand-in (`mock://`), kept in this process; no real registry was asked.
"""

import json
import random
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaReference, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

import foldline as fl
from foldline.errors import LogError
from foldline.log.kafka.address import parse_address
from foldline.log.kafka.avro import AvroForm
from foldline.log.kafka.log import KafkaLog
from foldline.log.protocol import Batch, Row, Topic
from foldline.records.avro import avro_schema
from foldline.records.codec import encode
from foldline.records.types import Activation, Record, Reward

ACTIVATION = Activation(time=1, decision="0.0.a")
REWARD = Reward(time=64, id="r", unit="u", value=0.5)

BY_HAND = {
    # time 1, zigzag 2; a text of 5 bytes, zigzag 10
    "activation": (ACTIVATION, "02 0a 30 2e 30 2e 61"),
    # time 64, zigzag 128 in two bytes; "r"; null; branch 1 "u"; "reward"; 0.5 little-endian; null
    "reward": (REWARD, "80 01 02 72 00 02 02 75 0c 72 65 77 61 72 64 00 00 00 00 00 00 e0 3f 00"),
}
"""Avro's binary encoding of records (specification 1.11, section binary encoding)."""


def _row(payload: bytes) -> Row:
    return Row(5, 1, payload, 0, 0)


@pytest.mark.parametrize("name", BY_HAND)
def test_bytes_are_those_of_the_specification(name: str) -> None:
    """A zero byte, the id of the schema in four bytes, the value; and read back it is the record's line."""
    record, body = BY_HAND[name]
    form = AvroForm("mock://hand")
    message = form.write(encode(record), "news.events")
    assert message is not None
    assert message == b"\x00" + (1).to_bytes(4, "big") + bytes.fromhex(body)
    assert [row.payload for row in form.read([_row(message), _row(b"{}")])] == [encode(record), b"{}"]


def test_confluents_own_serializers_agree() -> None:
    """What they write is read here, and the other way round."""
    form = AvroForm("mock://both")
    client: Any = form._client
    context = SerializationContext("news.events", MessageField.VALUE)
    text = json.dumps(avro_schema("reward"))
    value = {
        "time": 64,
        "id": "r",
        "decision": None,
        "unit": "u",
        "name": "reward",
        "value": 0.5,
        "occurred": None,
    }
    written: Any = AvroSerializer(client, text)(value, context)
    assert form.read([_row(written)])[0].payload == encode(REWARD)
    ours = form.write(encode(REWARD), "news.events")
    assert ours is not None
    assert AvroDeserializer(client)(ours, context) == value
    assert ours[5:] == written[5:]


def test_what_cannot_be_read_stays_as_it_is() -> None:
    """An id that the registry does not know, bytes that end early, bytes left over: for the fold to refuse."""
    form = AvroForm("mock://poison")
    good = form.write(encode(REWARD), "t")
    assert good is not None
    for bad in (b"\x00\x00\x00\x00\x63abc", good[:-9], good + b"x", b"\x00\x01"):
        assert form.read([_row(bad)])[0].payload == bad


def _serialized(client: Any, schema: dict[str, Any], value: Any, **settings: Any) -> tuple[bytes, Row]:
    """What Confluent's serializer makes of a value, and the row of its message."""
    headers: list[Any] = []
    serializer: Any = AvroSerializer(client, json.dumps(schema), conf=settings)
    payload = serializer(value, SerializationContext("t", MessageField.VALUE, headers))
    return payload, Row(5, 1, payload, 0, 0, headers=tuple(headers))


def test_a_schema_named_in_a_header_is_found() -> None:
    """Newer clients leave the value bare and put the schema's GUID beside it; an id may stand there too."""
    form = AvroForm("mock://header")
    client: Any = form._client
    value = {"time": 1, "decision": "0.0.a"}
    payload, row = _serialized(
        client, avro_schema("activation"), value, **{"schema.id.serializer": header_schema_id_serializer}
    )
    assert payload == bytes.fromhex(BY_HAND["activation"][1])
    assert [(name, data[:1], len(data)) for name, data in row.headers] == [("__value_schema_id", b"\x01", 17)]
    by_id = (("__value_schema_id", b"\x00" + (1).to_bytes(4, "big")),)
    before = Row(
        5, 1, row.headers[0][1] + payload, 0, 0
    )  # the GUID before the value, where an id would stand
    rows = [row, Row(5, 1, payload, 0, 0, headers=by_id), before]
    assert [each.payload for each in form.read(rows)] == [encode(ACTIVATION)] * 3
    assert [each.headers for each in form.read(rows)] == [()] * 3
    unknown = Row(5, 1, payload, 0, 0, headers=(("__value_schema_id", b"\x01" + b"g" * 16),))
    assert form.read([unknown]) == [unknown]


def test_schemas_that_refer_to_others_are_read() -> None:
    """Those are asked for, and those that they refer to."""
    form = AvroForm("mock://references")
    client: Any = form._client
    country = {
        "type": "record",
        "name": "Country",
        "namespace": "shop",
        "fields": [{"name": "code", "type": "string"}],
    }
    customer = {
        "type": "record", "name": "Customer", "namespace": "shop",
        "fields": [{"name": "id", "type": "long"}, {"name": "from", "type": "shop.Country"}],
    }  # fmt: skip
    client.register_schema("country", Schema(json.dumps(country), "AVRO"))
    refers = [SchemaReference("shop.Country", "country", 1)]
    number = client.register_schema("customer", Schema(json.dumps(customer), "AVRO", refers))
    # id 3, zigzag 6; a text of 2 bytes
    row = _row(b"\x00" + number.to_bytes(4, "big") + b"\x06\x04DE")
    assert json.loads(form.read([row])[0].payload) == {"id": 3, "from": {"code": "DE"}}


def test_no_bytes_stop_a_reader() -> None:
    """Values of types that have ranges of their own, and schemas of other kinds: whatever cannot be read stays."""
    form = AvroForm("mock://bytes")
    client: Any = form._client
    schema = {
        "type": "record", "name": "Any",
        "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "day", "type": {"type": "int", "logicalType": "date"}},
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
            {"name": "parts", "type": {"type": "map", "values": "bytes"}},
        ],
    }  # fmt: skip
    number = client.register_schema("any", Schema(json.dumps(schema), "AVRO"))
    other = client.register_schema("other", Schema('syntax = "proto3";', "PROTOBUF"))
    rng = random.Random(3)
    bodies = [
        bytes(rng.choice([0, 2, 4, 255, rng.randrange(256)]) for _ in range(n % 40)) for n in range(2_000)
    ]
    rows = [_row(b"\x00" + number.to_bytes(4, "big") + body) for body in bodies]
    late = _row(b"\x00" + number.to_bytes(4, "big") + b"\xfe" * 8 + b"\x7f" + bytes(20))  # no date is so late
    foreign = _row(b"\x00" + other.to_bytes(4, "big") + b"\x06")
    read = form.read([*rows, late, foreign])
    assert read[-2:] == [late, foreign]
    packed = Row(5, 2, late.payload + b"\n{}", 0, 0, packed=True)
    assert form.read([packed]) == [packed]
    assert all(
        after == before or json.loads(after.payload) for before, after in zip(rows, read, strict=False)
    )


def test_a_registry_that_does_not_answer_is_an_error() -> None:
    """To be tried again; nothing is taken for poison."""
    form = AvroForm("http://127.0.0.1:1")
    with pytest.raises(LogError, match=r"schema registry http://127\.0\.0\.1:1") as raised:
        form.read([_row(b"\x00\x00\x00\x00\x01\x02")])
    assert raised.value.code == "log.unavailable"


def test_the_url_says_which() -> None:
    """Avro needs a registry; its password is never shown."""
    with pytest.raises(LogError, match=r"together with foldline\.registry"):
        parse_address("kafka://a:1?foldline.format=avro", "a:1?foldline.format=avro")
    address = parse_address(
        "…", "a:1?foldline.registry=mock://x&foldline.registry.secret=me:word&foldline.format=avro"
    )
    assert (address.registry, address.writes_avro) == ("mock://x", True)
    assert "word" not in repr(address)


def test_a_loop_learns_from_avro(kafka_url: str) -> None:
    """Its own records stand on the topic in Avro, another program's are counted, and JSON beside them too."""
    url = f"{kafka_url}?foldline.registry=mock://loop&foldline.format=avro"
    servers, namespace = kafka_url.partition("://")[2].split("/")
    topic = f"{namespace}.news.events"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"])
        choice = news.decide("u1")
        log: Any = app.log
        form: AvroForm = log._avro
        client: Any = form._client
        schema = {
            "type": "record", "name": "Reward", "namespace": "foldline",
            "fields": [{"name": name, "type": "string"} for name in ("id", "decision")]
            + [{"name": "time", "type": "long"}, {"name": "value", "type": "double"}],
        }  # fmt: skip
        producer = Producer({"bootstrap.servers": servers})
        value = {"id": "r1", "decision": choice.id, "time": 1_700_000_000_000, "value": 1.0}
        serializer: Any = AvroSerializer(client, json.dumps(schema))
        producer.produce(
            topic, serializer(value, SerializationContext(topic, MessageField.VALUE)), partition=0
        )
        reward = {"type": "reward", "id": "r2", "unit": "u1", "time": 1_700_000_000_000, "value": 0.5}
        producer.produce(topic, json.dumps(reward), partition=0)
        producer.produce(topic, b"\x00\x00\x00\x00\x63poison", partition=0)
        assert producer.flush(30) == 0
        news.reward(news.decide("u2"), 0.0)
        news.catch_up()
        counts = news.counts()
        assert (counts["decisions"], counts["rewards"], counts["dead"]) == (2, 3, 1)
        assert counts.reward_sum == 1.5
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "t"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    seen: list[Any] = []
    while len(seen) < 7:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        seen.append(message)
    consumer.close()
    forms = [message.value()[:1] == b"\x00" for message in seen]
    assert forms == [True, True, True, False, True, True, True]
    assert dict(seen[1].headers())["content-type"] == b"application/avro"


def test_states_are_those_of_json(kafka_url: str) -> None:
    """The same records in either form give the same lines, and so the same folds."""
    records: list[Record] = [ACTIVATION, REWARD]
    lines = []
    for form in ("json", "avro"):
        url = f"{kafka_url}-{form}?foldline.registry=mock://{form}&foldline.format={form}"
        with KafkaLog(url) as log:
            log.create(Topic("t"))
            for record in records:
                log.append([Batch("t", 0, encode(record), 1, record.time, record.time)])
            log.create(Topic("news.roots", cleanup="compact"))
            page = b"\0\0\0\0\1\2\0\2\2"  # a page of a state may look like anything
            log.append([Batch("news.roots", 0, page, 1, 5, 5, key=b"page")])
            log.offsets("news.roots", 0)
            assert log.read("news.roots", 0, 0)[0].payload == page
            log.offsets("t", 0)
            lines.append([row.payload for row in log.read("t", 0, 0)])
    assert lines[0] == lines[1] == [encode(record) for record in records]
