"""Messages read from librdkafka itself are those that the client's objects are, also in the odd forms."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from foldline import kernels
from foldline.engine.reading import columns_of, read_batch
from foldline.errors import LogError
from foldline.kernels import as_it_stands
from foldline.log.kafka import gathering, native_fetcher
from foldline.log.kafka import librdkafka as binding
from foldline.log.kafka.clients import Clients
from foldline.log.kafka.faults import DENIED
from foldline.log.kafka.fetcher import Fetcher, ObjectFetcher
from foldline.log.kafka.librdkafka import librdkafka
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.messages import HEADER, to_message
from foldline.log.kafka.native_fetcher import NativeFetcher
from foldline.log.protocol import Batch, Row, Topic
from foldline.records.codec import decode, decode_lines
from foldline.records.dead_letter import DeadLetter
from tests.records.oracle import assert_equal
from tools.kafka.cluster import USER
from tools.kafka.sharing import Shared

_LOGGER = logging.getLogger("test")
_TICK = b'{"type":"tick","time":%d}'


def _odd() -> list[dict[str, Any]]:
    """Messages as other programs may write them."""
    letter = DeadLetter(
        time=7, fold="policy", topic="t", partition=0, offset=1, index=0, code="record.schema", error="no",
        payload=b"raw\nbytes", key=b"k", headers=(("who", b"me"),),
    )  # fmt: skip
    batch = Batch("t.dlq", 0, msgspec.json.encode(letter), 1, 7, 7)
    written = to_message(batch, compact=False, now=10)
    plain = {"value": _TICK % 1}
    three = {"value": b"\n".join([_TICK % 1, _TICK % 2, _TICK % 3])}
    told: list[Any] = [
        [(HEADER, b"3")], [(HEADER, b"3 1 3")], [(HEADER, b"3 1")], [(HEADER, b" 3")], [(HEADER, b"3 ")],
        [(HEADER, b"")], [(HEADER, None)], [(HEADER, None), (HEADER, b"2")], [(HEADER, b"2"), (HEADER, b"no")],
        [(HEADER, b"no"), (HEADER, b"2")], [(HEADER, b"9" * 18)], [(HEADER, b"9" * 19)], [(HEADER, b"0")],
        [(HEADER, b"1")], [(HEADER, b"+3")], [(HEADER + "s", b"3")], [("", b"3")], [("x", None), (HEADER, b"3")],
    ]  # fmt: skip
    return [
        plain,
        {"value": None},
        {"value": b""},
        {"value": None, "key": b"k"},
        {"value": _TICK % 2, "key": b""},
        {"value": _TICK % 2, "key": b"u1"},
        {"value": _TICK % 2, "key": b"u1", "headers": [("a", b"1"), ("a", b""), ("b", None), ("é", b"\xff")]},
        {"value": b"two\nlines"},
        {"value": b"\n"},
        *({**three, "headers": headers} for headers in told),
        {key: written[key] for key in ("value", "key", "headers")},
        {"value": b"no letter", "headers": [("__connect.errors.topic", b"t")]},
        {**plain, "headers": [("ce_type", b"foldline.tick"), ("ce_id", b"1"), ("who", b"me")]},
        {"value": b"x" * 100_000, "key": b"k" * 300},
    ]


def _produce(broker: Shared, topic: str, messages: list[dict[str, Any]]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for n, message in enumerate(messages):
        producer.produce(topic, partition=0, timestamp=1_000 + n, **message)
    assert producer.flush(30) == 0


@pytest.fixture
def odd(broker: Shared, kafka_url: str) -> str:
    """A log with a topic of odd messages."""
    with KafkaLog(kafka_url) as log:
        log.create(Topic("t"))
        _produce(broker, log._address.on_cluster("t"), _odd())
    return kafka_url


def _read(url: str) -> list[Row]:
    rows: list[Row] = []
    with KafkaLog(url) as log:
        _, end = log.offsets("t", 0)
        while not rows or rows[-1].end < end:
            rows += log.read("t", 0, rows[-1].end if rows else 0, max_records=5)
    return rows


@pytest.fixture(params=["compiled", "as it stands"])
def _loops(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loops that gather messages, in both forms."""
    if request.param == "compiled":
        monkeypatch.setattr(kernels, "_turns_left", 0)
    else:
        monkeypatch.setattr(gathering, "survey", as_it_stands(gathering.survey))
        monkeypatch.setattr(gathering, "take", as_it_stands(gathering.take))


