"""SIGKILL of learner processes on Kafka: the bytes of the uninterrupted fold."""

import random
import signal
from collections.abc import Callable

import pytest

from foldline.engine.defining import create_catalogue, define
from foldline.engine.known import KnownStates
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from tests.engine.test_kills import await_ready, check_roots, learners, start, until
from tests.engine.traffic import START, append_records, definition, records

PARTITIONS = 4
KILLS = 3
CHUNK = 800


def _roots_beyond(log: Log, loop: LoopDefinition, more: int) -> Callable[[], bool]:
    """Whether so many more messages stand on the roots topic than now."""

    def written() -> int:
        return sum(log.offsets(topics_of(loop).roots, p)[1] for p in range(PARTITIONS))

    target = written() + more
    return lambda: written() >= target


def _has_folded_all(log: Log, loop: LoopDefinition, states: KnownStates) -> bool:
    """Whether the roots cover the last record of each partition; markers may stand beyond it."""
    states.read()
    topic = topics_of(loop).events
    last = [[row.end for row in rows_from(log, topic, p, states.cut[p])] for p in range(PARTITIONS)]
    return not any(last)


@pytest.mark.timeout(240)
def test_killed_learners_lose_and_double_nothing(kafka_url: str) -> None:
    """Two learner processes over 4 partitions; 3 SIGKILLs while records come."""
    loop, rng = definition(PARTITIONS), random.Random(20)
    with open_log(kafka_url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: loop, holder="test", now=START)
        everything = [records(9, (KILLS + 1) * CHUNK, partition) for partition in range(PARTITIONS)]
        with learners(kafka_url) as running:
            for kill in range(KILLS):
                reached = _roots_beyond(log, loop, rng.randrange(2, 40))
                chunk = [part[kill * CHUNK : (kill + 1) * CHUNK] for part in everything]
                append_records(log, loop, chunk, rows=50)
                until(reached, "roots to be written")
                holder = rng.choice(["one", "two"])
                await_ready(running[holder])
                running[holder].send_signal(signal.SIGKILL)
                running[holder].wait()
                running[holder] = start(kafka_url, holder)
            append_records(log, loop, [part[KILLS * CHUNK :] for part in everything], rows=50)
            states = KnownStates(log, loop)
            until(lambda: _has_folded_all(log, loop, states), "the fold to reach the end", 120.0)
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            assert [process.wait(30) for process in running.values()] == [0, 0]
        check_roots(log, loop)
