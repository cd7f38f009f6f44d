"""Pacing: the rounds in which roots and bundles are due."""

from itertools import pairwise

import pytest

from foldline.engine.learner import Learner, Pace
from foldline.engine.pacing import paced
from foldline.engine.publisher import Publisher
from foldline.log.protocol import Log
from foldline.loops.topics import topics_of
from tests.engine.conftest import Define
from tests.engine.traffic import START, append, definition

NOW = START + 10


@pytest.mark.parametrize("round_ms", [3, 7, 15, 19])
def test_rounds_of_any_length_keep_the_pace(round_ms: int) -> None:
    """What is due every 20 ms happens 48 to 50 times a second, and never twice within 10 ms."""
    times, counted = [], 0
    for now in range(0, 10_000, round_ms):
        if now - counted >= 20:
            counted = paced(counted, now, 20)
            times.append(now)
    assert 480 <= len(times) <= 500
    assert min(after - before for before, after in pairwise(times)) >= 10


def test_rounds_longer_than_the_pace_do_it_each_time() -> None:
    """Nothing is made good beyond that."""
    counted = 0
    for now in range(50, 1_000, 50):
        assert now - counted >= 20
        counted = paced(counted, now, 20)
        assert counted == now - 10


def test_roots_and_bundles_go_together(log: Log, defined: Define) -> None:
    """Rounds of 15 ms and a pace of 20: each root has its bundle in the same round, three in four rounds."""
    loop = definition(1)
    catalogue = defined(loop)
    learner = Learner(log, loop, "one", Pace(root_every_ms=20))
    publisher = Publisher(log, catalogue, loop, "one")
    roots, written, published = topics_of(loop).roots, [], []
    for turn in range(100):
        append(log, loop, turn, 5)
        now = NOW + 15 * turn
        before = log.offsets(roots, 0)[1]
        learner.step(now=now)
        if log.offsets(roots, 0)[1] > before:
            written.append(turn)
        publisher._took_ms = 0.0  # by this machine's clock, on which the pace would depend
        if publisher.step(now=now, every_ms=20) is not None:
            published.append(turn)
    assert len(written) == pytest.approx(75, abs=2)
    assert published == written