@pytest.fixture(params=["copied", "staying"])
def _payloads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where payloads are after fetching: with all others, or where the library has them; even the smallest."""
    monkeypatch.setattr(native_fetcher, "STAYING_BYTES", 0 if request.param == "staying" else 1 << 40)
    monkeypatch.setattr(native_fetcher, "STAYING_SHARE", 1 << 40)


@pytest.mark.usefixtures("_loops", "_payloads")
def test_rows_are_those_of_the_clients_objects(odd: str) -> None:
    """Offsets, times, keys, headers, counts and payloads, whoever wrote the messages."""
    rows = _read(odd)
    assert rows == _read(f"{odd}?foldline.native=false")
    assert len(rows) == len(_odd())
    assert {row.count for row in rows} == {1, 3}


@pytest.mark.usefixtures("_loops", "_payloads")
def test_blocks_say_what_the_rows_say(odd: str) -> None:
    """However they are cut; payloads that are no lines as they stand are left to the rows."""
    with KafkaLog(odd) as log:
        _, end = log.offsets("t", 0)
        lines = 0
        for most in (1, 4, 1000):
            offset = 0
            while offset < end:
                rows = log.read("t", 0, offset, max_records=most)
                block = log.read_block("t", 0, offset, max_records=most)
                assert block is not None
                assert block.rows == rows
                assert block.end == rows[-1].end
                assert block.size == sum(len(row.payload) for row in rows)
                reading = read_batch(log, "t", 0, offset, most)
                assert reading is not None
                assert reading.rows == rows
                assert_equal(reading.columns, columns_of(rows))
                assert reading.block.places().counts.tolist() == [row.count for row in rows]
                if block.lines is not None and block.lines.text.are_as_told():
                    lines += 1
                    assert block.lines.text.joined() == b"\n".join([row.payload for row in rows])
                offset = block.end
        assert log.read_block("t", 0, end, max_records=10) is None
        assert lines == 0


@pytest.mark.usefixtures("_loops", "_payloads")
def test_lines_of_plain_and_packed_messages_decode_as_rows_do(broker: Shared, kafka_url: str) -> None:
    """Across what came together, from anywhere, and without an object for each message."""
    with KafkaLog(kafka_url) as log:
        log.create(Topic("t"))
        name = log._address.on_cluster("t")
        for low in range(0, 60, 20):
            _produce(
                broker,
                name,
                [{"value": _TICK % (n if n != 30 else 10**12), "key": b"k"} for n in range(low, low + 20)],
            )
            log.append([Batch("t", 0, b"\n".join([_TICK % n for n in range(3)]), 3, 0, 2)])
            two = b"\n".join([_TICK % 1, _TICK % 2])
            _produce(broker, name, [{"value": two, "headers": [(HEADER, b"2 0 %d" % (1 << 50))]}])
            log.read("t", 0, 0)
        log.offsets("t", 0)  # what others appended is there from now on
        dead: set[str] = set()
        for offset in (0, 7, 21, 40):
            for most in (1, 22, 23, 24, 1000):
                rows = log.read("t", 0, offset, max_records=most)
                block = log.read_block("t", 0, offset, max_records=most)
                assert block is not None
                assert block.lines is not None
                assert block.lines.text.joined() == b"\n".join([row.payload for row in rows])
                assert block.lines.offsets.tolist() == [row.offset for row in rows]
                assert block.lines.counts.tolist() == [row.count for row in rows]
                assert block.lines.greatest.tolist() == [row.greatest for row in rows]
                found = decode_lines(block.lines.text, block.lines.counts, latest=block.lines.greatest)
                wanted = decode(
                    [row.payload for row in rows],
                    counts=[row.count for row in rows],
                    latest=[row.greatest for row in rows],
                )
                assert found is not None
                assert found.dead == wanted.dead
                dead |= {letter.code for letter in found.dead}
                assert np.array_equal(found.time, wanted.time)
                assert np.array_equal(found.kind, wanted.kind)
                assert (block.end, block.rows) == (rows[-1].end, rows)
        assert dead == {"record.time_ahead"}


@pytest.mark.usefixtures("_loops", "_payloads")
@pytest.mark.parametrize("size", [1, 200], ids=["few lines", "many lines"])
def test_what_a_header_tells_is_counted(broker: Shared, kafka_url: str, size: int) -> None:
    """Records are what stands there, wherever a message tells of more or fewer; those of others stay as they are."""
    text = b"\n".join([_TICK % n for n in range(size + 1)])
    payloads = [text, _TICK % 7, b"{" + b"\n" * 9 + (_TICK % 8)[1:], text + b"\nno record"]
    heads = [b"%d" % (size + 1), b"%d" % size, b"%d" % (size + 3), b"1", b"9" * 18, b"2 0 9", None]
    with KafkaLog(kafka_url) as log:
        log.create(Topic("t"))
        messages = [
            {"value": payload, "headers": [] if head is None else [(HEADER, head)]}
            for payload in payloads
            for head in heads
        ]
        _produce(broker, log._address.on_cluster("t"), messages)
        log.offsets("t", 0)
        for most in (1, 150, 100_000):
            offset = 0
            while offset < len(messages):
                rows = log.read("t", 0, offset, max_records=most)
                reading = read_batch(log, "t", 0, offset, most)
                assert reading is not None
                assert reading.rows == rows
                assert_equal(reading.columns, columns_of(rows))
                places = reading.block.places()
                assert places.counts.tolist() == [row.count for row in rows]
                assert places.offsets.tolist() == [row.offset for row in rows]
                offset = reading.end


def test_without_its_functions_the_clients_objects_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the client's module hides them, or where the URL says so."""
    monkeypatch.setitem(binding._FUNCTIONS, "no_such_function", (None, []))
    librdkafka.cache_clear()
    try:
        assert librdkafka() is None
    finally:
        librdkafka.cache_clear()


