"""The engine on a real Apache Kafka: what holds on every log, and the same bytes as on the embedded one."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from foldline.engine.audit import audit
from foldline.engine.defining import create_catalogue, define
from foldline.engine.learner import Learner, Pace
from foldline.engine.replay import replay
from foldline.engine.restore import dump_bytes, rows_from
from foldline.errors import LogError
from foldline.log.kafka.log import KafkaLog
from foldline.log.kafka.messages import HEADER
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import encode
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Decision, Tick
from tests.engine import (
    test_audit,
    test_audit_bundles,
    test_ingest,
    test_outputs,
    test_publisher,
    test_timelines,
    test_worker,
)
from tests.engine.conftest import Define
from tests.engine.deciding import Honest
from tests.engine.traffic import START, append_records, definition, records

PACE = Pace(max_records=50, root_every_ms=0, publish_every_ms=0)

# Tests of every log, collected here once more with the fixture below.
test_worker_crashes = test_worker.test_crashes_leave_no_trace
test_worker_fenced = test_worker.test_a_worker_that_lost_its_lease_writes_nothing
test_worker_topic_made_again = test_worker.test_a_topic_made_again_is_noticed
test_worker_ticks = test_worker.test_ticks_come_only_when_something_is_due_and_the_partition_idle
test_worker_damaged_page = test_worker.test_a_damaged_page_is_refolded
test_worker_time_ahead = test_worker.test_a_time_ahead_moves_no_clock
test_worker_pages_go = test_worker.test_replaced_and_orphaned_pages_go
test_bundles_recomputed = test_publisher.test_bundle_is_recomputed_from_its_cut
test_learners_share = test_publisher.test_two_learners_share_partitions
test_outputs_dropped = test_outputs.test_learners_dropped_at_random_leave_each_output_once
test_outputs_resumed = test_outputs.test_a_reader_goes_on_from_what_it_kept
test_ingest_dropped = test_ingest.test_dropped_at_random_it_copies_each_once
test_ingest_fenced = test_ingest.test_who_lost_the_lease_copies_nothing
test_ingest_dead = test_ingest.test_what_cannot_be_used_is_dead_lettered_and_counted
test_ingest_made_again = test_ingest.test_a_source_made_again_is_refused
test_timeline_apart = test_timelines.test_the_policys_roots_do_not_notice
test_audit_of_versions = test_audit.test_definition_changes_agree
test_audit_finds = test_audit.test_findings_say_what_is_logged_and_what_was_recomputed
test_audit_batches = test_audit.test_batch_sizes_give_the_same_audit
test_audit_forged = test_audit_bundles.test_decisions_of_a_forged_bundle_are_checked_against_its_cut


@pytest.fixture
def log(kafka_url: str) -> Iterator[Log]:
    """An empty log on Kafka."""
    with open_log(kafka_url) as opened:
        create_catalogue(opened)
        yield opened


def _define(log: Log, loop: LoopDefinition) -> None:
    define(log, Catalogue(), loop.name, lambda _: loop, holder="test", now=START)


def _learnt(log: Log, loop: LoopDefinition) -> list[bytes]:
    """Each partition's state once all is folded; the roots agree with it."""
    learner = Learner(log, loop, "one", PACE)
    now = START
    while learner.step(now=now):
        now += 1
    learner.close(now=now)
    result = replay(log, loop, batch=7)
    assert all(comparison.agrees and comparison.pending for comparison in result.comparisons)
    assert len(result.comparisons) == loop.partitions
    return [dump_bytes(loop.fold(), state) for state in result.states]


def _produce(log: KafkaLog, topic: str, partition: int, lines: list[bytes]) -> None:
    """One record a message, as any client writes them: no key, no header, the record's time as timestamp."""
    producer = Producer({"bootstrap.servers": log.url.split("/")[2]})
    name = f"{log.url.rpartition('/')[2]}.{topic}"
    for line in lines:
        producer.produce(name, line, partition=partition, timestamp=msgspec.json.decode(line)["time"])
    assert producer.flush(30) == 0


def test_states_are_those_of_the_embedded_log(log: KafkaLog, tmp_path: Path, kafka_url: str) -> None:
    """One scenario on SQLite, on Kafka in packed messages, and from another client one a message: equal bytes."""
    loop = definition(2)
    made = [records(5, 400, partition) for partition in range(2)]
    with open_log(f"sqlite:///{tmp_path}/a.db") as embedded, open_log(kafka_url + "-foreign") as foreign:
        assert isinstance(foreign, KafkaLog)
        for each in (embedded, log, foreign):
            create_catalogue(each)
            _define(each, loop)
        append_records(embedded, loop, made, rows=20)
        append_records(log, loop, made, rows=33)
        for partition in range(2):
            _produce(
                foreign, topics_of(loop).events, partition, [encode(record) for record in made[partition]]
            )
        states = _learnt(embedded, loop)
        assert _learnt(log, loop) == states
        assert _learnt(foreign, loop) == states


def _let_go(log: KafkaLog, topic: str, upto: int) -> None:
    """What retention does, at once."""
    admin = AdminClient({"bootstrap.servers": log.url.split("/")[2]})
    place = TopicPartition(f"{log.url.rpartition('/')[2]}.{topic}", 0, upto)
    admin.delete_records([place])[place].result(30)


