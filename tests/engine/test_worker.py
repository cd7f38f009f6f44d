"""Workers: roots, restarts, dead letters, leases."""

import random

import msgspec
import pytest

from foldline.engine.identity import identity_of
from foldline.engine.reading import columns_of
from foldline.engine.restore import read_standing, rows_from
from foldline.engine.worker import Worker, WorkerTopics
from foldline.errors import FoldError, LeaseLost
from foldline.fold.pages import SEEN_BLOCK
from foldline.fold.protocol import Dump
from foldline.log.protocol import AHEAD_MS, Batch, Lease, Log, Topic
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import encode, encode_lines
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Decision, Outcome, Record, Tick
from tests.engine.conftest import Define
from tests.engine.traffic import START, append, append_records, definition

NOW = START + 10


def _lease(log: Log, name: str = "w", holder: str = "one") -> Lease:
    lease = log.acquire(name, holder, 60.0)
    assert lease is not None
    return lease


def _worker(log: Log, loop: LoopDefinition, partition: int = 0, holder: str = "one") -> Worker:
    topics = topics_of(loop)
    fold = loop.fold()
    identity = identity_of(fold, log.topic(topics.events), partition)
    lease = _lease(log, f"w{partition}", holder)
    return Worker(log, fold, identity, WorkerTopics(topics.roots, topics.dead), lease, now=NOW)


def _uninterrupted(log: Log, loop: LoopDefinition, partition: int, batch: int) -> Dump:
    """The whole partition folded in batches of exactly `batch` records."""
    fold = loop.fold()
    state = fold.empty()
    rows = list(rows_from(log, topics_of(loop).events, partition, 0))
    columns = columns_of(rows)
    for start in range(0, len(columns), batch):
        fold.apply(state, columns.slice(start, min(start + batch, len(columns))))
    return fold.dump(state)


def _finish(worker: Worker, max_records: int = 500) -> Dump:
    while worker.step(now=NOW, max_records=max_records):
        pass
    dump = worker.fold.dump(worker.state)
    worker.close(now=NOW)
    return dump


def test_batch_sizes_give_the_same_bytes(log: Log, defined: Define) -> None:
    """Micro-batches of 1, 7 and 1000 records fold to equal known and pending bytes."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 1, 1_500)
    whole = _uninterrupted(log, loop, 0, 100_000)
    assert _uninterrupted(log, loop, 0, 1) == whole
    assert _uninterrupted(log, loop, 0, 7) == whole
    assert _uninterrupted(log, loop, 0, 1000) == whole
    assert _finish(_worker(log, loop)) == whole


@pytest.mark.parametrize("seed", range(6))
def test_crashes_leave_no_trace(log: Log, defined: Define, seed: int) -> None:
    """Workers dropped at random points, roots paced at random, end in the bytes of the uninterrupted fold."""
    loop = definition(1, wait_ms=seed % 2 * 5_000)
    defined(loop)
    append(log, loop, seed, 3_000, rows=7)
    rng = random.Random(seed)
    lives = 0
    while True:
        worker = _worker(log, loop)
        lives += 1
        for _ in range(rng.randrange(1, 12)):
            count = worker.step(
                now=NOW + lives, max_records=rng.choice([1, 7, 30, 90]), root_every_ms=rng.choice([0, 2])
            )
            if count == 0:
                break
        if count == 0:
            break
    assert lives > 5
    expected = _uninterrupted(log, loop, 0, 1000)
    assert _finish(worker) == expected
    restored = _worker(log, loop)
    assert restored.fold.dump(restored.state) == expected


def test_nothing_is_written_when_nothing_changes(log: Log, defined: Define) -> None:
    """Idle steps append neither roots nor anything else."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 3, 200)
    worker = _worker(log, loop)
    while worker.step(now=NOW):
        pass
    ends = {topic.name: log.offsets(topic.name, 0) for topic in log.topics()}
    for later in range(50):
        assert worker.step(now=NOW + later * 1000) == 0
    assert {topic.name: log.offsets(topic.name, 0) for topic in log.topics()} == ends


