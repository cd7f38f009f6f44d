"""Slots: whoever waits fetches for all, and nothing is lost when a fetch is interrupted."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from foldline.log.kafka import stream as streams
from foldline.log.kafka.fetcher import Fetched, ObjectFetcher
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.native_fetcher import NativeFetcher
from foldline.log.kafka.slot import IDLE_S
from foldline.log.protocol import Batch, Topic

LARGE = 200
"""Records of a payload that stays where the library has it."""


def _batch(topic: str, partition: int, first: int, count: int) -> Batch:
    lines = [
        b'{"type":"tick","time":%d,"padding":"%s"}' % (n, b"x" * 40) for n in range(first, first + count)
    ]
    return Batch(topic, partition, b"\n".join(lines), count, first, first + count - 1)


@pytest.fixture(params=["", "?foldline.native=false"])
def url(request: pytest.FixtureRequest, kafka_url: str) -> str:
    """A log that reads from the library itself, or through the client's objects."""
    return f"{kafka_url}{request.param}"


@pytest.fixture
def log(url: str) -> Iterator[KafkaLog]:
    """An open log with a topic of three partitions."""
    with KafkaLog(url) as log:
        log.create(Topic("t", 3))
        yield log


def _texts(log: KafkaLog, partition: int, end: int) -> list[bytes]:
    offset, texts = 0, []
    while offset < end:
        block = log.read_block("t", partition, offset, max_records=100)
        if block is None:  # only the marker of a transaction stands there
            break
        texts += b"\n".join([row.payload for row in block.rows]).split(b"\n")
        offset = block.end
    return texts


def _wanted(count: int) -> list[bytes]:
    return _batch("t", 0, 0, count).payload.split(b"\n")


@pytest.mark.parametrize("size", [1, LARGE])
def test_what_an_interrupted_fetch_had_in_hand_is_fetched_again(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Ctrl-C comes when messages have been taken from the client, and none was sorted in; then the log is read on."""
    log.append([_batch("t", 0, first, size) for first in range(0, 20 * size, size)])
    assert log.read("t", 0, 0, max_records=10 * size)
    log.append([_batch("t", 0, first, size) for first in range(20 * size, 40 * size, size)])
    end = log.offsets("t", 0)[1]
    kind = type(log._reader._slots[0]._fetcher)
    interrupted: list[Fetched] = []
    fetch: Callable[[NativeFetcher | ObjectFetcher, float], Fetched] = kind.fetch

    def broken(self: NativeFetcher | ObjectFetcher, timeout_s: float) -> Fetched:
        fetched = fetch(self, timeout_s)
        if fetched.chunks and not interrupted:
            interrupted.append(fetched)
            raise KeyboardInterrupt
        return fetched

    monkeypatch.setattr(kind, "fetch", broken)
    with pytest.raises(KeyboardInterrupt):
        _texts(log, 0, end)
    assert interrupted
    assert _texts(log, 0, end) == _wanted(40 * size)


def test_what_was_read_is_there_after_the_log_is_closed(url: str) -> None:
    """A block keeps what it is made of, wherever that is; the client goes with the last of them."""
    with KafkaLog(url) as log:
        log.create(Topic("t", 1))
        log.append([_batch("t", 0, first, LARGE) for first in range(0, 5 * LARGE, LARGE)])
        block = log.read_block("t", 0, 0, max_records=5 * LARGE)
    assert block is not None
    if block.lines is not None:
        assert block.lines.text.joined().split(b"\n") == _wanted(5 * LARGE)
    assert b"\n".join([row.payload for row in block.rows]).split(b"\n") == _wanted(5 * LARGE)


def test_readers_of_several_partitions_fetch_for_each_other(log: KafkaLog) -> None:
    """Threads that wait at once, each for another partition; one fetches at a time, and all get all of theirs."""
    for partition in range(3):
        log.append([_batch("t", partition, first, 50) for first in range(0, 1000, 50)])
    ends = [log.offsets("t", partition)[1] for partition in range(3)]
    start = threading.Barrier(6)

    def read(partition: int) -> list[bytes]:
        start.wait()
        return _texts(log, partition, ends[partition])

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(read, [0, 1, 2, 0, 1, 2]))
    assert found == [_wanted(1000)] * 6


def test_closing_ends_who_waits(log: KafkaLog) -> None:
    """One fetches, one waits for that one; both hear that the log was closed."""
    log.read("t", 0, 0)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(log.wait, {("t", partition): 0}, 30.0) for partition in (0, 1)]
        while not any(slot.is_fetching for slot in log._reader._slots):
            pass
        log.close()
        errors = [one.exception(10) for one in waiting]
    assert [getattr(error, "code", None) for error in errors] == ["log.closed", "log.closed"]


def test_who_has_not_read_for_long_begins_again(log: KafkaLog) -> None:
    """A stream that nobody reads is closed when others are; reading it again misses nothing."""
    for partition in (0, 1):
        log.append([_batch("t", partition, 0, 10)])
    assert log.read("t", 0, 0, max_records=3)
    [slot] = log._reader._slots
    place = (log._address.on_cluster("t"), 0)
    slot.streams[place].used -= 2 * IDLE_S
    assert log.read("t", 1, 0, max_records=3)
    assert place not in slot.streams
    assert _texts(log, 0, log.offsets("t", 0)[1]) == _wanted(10)


def test_a_stream_that_was_full_and_is_not_yet_half_empty_is_read_on(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds less than is asked for and fetches no more for now: what it holds is given, and then it goes on."""
    count = 1_500
    for first in range(0, 100 * count, 100):
        log.append([_batch("t", 0, first, 100)])
    monkeypatch.setattr(streams, "FULL_BYTES", 1)
    offset = log.read("t", 0, 0, max_records=100)[-1].end
    [stream] = log._reader._slots[0].streams.values()
    assert offset < stream.high < count
    monkeypatch.setattr(streams, "FULL_BYTES", stream._waiting_bytes * 3 // 2)
    assert stream.resume is not None
    assert (stream.is_full, stream.is_half_empty) == (False, False)
    while offset < count:
        rows = log.read("t", 0, offset, max_records=100 * count)
        assert [row.offset for row in rows] == list(range(offset, rows[-1].end))
        offset = rows[-1].end