def test_what_retention_took_before_it_was_learnt_is_an_error(log: KafkaLog, defined: Define) -> None:
    """All that was learnt may go, the mark of the last transaction with it; what was not is missed, not passed over."""
    loop = definition(1)
    defined(loop)
    topic = topics_of(loop).events
    append_records(log, loop, [records(5, 200, 0)], rows=20)
    log.append([Batch(topic, 0, encode(Tick(time=START)), 1, START, START)] * 2)  # several: a transaction
    states = _learnt(log, loop)
    _, end = log.offsets(topic, 0)
    _let_go(log, topic, end)
    with open_log(log.url) as other, pytest.raises(LogError) as raised:
        other.read(topic, 0, end - 1)
    assert raised.value.code == "log.offset_out_of_range"
    learner = Learner(log, loop, "two", PACE)
    learner.step(now=START)
    assert learner.failed == {}
    assert dump_bytes(loop.fold(), learner.workers[0].state) == states[0]
    learner.close(now=START)
    append_records(log, loop, [records(6, 50, 0)], rows=20)
    _let_go(log, topic, log.offsets(topic, 0)[1])
    late = Learner(log, loop, "three", PACE)
    late.step(now=START)
    assert late.failed[0].code == "fold.retention_overtook"


def test_a_worker_that_reads_too_late_says_so(log: KafkaLog, defined: Define) -> None:
    """What it has not fetched has gone meanwhile."""
    loop = definition(1)
    defined(loop)
    topic = topics_of(loop).events
    learner = Learner(log, loop, "one", PACE)
    for turn in range(3):
        learner.step(now=START + turn)
    log._reader.forget(f"{log.url.rpartition('/')[2]}.{topic}")  # as after a minute without a read
    with open_log(log.url) as other:
        append_records(other, loop, [records(5, 50, 0)], rows=20)
        _let_go(log, topic, other.offsets(topic, 0)[1] - 1)
    learner.step(now=START + 10)
    assert learner.failed[0].code == "fold.retention_overtook"


def test_an_idle_worker_goes_past_the_marks_of_transactions(log: KafkaLog, defined: Define) -> None:
    """After a minute, with one root that says so; nothing lags then."""
    loop = definition(1)
    defined(loop)
    topic = topics_of(loop).events
    log.append([Batch(topic, 0, encode(Tick(time=START)), 1, START, START)] * 2)
    learner = Learner(log, loop, "one", PACE)
    for turn in range(5):
        learner.step(now=START + turn)
    worker, (_, end) = learner.workers[0], log.offsets(topic, 0)
    assert worker.n == end - 1
    before = log.offsets(topics_of(loop).roots, 0)[1]
    learner.step(now=START + 61_000)
    assert worker.n == end
    learner.step(now=START + 61_010)
    rows = list(rows_from(log, topics_of(loop).roots, 0, before))
    assert [msgspec.json.decode(row.payload)["n"] for row in rows] == [end]


def test_dead_letters_name_message_and_record(log: Log, defined: Define) -> None:
    """Of a packed message each unusable record is buried once, by offset and index."""
    loop = definition(1)
    defined(loop)
    topic = topics_of(loop).events
    good = encode(
        Decision(time=START, id="0.0.x", unit="u", action="a", propensity=0.5, bundle="b", definition=1)
    )
    unknown = good.replace(b'"action":"a"', b'"action":"zzz"').replace(b"0.0.x", b"0.0.y")
    [first] = log.append([Batch(topic, 0, good, 1, START, START)])
    [second] = log.append([Batch(topic, 0, b"\n".join([b"{nonsense", good, unknown]), 3, START, START)])
    [third] = log.append([Batch(topic, 0, b"no record", 1, START, START, b"its own key")])
    learner = Learner(log, loop, "one", PACE)
    for turn in range(3):
        learner.step(now=START + turn)
    rows = rows_from(log, topics_of(loop).dead, 0, 0)
    dead = [msgspec.json.decode(row.payload, type=DeadLetter) for row in rows]
    assert first < second
    assert [(d.offset, d.index, d.code, d.key) for d in dead] == [
        (second, 0, "record.undecodable", None),
        (second, 2, "record.unknown_action", None),
        (third, 0, "record.undecodable", b"its own key"),
    ]


def test_a_foreign_clock_that_is_ahead_moves_nothing(log: KafkaLog, defined: Define) -> None:
    """Whatever a client writes, its message's time has been judged by the brokers: a record an hour ahead is dead."""
    loop = definition(1)
    defined(loop)
    name, now = f"{log.url.rpartition('/')[2]}.news.events", time.time_ns() // 1_000_000
    wrong = now + 3_600_000
    line = encode(Tick(time=wrong))
    forged: list[tuple[str, str | bytes | None]] = [(HEADER, b"2 0 %d" % wrong)]
    producer = Producer({"bootstrap.servers": log.url.split("/")[2]})
    producer.produce(name, line, partition=0)
    producer.produce(name, line + b"\n" + line, partition=0, headers=forged)
    producer.produce(name, encode(Tick(time=now)), partition=0)
    assert producer.flush(30) == 0
    log.offsets("news.events", 0)
    learner = Learner(log, loop, "one", PACE)
    for turn in range(2):
        learner.step(now=now + turn)
    assert learner.workers[0].state.known.stream_time == now
    rows = list(rows_from(log, topics_of(loop).dead, 0, 0))
    dead = [msgspec.json.decode(row.payload, type=DeadLetter) for row in rows]
    assert [(letter.code, letter.index) for letter in dead] == [
        ("record.time_ahead", index) for index in (0, 0, 1)
    ]


def test_an_audit_finds_a_planted_decision(log: Log) -> None:
    """An honest log agrees; a wrong propensity within a packed message is found at the message's offset."""
    honest = Honest(log, definition(3, policy="thompson"))
    honest.run(4)
    assert audit(log, Catalogue(), "news").agree
    decision = honest.decide("u1")
    wrong = msgspec.structs.replace(decision, propensity=decision.propensity / 2)
    places = honest.append([honest.decide("u1"), wrong])
    found = audit(log, Catalogue(), "news")
    assert [(f.kind, f.partition, f.offset) for f in found.findings] == [("propensity_differs", *places[1])]