def test_poison_is_dead_lettered_once(log: Log, defined: Define) -> None:
    """Unusable records go to the dead-letter topic with their error, once, and the fold goes on."""
    loop = definition(1)
    defined(loop)
    topic = topics_of(loop).events
    good = encode(
        Decision(time=START, id="0.0.x", unit="u", action="a", propensity=0.5, bundle="b", definition=1)
    )
    unknown = good.replace(b'"action":"a"', b'"action":"zzz"').replace(b"0.0.x", b"0.0.y")
    log.append([Batch(topic, 0, b"\n".join([b"{nonsense", good, unknown]), 3, START, START)])
    for _ in range(2):
        worker = _worker(log, loop)
        worker.step(now=NOW)
    dead = [
        msgspec.json.decode(row.payload, type=DeadLetter)
        for row in rows_from(log, topics_of(loop).dead, 0, 0)
    ]
    assert [(d.offset, d.code) for d in dead] == [(1, "record.undecodable"), (3, "record.unknown_action")]
    assert dead[0].payload == b"{nonsense"
    assert "'zzz'" in dead[1].error
    assert worker.state.known.counts.sum() > 0


def test_a_time_ahead_moves_no_clock(log: Log, defined: Define) -> None:
    """A record further ahead of what was written with it than a log accepts is dead, for any batch size, once."""
    loop = definition(1, wait_ms=5_000)
    defined(loop)
    topic, wrong = topics_of(loop).events, START + 3_600_000
    made = [
        Decision(time=START, id=f"0.0.{n}", unit="u", action="a", propensity=0.5, bundle="b", definition=1)
        for n in range(3)
    ]
    ahead = msgspec.structs.replace(made[1], time=wrong)
    log.append([Batch(topic, 0, encode_lines([made[0], ahead, made[2]]), 3, START, START)])
    log.append([Batch(topic, 0, encode(Tick(time=wrong)), 1, START, START)])
    assert _uninterrupted(log, loop, 0, 1) == _uninterrupted(log, loop, 0, 7)
    worker = _worker(log, loop)
    worker.step(now=NOW)
    assert (worker.state.known.stream_time, worker.fold.due(worker.state)) == (START, START + 5_000)
    worker.close(now=NOW)
    letters = [
        msgspec.json.decode(row.payload, type=DeadLetter)
        for row in rows_from(log, topics_of(loop).dead, 0, 0)
    ]
    assert [letter.code for letter in letters] == ["record.time_ahead"] * 2
    assert letters[0].payload == encode(ahead)
    log.append([Batch(topic, 0, encode(Tick(time=START + AHEAD_MS)), 1, START, START)])
    again = _worker(log, loop)
    again.step(now=NOW)
    assert (again.state.known.stream_time, again.fold.due(again.state)) == (START + AHEAD_MS, None)
    assert _finish(again) == _uninterrupted(log, loop, 0, 2)


def test_a_worker_that_lost_its_lease_writes_nothing(log: Log, defined: Define) -> None:
    """The epoch is checked in the commit: an owner that was paused cannot write a root."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 400)
    stale = _worker(log, loop)
    stale.step(now=NOW, max_records=100)
    log.release(stale.lease)
    fresh = _worker(log, loop, holder="two")
    end = log.offsets(topics_of(loop).roots, 0)[1]
    with pytest.raises(LeaseLost):
        stale.step(now=NOW, max_records=100)
    assert log.offsets(topics_of(loop).roots, 0)[1] == end
    assert _finish(fresh) == _uninterrupted(log, loop, 0, 1000)


def test_a_topic_made_again_is_noticed(log: Log, defined: Define) -> None:
    """A topic deleted and made again under a running worker stops it with a clear error."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 5, 100)
    worker = _worker(log, loop)
    worker.step(now=NOW)
    name = topics_of(loop).events
    log.delete(name)
    log.create(Topic(name, 1))
    with pytest.raises(FoldError) as caught:
        worker.step(now=NOW)
    assert caught.value.code == "fold.topic_replaced"


