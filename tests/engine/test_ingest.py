"""Ingest: each record of a source once, whatever dies when; what it cannot use; topics that change."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from foldline.engine.copies import RECORD_BYTES
from foldline.engine.ingest import Ingest
from foldline.engine.ingest_again import AgainCounts, copy_again
from foldline.engine.ingest_marks import IngestMarks
from foldline.engine.restore import rows_from
from foldline.errors import FoldError, InputError, LeaseLost, LogError
from foldline.log.memory import MemoryLog
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log, Share, Topic
from foldline.log.shares import FirstCome
from foldline.loops.mapping import RecordMapping
from foldline.loops.mapping_settings import MappingSettings
from foldline.records.dead_letter import DeadLetter
from foldline.records.hashing import partition_of
from tests.engine.conftest import Define
from tests.engine.traffic import START, definition

NOW = START + 10_000
SETTINGS: dict[str, Any] = {
    "topic": "orders",
    "loop": "news",
    "type": "reward",
    "fields": {"unit": "who", "value": "paid"},
    "where": {"status": {"$ne": "open"}},
}


def ingest(
    log: Log,
    source: Log,
    *,
    name: str = "shop",
    holder: str = "h",
    share: Share | None = FirstCome(),  # noqa: B008 - it has no state
    **changed: Any,
) -> Ingest:
    """An ingest of the orders; whoever comes first takes what is free."""
    mapping = RecordMapping(msgspec.convert({**SETTINGS, **changed}, MappingSettings))
    return Ingest(log, source, name, mapping, holder, share=share)


def produce(source: Log, count: int, *, partitions: int = 2, first: int = 0) -> None:
    """Orders of 20 customers, packed and one a message, in turn."""
    lines = [
        json.dumps({"who": f"u{n % 20}", "paid": round(n % 7 / 10, 1), "n": n}).encode()
        for n in range(first, first + count)
    ]
    rng = random.Random(first)
    while lines:
        part = [lines.pop(0) for _ in range(min(len(lines), rng.choice([1, 1, 3, 10])))]
        source.append([Batch("orders", rng.randrange(partitions), b"\n".join(part), len(part), START, START)])


def copies(log: Log) -> list[dict[str, Any]]:
    """What stands on the loop's events from the ingest."""
    return [
        json.loads(line) | {"partition": partition}
        for partition in range(2)
        for row in rows_from(log, "news.events", partition, 0)
        for line in row.payload.split(b"\n")
        if b'"type":"reward"' in line
    ]


def finish(running: Ingest, now: int = NOW) -> int:
    """Copy to the end; how many steps that took."""
    steps = 0
    while True:
        read = running.step(now=now + steps)
        running.counts()
        steps += 1
        if not read and not running.step(now=now + steps):
            return steps


def test_every_record_is_copied_to_its_units_partition(log: Log, defined: Define) -> None:
    """In the order of its partition, with an id that names its place, at the time of the copy."""
    defined(definition(2))
    log.create(Topic("orders", 2))
    produce(log, 300)
    running = ingest(log, log)
    finish(running)
    found = copies(log)
    assert len(found) == len({each["id"] for each in found}) == 300
    assert all(each["partition"] == partition_of(each["unit"], 2) for each in found)
    assert all(each["time"] >= NOW and each["occurred"] == START for each in found)
    topic = log.topic("orders").id[:8]
    assert {each["id"].rpartition("/")[0] for each in found} == {f"orders@{topic}/{p}" for p in range(2)}
    counts = running.counts()
    assert (counts.partitions, counts.copied, counts.passed, counts.dead, counts.left) == (2, 300, 0, 0, 0)
    running.close()


@pytest.mark.parametrize("seed", range(4))
def test_dropped_at_random_it_copies_each_once(log: Log, defined: Define, seed: int) -> None:
    """Processes that come and go, half of them without a word, while records come."""
    defined(definition(2))
    log.create(Topic("orders", 2))
    rng, lives, now = random.Random(seed), 0, NOW
    produced = 0
    while produced < 400 or lives < 8:
        running = ingest(log, log, holder=f"h{lives}")
        lives += 1
        for _ in range(rng.randrange(1, 6)):
            if produced < 400 and rng.random() < 0.7:
                produce(log, 40, first=produced)
                produced += 40
            running.step(now=now, max_records=rng.choice([1, 5, 50]))
            now += 1
        if rng.random() < 0.5:
            running.close()
        else:
            # As an expired lease: whoever comes next takes over.
            for partition in range(2):
                for each in [log.acquire(f"ingest/shop/{partition}", f"h{lives - 1}", 5.0)]:
                    if each is not None:
                        log.release(each)
    finish(ingest(log, log, holder="last"), now)
    found = copies(log)
    assert len(found) == produced
    assert len({each["id"] for each in found}) == produced


