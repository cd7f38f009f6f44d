"""A log that does not answer for a while, and shares that change at every moment, cost no worker and no record."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import msgspec
import pytest

from foldline.engine.defining import create_catalogue, define
from foldline.engine.ingest import Ingest
from foldline.engine.learner import Learner, Pace
from foldline.engine.publisher import Publisher
from foldline.engine.replay import replay
from foldline.engine.restore import rows_from
from foldline.errors import LogError
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch, Log, Topic
from foldline.log.shares import FirstCome
from foldline.loops.bundle import decode_bundle
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.mapping import RecordMapping
from foldline.loops.mapping_settings import MappingSettings
from foldline.loops.topics import topics_of
from foldline.records.codec import decode_records
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Reward
from tests.engine.traffic import START, append, definition

PACE = Pace(max_records=15, root_every_ms=0, publish_every_ms=0)


class Unanswered(MemoryLog):
    """A log whose answers to appends under a lease get lost now and then, with the append or without it."""

    def __init__(self, seed: int, share: float) -> None:
        super().__init__()
        self.lost = 0
        self._rng = random.Random(seed)
        self._share = share

    def append(self, batches: Sequence[Batch], *, lease: Any = None) -> list[int]:
        """Made and not answered, not made, or as it should be."""
        if lease is None or not batches or self._rng.random() >= self._share:
            return super().append(batches, lease=lease)
        self.lost += 1
        if self._rng.random() < 0.5:
            super().append(batches, lease=lease)
        raise LogError("log.unavailable", "no answer")


def _define(log: Log, loop: LoopDefinition) -> Catalogue:
    catalogue = Catalogue()
    create_catalogue(log)
    define(log, catalogue, loop.name, lambda _: loop, holder="test", now=START)
    return catalogue


def _dead(log: Log, loop: LoopDefinition) -> list[tuple[int, int]]:
    topic = topics_of(loop).dead
    rows = [row for p in range(loop.partitions) for row in rows_from(log, topic, p, 0)]
    letters = [msgspec.json.decode(row.payload, type=DeadLetter) for row in rows]
    return [(letter.partition, letter.offset) for letter in letters]


@pytest.mark.parametrize("seed", range(4))
def test_answers_that_get_lost_cost_no_worker(seed: int) -> None:
    """Every third append is lost or only its answer: the same workers go on, roots agree, letters come once.

    Bundles, which are appended with the roots, come to the end too, and none is older than one before.
    """
    loop = definition(3)
    log = Unanswered(seed, 0.0)
    catalogue = _define(log, loop)
    append(log, loop, seed, 600)
    poison = [
        [log.append([Batch("news.events", p, b"{", 1, START, START)])[0] for _ in range(5)] for p in range(3)
    ]
    append(log, loop, seed + 100, 200)
    learner, publisher = Learner(log, loop, "one", PACE), Publisher(log, catalogue, loop, "one")
    learner.step(now=START, publisher=publisher)
    log._share = 0.33
    first, now, done = dict(learner.workers), START, False
    while not done:
        now += 1
        with suppress(LogError):
            folded = learner.step(now=now, publisher=publisher)
            done = folded == 0 and not any(w.in_doubt or w.behind for w in first.values())
    assert log.lost > 5
    assert learner.workers == first
    log._share = 0.0
    publisher.step(now=now, every_ms=0)
    cuts = [decode_bundle(row.payload).cut for row in rows_from(log, topics_of(loop).policy, 0, 0)]
    assert cuts == sorted(cuts)
    assert cuts[-1] == tuple(worker.n for worker in first.values())
    learner.close(now=now)
    assert all(c.agrees for c in replay(log, loop, batch=7).comparisons)
    dead = _dead(log, loop)
    assert len(dead) == len(set(dead))
    assert {(p, offset) for p in range(3) for offset in poison[p]} <= set(dead)


def test_who_lost_its_lease_while_in_doubt_writes_nothing() -> None:
    """Another has taken the partition before the answer could be asked for again: the worker goes."""
    loop = definition(1)
    log = Unanswered(1, 1.0)
    clock = iter(range(START, START + 10**9, 60_000))
    log._clock = lambda: next(clock)
    _define_with_answers(log, loop)
    append(log, loop, 1, 100)
    learner, other = Learner(log, loop, "one", PACE), Learner(log, loop, "two", PACE)
    with pytest.raises(LogError, match="no answer"):
        learner.step(now=START)
    assert learner.workers[0].in_doubt
    log._share = 0.0
    assert other.step(now=START) > 0
    roots = log.offsets(topics_of(loop).roots, 0)
    learner.step(now=START)
    assert learner.workers == {}
    assert log.offsets(topics_of(loop).roots, 0) == roots


def _define_with_answers(log: Unanswered, loop: LoopDefinition) -> None:
    share, log._share = log._share, 0.0
    _define(log, loop)
    log._share = share


class Shuffled:
    """A share that anybody may change at any time."""

    def __init__(self) -> None:
        self.mine: frozenset[int] = frozenset()

    def partitions(self) -> frozenset[int] | None:
        """As it was set last."""
        return self.mine

    def reached(self, offsets: Mapping[int, int]) -> None:
        """Nobody asks."""

    def close(self) -> None:
        """Nothing to leave."""


def _dealings(seed: int, members: int, partitions: int) -> Iterator[list[frozenset[int]]]:
    """Who has what, turn by turn: some have the same, some partitions are nobody's."""
    rng = random.Random(seed)
    while True:
        yield [frozenset(p for p in range(partitions) if rng.random() < 0.5) for _ in range(members)]


