"""What this process wrote under a lease is read by it before the cluster gives it back, and as others read it."""

from collections.abc import Iterator

import msgspec
import pytest

from foldline.log.kafka import slot as slots
from foldline.log.kafka.fetcher import Fetched
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.native_fetcher import NativeFetcher
from foldline.log.kafka.slot import Slot
from foldline.log.protocol import Batch, Row, Topic
from foldline.records.codec import encode
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Tick
from foldline.testing.log_checks.subject import read_all

NOTHING = Fetched()

LETTER = DeadLetter(
    time=7, fold="f", topic="t", partition=0, offset=3, index=0, code="c", error="e", payload=b"x", key=b"k"
)

SENT = {
    "t": [
        Batch("t", 0, encode(Tick(time=5)), 1, 5, 5),
        Batch("t", 0, b"two times", 1, 3, 5, b"key"),
        Batch("t", 0, msgspec.json.encode(LETTER), 1, 7, 7),
        Batch("t", 0, b"headers", 1, 5, 5, None, (("a", b"b"), ("c", b""))),
    ],
    "c": [
        Batch("c", 0, b"value", 1, 5, 5, b"k"),
        Batch("c", 0, b"", 1, 5, 5, b"gone"),
    ],
}


@pytest.fixture
def log(kafka_url: str) -> Iterator[KafkaLog]:
    """An open log with a topic, and a compacted one."""
    with KafkaLog(kafka_url) as log:
        log.create(Topic("t", 3))
        log.create(Topic("c", 1, "compact"))
        yield log


def _open_streams(log: KafkaLog) -> None:
    for topic in SENT:
        assert log.read(topic, 0, 0) == []


@pytest.mark.parametrize("topic", sorted(SENT))
def test_what_was_sent_is_read_at_once(
    log: KafkaLog, kafka_url: str, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    """With nothing fetched it is there; and row for row the same as another process has it."""
    _open_streams(log)
    lease = log.acquire("role", "one", 30.0)
    assert lease is not None
    with monkeypatch.context() as patched:
        log.append(SENT[topic], lease=lease)
        patched.setattr(NativeFetcher, "fetch", lambda *_: NOTHING)
        read = log.read(topic, 0, 0)
    with KafkaLog(kafka_url) as other:
        assert read == read_all(other, topic)
    assert [row.payload for row in read] == [batch.payload for batch in SENT[topic]]


def test_what_comes_back_later_is_not_there_twice(log: KafkaLog) -> None:
    """The cluster sends it too; between appends of others all is in order."""
    _open_streams(log)
    lease = log.acquire("role", "one", 30.0)
    assert lease is not None
    rows: list[Row] = []
    for n in range(30):
        log.append([Batch("t", 0, b"mine %d" % n, 1, 5, 5)], lease=lease)
        if n % 3 == 0:
            log.append([Batch("t", 0, b"theirs %d" % n, 1, 5, 5)])
        rows += log.read("t", 0, rows[-1].end if rows else 0)
    wanted = [
        b"%s %d" % (who, n) for n in range(30) for who in ((b"mine", b"theirs") if n % 3 == 0 else (b"mine",))
    ]
    assert [row.payload for row in rows] == wanted
    with KafkaLog(log.url) as other:
        assert read_all(other, "t") == rows == read_all(log, "t")


def test_what_only_the_client_has_stamped_comes_from_the_cluster(log: KafkaLog, kafka_url: str) -> None:
    """No time of its own, or several records: not known before; the rows are what others read all the same."""
    _open_streams(log)
    lease = log.acquire("role", "one", 30.0)
    assert lease is not None
    log.append([Batch("t", 0, b"none", 1, 0, 0), Batch("t", 0, b"packed\nrow", 2, 5, 6)], lease=lease)
    with KafkaLog(kafka_url) as other:
        assert read_all(log, "t") == read_all(other, "t")
        assert len(read_all(log, "t")) == 2


def test_a_round_over_partitions_asks_the_client_once(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it held nothing a moment ago, reading what is at its end asks no more; what is awaited is still fetched."""
    for partition in range(3):
        assert log.read("t", partition, 0) == []
    asked: list[float] = []
    fetch = Slot.fetch

    def counted(self: Slot, timeout_s: float) -> None:
        asked.append(timeout_s)
        fetch(self, timeout_s)

    monkeypatch.setattr(Slot, "fetch", counted)
    monkeypatch.setattr(slots, "EMPTY_S", 60.0)
    [slot] = log._reader._slots
    while not slot.is_emptied:
        slot.fetch(0.0)
    asked.clear()
    for partition in range(3):
        assert log.read("t", partition, 0) == []
    assert asked == []
    log.append([Batch("t", 2, b"mine", 1, 5, 5)])
    assert [row.payload for row in log.read("t", 2, 0)] == [b"mine"]
    assert asked