def test_who_lost_the_lease_copies_nothing(log: Log, defined: Define) -> None:
    """The commit is refused, and the other's mark stands."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    produce(log, 20, partitions=1)
    slow = ingest(log, log, holder="slow")
    slow.step(now=NOW, max_records=5)
    lease = log.acquire("ingest/shop/0", "slow", 5.0)
    assert lease is not None
    log.release(lease)
    quick = ingest(log, log, holder="quick")
    finish(quick)
    slow.step(now=NOW + 1)
    assert slow.marks() == {}
    assert len(copies(log)) == 20
    with pytest.raises(LeaseLost):
        log.append([Batch("orders", 0, b"{}", 1, START, START)], lease=lease)


def test_what_cannot_be_used_is_dead_lettered_and_counted(log: Log, defined: Define) -> None:
    """Raw, with its place and what was wrong; what the condition passes over is counted too."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    lines = [b"{", b'{"who":"u1","paid":7}', b'{"who":"u1","paid":1}', b'{"status":"open"}', b'{"who":"u2"}']
    log.append([Batch("orders", 0, b"\n".join(lines), len(lines), START, START)])
    running = ingest(log, log)
    finish(running)
    letters = [
        msgspec.json.decode(line, type=DeadLetter)
        for row in rows_from(log, "news.events.dlq", 0, 0)
        for line in row.payload.split(b"\n")
    ]
    assert [(each.code, each.payload, each.fold, each.topic) for each in letters] == [
        ("input.unreadable", lines[0], "ingest/shop", "orders"),
        ("input.out_of_range", lines[1], "ingest/shop", "orders"),
        ("input.invalid", lines[4], "ingest/shop", "orders"),
    ]
    counts = running.counts()
    assert (counts.copied, counts.passed, counts.dead) == (1, 1, 3)
    marks = IngestMarks(log)
    marks.read()
    assert [(mark.copied, mark.passed, mark.dead) for mark in marks.all()] == [(1, 1, 3)]


def test_a_source_that_is_gone_is_said_to_be(log: Log, defined: Define) -> None:
    """It is missing; nobody's retention overtook anything."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    running = ingest(log, log)
    running.step(now=NOW)
    log.delete("orders")
    for now in (NOW + 10, NOW + 60_000):
        with pytest.raises(LogError) as raised:
            running.step(now=now)
        assert raised.value.code == "log.topic_missing"


@pytest.mark.parametrize("count", [2, 9])
def test_a_source_made_again_is_refused(log: Log, defined: Define, count: int) -> None:
    """While it runs and at the next start; under another name the new topic is copied, and its ids are others."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    produce(log, 5, partitions=1)
    running = ingest(log, log)
    finish(running)
    log.delete("orders")
    log.create(Topic("orders", 1))
    produce(log, count, partitions=1)  # also beyond where it stands: nothing is copied under the old ids
    # Between two looks at the leases, and at one. On Kafka what comes is there a little later, and nothing is read.
    for now in (NOW + 10, NOW + 60_000) if log.counts == "records" else (NOW + 60_000,):
        with pytest.raises(FoldError, match="made again") as raised:
            running.step(now=now)
        assert raised.value.code == "fold.topic_replaced"
    running.close()
    with pytest.raises(FoldError, match="give it another name"):
        ingest(log, log).step(now=NOW + 60_000)
    finish(ingest(log, log, name="shop-2", holder="h2"))
    assert len({each["id"] for each in copies(log)}) == len(copies(log)) == 5 + count


def test_what_retention_took_is_an_error(tmp_path: Path) -> None:
    """Never a silent gap."""
    now = [START]
    with open_log(f"sqlite:///{tmp_path}/a.db") as log, MemoryLog(clock=lambda: now[0]) as source:
        from foldline.engine.defining import create_catalogue, define
        from foldline.loops.catalogue import Catalogue

        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition(1), holder="test", now=START)
        source.create(Topic("orders", 1, retention_ms=1000))
        produce(source, 5, partitions=1)
        running = ingest(log, source)
        assert running.step(now=NOW) == 5
        produce(source, 5, partitions=1, first=5)
        now[0] += 3_600_000
        source.append([Batch("orders", 0, b"{}", 1, now[0], now[0])])
        source.clean()
        with pytest.raises(FoldError) as raised:
            running.step(now=NOW + 1)
        assert raised.value.code == "fold.retention_overtook"


def test_two_share_a_source(log: Log, defined: Define) -> None:
    """Each has its partitions; together they copy all, once."""
    defined(definition(2))
    log.create(Topic("orders", 4))
    produce(log, 200, partitions=4)
    one, two = ingest(log, log, holder="one", share=None), ingest(log, log, holder="two", share=None)
    now = NOW
    while one.counts().partitions + two.counts().partitions < 4 or len(copies(log)) < 200:
        one.step(now=now, max_records=10)
        two.step(now=now, max_records=10)
        now += 1_000
        assert now < NOW + 600_000
    assert len({each["id"] for each in copies(log)}) == 200