@pytest.mark.parametrize(("query", "kind"), [("", NativeFetcher), ("?foldline.native=false", ObjectFetcher)])
def test_the_url_chooses(kafka_url: str, query: str, kind: type) -> None:
    """Reading in place is the rule; anything but true or false is an error."""
    with KafkaLog(kafka_url + query) as log:
        fetcher = log._clients.fetcher()
        assert type(fetcher) is kind
        fetcher.close()
    with pytest.raises(LogError, match=r"foldline\.native 'yes', expected true or false"):
        KafkaLog(kafka_url + "?foldline.native=yes")


@pytest.fixture(params=["true", "false"])
def fetcher(request: pytest.FixtureRequest, kafka_url: str) -> Iterator[Fetcher]:
    """Either kind."""
    with KafkaLog(f"{kafka_url}?foldline.native={request.param}") as log:
        log.create(Topic("t"))
        opened = log._clients.fetcher()
        opened.know(log._address.on_cluster("t"), 10)
        yield opened
        opened.close()


def test_faults_name_the_partition_and_the_reason(fetcher: Fetcher, kafka_url: str) -> None:
    """An offset that is not there is no new beginning; one partition's fault is not another's."""
    topic = f"{kafka_url.rpartition('/')[2]}.t"
    fetcher.assign((topic, 0), 10)
    faults: list[Any] = []
    deadline = time.monotonic() + 10
    while not faults and time.monotonic() < deadline:
        faults += fetcher.fetch(0.1).faults
    ((place, reason),) = faults
    assert place == (topic, 0)
    assert "Offset out of range" in reason
    fetcher.unassign(place)
    fetcher.assign(place, 0)
    ends: list[Any] = []
    while not ends and time.monotonic() < deadline:
        ends += fetcher.fetch(0.1).ends
    assert ends == [(place, 0)]


def test_what_the_library_refuses_is_raised(fetcher: Fetcher) -> None:
    """As the client raises it."""
    fetcher.assign(("t", 0), 0)
    with pytest.raises(KafkaException) as raised:
        fetcher.assign(("t", 0), 0)
    assert raised.value.args[0].code() == KafkaError._CONFLICT


def test_a_client_that_is_gone_is_not_touched(kafka_url: str) -> None:
    """Who comes late hears of it."""
    with KafkaLog(kafka_url) as log:
        fetcher = log._clients.fetcher()
    fetcher.close()
    fetcher.close()
    uses: list[Callable[[], None]] = [lambda: fetcher.assign(("t", 0), 0), lambda: fetcher.know("t", 1)]
    for use in uses:
        with pytest.raises(LogError) as raised:
            use()
        assert raised.value.code == "log.closed"


def test_a_password_refused_while_reading_is_noted(broker: Shared, kafka_url: str) -> None:
    """The library tells of it, and goes on trying."""
    with KafkaLog(kafka_url) as log:
        settings = log._clients._reading("read_committed") | {
            "bootstrap.servers": broker.bootstrap_sasl, "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": "wrong",
        }  # fmt: skip
        clients = Clients(log._address)
    del settings["error_cb"]
    library = librdkafka()
    assert library is not None
    fetcher = NativeFetcher(library, settings, clients._note, _LOGGER)
    deadline = time.monotonic() + 10
    while (clients.trouble is None or clients.trouble.code() not in DENIED) and time.monotonic() < deadline:
        fetcher.fetch(0.1)
    fetcher.close()
    assert clients.trouble is not None
    assert clients.trouble.code() in DENIED


def test_a_property_the_library_does_not_know_is_an_error() -> None:
    """With its words."""
    library = librdkafka()
    assert library is not None
    with pytest.raises(ValueError, match="No such configuration property"):
        NativeFetcher(library, {"no.such": "x"}, lambda _: None, _LOGGER)
