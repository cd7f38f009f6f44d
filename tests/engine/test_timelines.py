"""The timeline beside the policy: its own roots and leases, restarts, and what it leaves to the policy's worker."""

import random

import msgspec
import pytest

import foldline as fl
from foldline.engine.host import Host
from foldline.engine.identity import identity_of
from foldline.engine.known import KnownStates
from foldline.engine.learner import Learner, Pace
from foldline.engine.reading import Readings, read_batch
from foldline.engine.restore import rows_from
from foldline.engine.timelines import read_timeline, timelines
from foldline.engine.worker import Worker, WorkerTopics
from foldline.errors import InputError
from foldline.fold.protocol import Dump
from foldline.log.protocol import Batch, Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.timeline import Event
from foldline.loops.topics import topics_of
from foldline.records.codec import decode, encode
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Decision
from tests.engine.conftest import Define
from tests.engine.traffic import START, append, definition

NOW = START + 10
PACE = Pace(max_records=300, root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)


def _worker(log: Log, loop: LoopDefinition) -> Worker:
    topics, fold = topics_of(loop), loop.timeline()
    lease = log.acquire("w", "one", 60.0)
    assert lease is not None
    identity = identity_of(fold, log.topic(topics.events), 0)
    return Worker(log, fold, identity, WorkerTopics(topics.roots, None), lease, now=NOW)


def _uninterrupted(log: Log, loop: LoopDefinition, batch: int) -> Dump:
    fold = loop.timeline()
    state = fold.empty()
    rows = list(rows_from(log, topics_of(loop).events, 0, 0))
    columns = decode([row.payload for row in rows], counts=[row.count for row in rows])
    for start in range(0, len(columns), batch):
        fold.apply(state, columns.slice(start, start + batch))
    return fold.dump(state)


@pytest.mark.parametrize("seed", range(4))
def test_crashes_leave_no_trace(log: Log, defined: Define, seed: int) -> None:
    """Workers dropped at random points, roots paced at random, end in the bytes of the uninterrupted fold."""
    loop = definition(1, wait_ms=seed % 2 * 5_000)
    defined(loop)
    append(log, loop, seed, 3_000, rows=7)
    rng = random.Random(seed)
    count, lives = 1, 0
    while count:
        worker = _worker(log, loop)
        lives += 1
        for _ in range(rng.randrange(1, 12)):
            pace = rng.choice([0, 2])
            count = worker.step(now=NOW + lives, max_records=rng.choice([1, 7, 30, 90]), root_every_ms=pace)
            if not count:
                break
    assert lives > 5
    expected = _uninterrupted(log, loop, 1000)
    assert worker.fold.dump(worker.state) == expected
    worker.close(now=NOW)
    restored = _worker(log, loop)
    assert restored.fold.dump(restored.state) == expected
    assert _uninterrupted(log, loop, 1) == _uninterrupted(log, loop, 7) == expected


def _host(log: Log, *, timeline: bool = True) -> Host:
    return Host(log, holder="one", learn=True, clock=lambda: NOW, pace=PACE, timeline=timeline)


def _settle(host: Host) -> None:
    while host.round():
        pass


def test_a_host_keeps_the_timeline_of_its_loops(log: Log, defined: Define) -> None:
    """What its roots say, merged, is what folding the log again to its end says."""
    loop = definition(3)
    host = _host(log)
    defined(loop)
    append(log, loop, 1, 700)
    host.add(loop)
    _settle(host)
    host.close()
    ends = tuple(log.offsets(topics_of(loop).events, p)[1] for p in range(3))
    fold, states = loop.timeline(), timelines(log, loop)
    states.read()
    assert states.cut == ends
    again = read_timeline(log, loop, ends)
    assert fold.dump_known(read_timeline(log, loop)) == fold.dump_known(again)
    assert again.events[:, Event.RECORDS].sum() == sum(ends)
    assert read_timeline(log, loop, (0, 0, 0)).events.shape[0] == 0
    with pytest.raises(InputError, match="the log ends at"):
        read_timeline(log, loop, (0, 0, 10_000))