def test_a_damaged_page_is_refolded(log: Log, defined: Define, caplog: pytest.LogCaptureFixture) -> None:
    """A root whose page is gone is skipped with a warning, and the state is folded again from the log."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 6, 600)
    expected = _finish(_worker(log, loop))
    topics = topics_of(loop)
    identity = identity_of(loop.fold(), log.topic(topics.events), 0)
    page = read_standing(log, topics.roots, identity).roots[0].pending_pages[0]
    log.append([Batch(topics.roots, 0, b"half a pa", 1, NOW, NOW, page.key.encode())])
    worker = _worker(log, loop)
    assert "fold.damaged_page" in caplog.text
    assert _finish(worker) == expected


def test_ticks_come_only_when_something_is_due_and_the_partition_idle(log: Log, defined: Define) -> None:
    """A pending decision is matured by one tick, once its deadline passes on the wall clock."""
    loop = definition(1, wait_ms=5_000)
    defined(loop)
    topic = topics_of(loop).events
    record = Decision(time=START, id="0.0.x", unit="u", action="a", propensity=0.5, bundle="b", definition=1)
    log.append([Batch(topic, 0, encode(record), 1, START, START)])
    worker = _worker(log, loop)
    assert not worker.tick(now=START + 9_000), "records stand unread: not idle"
    worker.step(now=NOW)
    assert not worker.tick(now=START + 4_999)
    assert worker.tick(now=START + 5_000)
    worker.step(now=NOW)
    assert not worker.tick(now=START + 90_000)
    assert worker.state.attribution.waiting == 0


def test_a_log_cut_by_retention_is_refused(log: Log, defined: Define) -> None:
    """A state that needs records no longer kept is an error, never a silent restart."""
    loop = definition(1)
    name = topics_of(loop).events
    log.create(Topic(name, 1, retention_ms=1_000))
    defined(loop)
    append(log, loop, 7, 100)
    log.clean()
    if log.offsets(name, 0)[0] == 0:
        pytest.fail("retention kept records of 2023")
    with pytest.raises(FoldError) as caught:
        _worker(log, loop)
    assert caught.value.code == "fold.retention_overtook"


def test_replaced_and_orphaned_pages_go(log: Log, defined: Define) -> None:
    """Pages no longer named are tombstoned some roots later, those of crashed lives too."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 8, 2_000, rows=10)
    topics = topics_of(loop)
    identity = identity_of(loop.fold(), log.topic(topics.events), 0)
    for _ in range(8):
        worker = _worker(log, loop)
        for _ in range(3):
            worker.step(now=NOW, max_records=50)
            worker.write_root(now=NOW, pending=True)
    for _ in range(12):
        worker.step(now=NOW, max_records=50)
        worker.write_root(now=NOW, pending=True)
    standing = read_standing(log, topics.roots, identity)
    recent = {page.key for root in standing.roots[:6] for page in root.pending_pages}
    assert standing.pages.keys() <= recent
    assert _finish(worker) == _uninterrupted(log, loop, 0, 1000)


def test_lasting_pages_are_written_once_and_restored(log: Log, defined: Define) -> None:
    """With each root as whole as the last, a page that stays as it is is appended once in a worker's life.

    They come and go at both ends of the filter meanwhile, and workers follow each other.
    """
    loop = definition(1, wait_ms=5_000)
    defined(loop)
    outcomes: list[Record] = [
        Outcome(
            time=START + n // 2, id=f"o{n}", unit="u", action="a", propensity=0.5, reward=1.0, bundle="b",
            definition=1,
        )
        for n in range(9 * SEEN_BLOCK)
    ]  # fmt: skip
    append_records(log, loop, [outcomes], rows=1_000)
    topics = topics_of(loop)
    identity = identity_of(loop.fold(), log.topic(topics.events), 0)
    names: set[str] = set()
    for _ in range(3):
        worker = _worker(log, loop)
        for _ in range(9):
            worker.step(now=NOW, max_records=4_000)
            worker.write_root(now=NOW, pending=True)
            names.update(worker._roots.standing)
    appended = [row.key for row in rows_from(log, topics.roots, 0, 0) if row.payload and row.key]
    pages = [key for key in appended if key != identity.key().encode()]
    assert len(pages) == len(set(pages))
    assert len(names) > 4
    assert set(worker._roots.standing) < names, "pages of ids that were forgotten still stand"
    assert _finish(_worker(log, loop)) == _uninterrupted(log, loop, 0, 1_000)
