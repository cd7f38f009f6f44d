"""SIGKILL of learners whose fold has outputs: each output is read once, and says what the uninterrupted fold says."""

import random
import signal
from pathlib import Path

import pytest

from foldline.engine.defining import create_catalogue, define
from foldline.engine.output_reader import Output, OutputReader
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.log.protocol import Log, Topic
from foldline.loops.catalogue import Catalogue
from tests.engine.running_fold import expected_outputs, plain
from tests.engine.test_kills import await_ready, learners, start, until
from tests.engine.traffic import START, append_records, definition, records

PARTITIONS = 2
KILLS = 3
CHUNK = 400
TOPIC = "news.running"


@pytest.fixture(params=["sqlite", "kafka"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log of each kind that outlives a process."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kills.db"
    found: str = request.getfixturevalue("kafka_url")
    return found


def _standing(log: Log) -> int:
    return sum(row.count for p in range(PARTITIONS) for row in rows_from(log, TOPIC, p, 0))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("outputs", ["with", "first"])
def test_killed_learners_leave_each_output_once(url: str, outputs: str) -> None:
    """Two learners, three kills: in the root's commit each output stands once, ahead of it a reader drops repeats."""
    loop, rng = definition(PARTITIONS), random.Random(7)
    with open_log(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: loop, holder="test", now=START)
        log.create(Topic(TOPIC, PARTITIONS))
        everything = [records(3, (KILLS + 1) * CHUNK, partition) for partition in range(PARTITIONS)]
        reader, found = OutputReader(log, TOPIC), list[Output]()
        with learners(url, outputs) as running:
            for kill in range(KILLS + 1):
                chunk = [part[kill * CHUNK : (kill + 1) * CHUNK] for part in everything]
                append_records(log, loop, chunk, rows=20)
                if kill == KILLS:
                    break
                reached = len(found) + rng.randrange(20, 100)

                def come(reached: int = reached) -> bool:
                    found.extend(reader.read())
                    return len(found) >= reached

                until(come, "outputs to come")
                holder = rng.choice(["one", "two"])
                await_ready(running[holder])
                running[holder].send_signal(signal.SIGKILL)
                running[holder].wait()
                running[holder] = start(url, holder, outputs)
            expected = expected_outputs(log, loop)

            def all_come() -> bool:
                found.extend(reader.read())
                return len(found) >= len(expected)

            until(all_come, "the last output", 120.0)
            for process in running.values():
                await_ready(process)
                process.send_signal(signal.SIGTERM)
            assert [process.wait(30) for process in running.values()] == [0, 0]
        found += reader.read()
        by_place = sorted(
            plain(found), key=lambda one: (one[0].partition, one[0].offset, one[0].index) if one[0] else ()
        )
        assert by_place == expected
        assert _standing(log) == len(expected) + reader.repeats
        assert outputs == "first" or reader.repeats == 0