def test_the_policys_roots_do_not_notice(log: Log, defined: Define) -> None:
    """With and without a timeline, the policy's cut and bytes are the same."""
    loop = definition(2)
    defined(loop)
    append(log, loop, 2, 400)
    found = []
    for timeline in (False, True):
        host = _host(log, timeline=timeline)
        host.add(loop)
        _settle(host)
        host.close()
        states = KnownStates(log, loop)
        states.read()
        found.append((states.cut, states.fold.dump_known(states.merged())))
        assert any(timelines_cut(log, loop)) is timeline
    assert found[0] == found[1]


def timelines_cut(log: Log, loop: LoopDefinition) -> tuple[int, ...]:
    """The cut of the timeline's roots on the log."""
    states = timelines(log, loop)
    states.read()
    return states.cut


def test_dead_letters_and_ticks_come_once(log: Log, defined: Define) -> None:
    """The policy's worker writes them; the timeline's counts what it sees and writes roots only."""
    loop = definition(1)
    host = _host(log)
    defined(loop)
    events = topics_of(loop).events
    good = Decision(time=START, id="0.0.x", unit="u", action="a", propensity=0.5, bundle="b", definition=1)
    log.append([Batch(events, 0, b"\n".join([b"{nonsense", encode(good)]), 2, START, START)])
    host.add(loop)
    _settle(host)
    end = log.offsets(events, 0)[1]
    host._clock = lambda: START + 60_000
    _settle(host)
    assert log.offsets(events, 0)[1] == end + 1, "one tick matures the decision"
    letters = [
        msgspec.json.decode(row.payload, type=DeadLetter)
        for row in rows_from(log, topics_of(loop).dead, 0, 0)
    ]
    assert [letter.fold for letter in letters] == ["policy"]
    timeline = read_timeline(log, loop)
    assert timeline.events[:, Event.DEAD].sum() == 1
    assert timeline.count.sum() == 1


def test_another_policy_goes_on_with_the_same_timeline(log: Log, defined: Define) -> None:
    """A new policy kind is a new policy fold; the timeline, which knows none, keeps its state and its lease."""
    loop = definition(1)
    host = _host(log)
    defined(loop)
    append(log, loop, 3, 200)
    host.add(loop)
    _settle(host)
    timeline = host._hosted["news"].attached["timeline"]
    assert timeline is not None
    before = timeline.workers[0]
    thompson = msgspec.structs.replace(loop, version=2, policy={"kind": "thompson"}, actions=("a", "d"))
    defined(thompson)
    host.add(thompson)
    _settle(host)
    assert timeline.workers[0] is before
    assert read_timeline(log, thompson).vocabulary.actions == ("a", "b", "c", "d")


def test_folds_of_a_partition_share_what_was_read(log: Log, defined: Define) -> None:
    """At the same offset the second reader gets the first one's columns; elsewhere it reads for itself."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 100)
    topic, read = topics_of(loop).events, Readings().read
    first = read(log, topic, 0, 0, 50)
    assert first is not None
    assert read(log, topic, 0, 0, 10) is first
    elsewhere = read(log, topic, 0, first.end, 10)
    assert elsewhere is not None
    assert elsewhere.rows == read_batch(log, topic, 0, first.end, 10).rows  # type: ignore[union-attr]  # there are more
    assert read(log, topic, 0, 101, 10) is None


def test_learners_without_a_policy_keep_timelines_too(log: Log, defined: Define) -> None:
    """Leases are by fold: one process may learn a partition's policy and another keep its timeline."""
    loop = definition(2)
    defined(loop)
    append(log, loop, 5, 200)
    policy = Learner(log, loop, "one", PACE)
    timeline = Learner(log, loop, "two", PACE, fold_of=LoopDefinition.timeline, leads=False)
    for turn in range(10):
        policy.step(now=NOW + turn)
        timeline.step(now=NOW + turn)
    assert sorted(policy.workers) == sorted(timeline.workers) == [0, 1]
    assert timelines_cut(log, loop) == (201, 201)


def test_open_without_a_timeline_writes_none() -> None:
    """`timeline=False` leaves it to others."""
    for timeline in (True, False):
        with fl.open("memory://", pace=PACE, timeline=timeline) as app:
            news = app.loop("news", actions=["a"])
            news.reward(news.decide("u"), 1)
            news.catch_up()
            definition = news.definition
            app._host.close()
            assert any(timelines_cut(app.log, definition)) is timeline
