"""SIGKILL and SIGSTOP of learner processes at random moments leave the bytes of the uninterrupted fold."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import apsw
import pytest

from foldline.engine.defining import create_catalogue, define
from foldline.engine.known import KnownStates
from foldline.engine.replay import replay
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.types import Record
from tests.engine.traffic import START, append_records, definition, records

PARTITIONS = 8
KILLS = 22
CHUNK = 1_200
LEASE_S = 1.0
MODULE = "tests.engine.learner_process"
ROOT = Path(__file__).resolve().parents[2]


def start(url: str, holder: str, outputs: str = "") -> subprocess.Popen[bytes]:
    """A learner process."""
    arguments = [sys.executable, "-m", MODULE, url, holder, "50", "0.01", str(LEASE_S), outputs]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=ROOT)


@contextmanager
def learners(url: str, outputs: str = "") -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Two learner processes, by holder; those that stand there in the end are killed."""
    running = {holder: start(url, holder, outputs) for holder in ("one", "two")}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def until(ready: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Poll the log for an event; fails with `what` when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout_s} s for {what}")
        time.sleep(0.005)


def _roots_written(log: Log, loop: LoopDefinition) -> int:
    return sum(log.offsets(topics_of(loop).roots, p)[1] for p in range(loop.partitions))


def _written(log: Log, loop: LoopDefinition, target: int) -> bool:
    return _roots_written(log, loop) >= target


def await_ready(process: subprocess.Popen[bytes]) -> None:
    """A learner says so once it is about to step; a second call returns at once."""
    if process.stdout is not None and not process.stdout.closed:
        assert process.stdout.readline() == b"ready\n"
        process.stdout.close()


def _progress(log: Log, states: KnownStates) -> int:
    states.read()
    return sum(states.cut)


@pytest.mark.timeout(300)
def test_killed_and_paused_learners_lose_and_double_nothing(tmp_path: Path) -> None:
    """Two learners over 8 partitions and 208,000 records; 22 SIGKILLs; one paused past its lease returns."""
    url = f"sqlite:///{tmp_path}/kills.db"
    loop = definition(PARTITIONS)
    rng = random.Random(20)
    with open_log(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: loop, holder="test", now=START)
        everything = [records(9, (KILLS + 1) * CHUNK, partition) for partition in range(PARTITIONS)]
        states = KnownStates(log, loop)
        with learners(url) as running:
            for kill in range(KILLS):
                written = _roots_written(log, loop) + rng.randrange(2, 60)
                chunk = [part[kill * CHUNK : (kill + 1) * CHUNK] for part in everything]
                append_records(log, loop, chunk, rows=50)
                until(partial(_written, log, loop, written), "roots to be written")
                holder = rng.choice(["one", "two"])
                await_ready(running[holder])
                if kill == KILLS // 2:
                    extra = [part[KILLS * CHUNK :] for part in everything]
                    _pause_past_its_lease(log, loop, running[_owner(tmp_path / "kills.db")], extra)
                running[holder].send_signal(signal.SIGKILL)
                running[holder].wait()
                running[holder] = start(url, holder)
            total = sum(log.offsets(topics_of(loop).events, p)[1] for p in range(PARTITIONS))
            assert total >= 200_000
            until(lambda: _progress(log, states) >= total, "the fold to reach the end", 120.0)
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            assert [process.wait(30) for process in running.values()] == [0, 0]
        check_roots(log, loop)
        assert max(_epochs(log, loop)) > 1, "no partition ever changed hands"


def _owner(path: Path) -> str:
    """The learner that holds most partitions' leases."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    query = (
        "SELECT holder FROM leases WHERE name LIKE 'fold/%' GROUP BY holder ORDER BY count(*) DESC LIMIT 1"
    )
    holder = str(connection.execute(query).fetchall()[0][0])
    connection.close()
    return holder


def _pause_past_its_lease(
    log: Log, loop: LoopDefinition, process: subprocess.Popen[bytes], extra: list[list[Record]]
) -> None:
    """Stop a learner until the other has taken a lease of its partitions, then let it return to find them lost."""
    epochs = sum(_epochs(log, loop))
    _stop_outside_a_commit(process, log.url.removeprefix("sqlite:///") + "-turn")
    append_records(log, loop, extra, rows=50)
    until(lambda: sum(_epochs(log, loop)) > epochs, "the other learner to take over")
    os.kill(process.pid, signal.SIGCONT)


def _stop_outside_a_commit(process: subprocess.Popen[bytes], turn: str) -> None:
    """A process stopped inside a commit holds the file's write lock, and nobody could go on."""
    with open(turn, "rb") as file:
        while True:
            os.kill(process.pid, signal.SIGSTOP)
            deadline = time.monotonic() + 1.0
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.001)
                else:
                    fcntl.flock(file, fcntl.LOCK_UN)
                    return
            os.kill(process.pid, signal.SIGCONT)


def _epochs(log: Log, loop: LoopDefinition) -> list[int]:
    """The lease epoch of each partition's newest root: it rises whenever the partition changes hands."""
    states = KnownStates(log, loop)
    states.read()
    return [root.epoch for root in states.roots if root is not None]


def check_roots(log: Log, loop: LoopDefinition) -> None:
    """The final roots, known and pending, are byte-equal to uninterrupted folds in three batch sizes."""
    for batch in (1000, 7):
        result = replay(log, loop, batch=batch)
        assert [(c.known, c.pending) for c in result.comparisons] == [(True, True)] * loop.partitions