def test_it_begins_where_it_is_told(log: Log, defined: Define) -> None:
    """At the end, where only what comes is wanted."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    produce(log, 10, partitions=1)
    running = ingest(log, log, start="latest")
    running.step(now=NOW)
    produce(log, 3, partitions=1, first=10)
    finish(running)
    assert len(copies(log)) == 3


def test_where_it_began_is_known_before_anything_came(log: Log, defined: Define) -> None:
    """What comes while nobody runs it, after it began at the end, is copied too."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    produce(log, 10, partitions=1)
    running = ingest(log, log, start="latest")
    running.step(now=NOW)
    running.close()
    produce(log, 3, partitions=1, first=10)
    finish(ingest(log, log, start="latest", holder="next"))
    assert len(copies(log)) == 3


def test_who_copies_to_another_log_shares_nothing() -> None:
    """Two logs, one source, one name: each is given everything."""
    from foldline.engine.defining import create_catalogue, define
    from foldline.loops.catalogue import Catalogue

    now = [START]
    logs = [MemoryLog(clock=lambda: now[0]) for _ in range(2)]
    source = MemoryLog(clock=lambda: now[0])
    source.create(Topic("orders", 2))
    produce(source, 40)
    for log in logs:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition(2), holder="test", now=START)
    both = [ingest(log, source, holder=f"h{n}", share=None) for n, log in enumerate(logs)]
    for _ in range(4):
        for running in both:
            running.step(now=now[0])
        now[0] += 1_000
    assert [running.counts().partitions for running in both] == [2, 2]
    assert [len(copies(log)) for log in logs] == [40, 40]


def test_large_records_are_copied_in_parts_and_the_largest_are_dead_lettered(
    log: Log, defined: Define
) -> None:
    """More than a log takes in one batch; a record that is too large, raw and as a copy."""
    defined(definition(2))
    log.create(Topic("orders", 1))
    fields = {"unit": "who", "action": "act", "propensity": {"constant": 0.5}, "context": "about"}
    action = definition(2).actions[0]
    sizes = [1_500_000] * 7 + [RECORD_BYTES - 50, RECORD_BYTES + 1_000_000]
    for n, size in enumerate(sizes):
        value = json.dumps({"who": "u1", "act": action, "about": {"text": "x" * size}, "n": n}).encode()
        log.append([Batch("orders", 0, value, 1, START, START)])
    running = ingest(log, log, type="decision", fields=fields, where=None)
    finish(running)
    counts = running.counts()
    assert (counts.copied, counts.dead, counts.left) == (7, 2, 0)
    rows = [row for p in range(2) for row in rows_from(log, "news.events", p, 0) if len(row.payload) > 1_000]
    assert [row.count for row in rows] == [1] * 7
    letters = [
        msgspec.json.decode(row.payload, type=DeadLetter) for row in rows_from(log, "news.events.dlq", 0, 0)
    ]
    assert [len(letter.payload) for letter in letters] == [len(letters[0].payload), RECORD_BYTES]
    assert f"first {RECORD_BYTES} are kept" in letters[1].error


def test_what_must_be_there(log: Log, defined: Define) -> None:
    """The source topic and the loop."""
    with pytest.raises(LogError, match="orders"):
        ingest(log, log)
    log.create(Topic("orders", 1))
    with pytest.raises(InputError, match="no loop 'news'"):
        ingest(log, log)


def test_dead_letters_are_copied_again_once(log: Log, defined: Define) -> None:
    """As the mapping is now, with the ids they would have had; what still cannot be used stays."""
    defined(definition(2))
    log.create(Topic("orders", 2))
    lines = [b'{"paid":1}', b'{"paid":0}', b"{", b'{"paid":7}', b'{"status":"void","paid":1}']
    for n, line in enumerate(lines):
        log.append([Batch("orders", n % 2, line, 1, START, START, key=b"u%d" % n)])
    running = ingest(log, log)
    finish(running)
    assert (running.counts().copied, running.counts().dead) == (0, 5)
    settings = {**SETTINGS, "fields": {"unit": "@key", "value": "paid"}, "where": {"status": {"$ne": "void"}}}
    mended = RecordMapping(msgspec.convert(settings, MappingSettings))
    assert copy_again(log, "shop", mended, now=NOW) == AgainCounts(copied=2, passed=1, dead=2, before=0)
    assert copy_again(log, "shop", mended, now=NOW) == AgainCounts(copied=0, passed=1, dead=2, before=2)
    assert copy_again(log, "other", mended, now=NOW) == AgainCounts(copied=0, passed=0, dead=0, before=0)
    stem = f"orders@{log.topic('orders').id[:8]}"
    found = {(each["id"], each["unit"], each["value"], "occurred" in each) for each in copies(log)}
    assert found == {(f"{stem}/0/0.0", "u0", 1.0, False), (f"{stem}/1/0.0", "u1", 0.0, False)}