@pytest.mark.parametrize("seed", range(4))
def test_shares_may_change_at_every_moment(seed: int) -> None:
    """Three learners are dealt anything in any order, overlaps and gaps too: the states are those of one fold."""
    loop = definition(4)
    with MemoryLog() as log:
        _define(log, loop)
        append(log, loop, seed, 800)
        shares = [Shuffled() for _ in range(3)]
        learners = [Learner(log, loop, f"m{i}", PACE, share=share) for i, share in enumerate(shares)]
        rng, now = random.Random(seed), START
        dealings = _dealings(seed, 3, 4)
        moves = 0
        for _ in range(60):
            for share, mine in zip(shares, next(dealings), strict=True):
                moves += share.mine != mine
                share.mine = mine
            for learner in rng.sample(learners, rng.randrange(1, 4)):
                now += 1_000
                learner.step(now=now)
        shares[0].mine = frozenset(range(4))
        for share in shares[1:]:
            share.mine = frozenset()
        for learner in learners[::-1]:
            now += 1_000
            while learner.step(now=now):
                now += 1_000
        assert set(learners[0].workers) == {0, 1, 2, 3}
        learners[0].close(now=now)
        assert moves > 50
        assert all(c.agrees and c.pending for c in replay(log, loop, batch=7).comparisons)


@pytest.mark.parametrize("start", ["earliest", "latest"])
@pytest.mark.parametrize("seed", range(3))
def test_answers_that_get_lost_cost_no_record_of_an_ingest(
    seed: int, start: Literal["earliest", "latest"]
) -> None:
    """Every third append is lost or only its answer: each record is copied once, from where it first began."""
    log, source, loop = Unanswered(seed, 0.0), MemoryLog(), definition(2)
    _define(log, loop)
    source.create(Topic("orders", 2))
    settings = MappingSettings(
        topic="orders", loop="news", type="reward", fields={"unit": "u", "value": "v"}, start=start
    )
    running = Ingest(log, source, "shop", RecordMapping(settings), "one", share=FirstCome())
    rng, produced = random.Random(seed), 0
    log._share = 0.33
    while produced < 300 or running.counts().left or log.lost < 6:
        with suppress(LogError):
            running.step(now=START + produced, max_records=rng.randrange(1, 20))
        if running.marks() and rng.random() < 0.7:
            line = b'{"u":"u%d","v":0.5}' % produced
            source.append([Batch("orders", rng.randrange(2), line, 1, START, START)])
            produced += 1
    with suppress(LogError):
        running.step(now=START)
    log._share = 0.0
    running.step(now=START)
    rows = [row for p in range(2) for row in rows_from(log, "news.events", p, 0)]
    ids = [record.id for row in rows for record in decode_records(row.payload) if isinstance(record, Reward)]
    assert len(ids) == len(set(ids)) == running.counts().copied == produced
