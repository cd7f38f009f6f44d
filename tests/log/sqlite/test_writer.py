"""Group commit: who shares a transaction, and what each of its members is told."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from foldline.errors import FoldlineError, LogError
from foldline.log.protocol import Batch, Lease, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.log.sqlite.writer import Writer


def batch(topic: str, payload: bytes) -> Batch:
    """One record."""
    return Batch(topic, 0, payload, 1, 0, 0)


class Results:
    """What each thread's append returned or raised."""

    def __init__(self) -> None:
        self.found: dict[str, object] = {}
        self.threads: list[threading.Thread] = []

    def start(self, name: str, call: Callable[[], object]) -> None:
        """Run the call in a thread."""

        def run() -> None:
            try:
                self.found[name] = call()
            except FoldlineError as error:
                self.found[name] = error.code

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def join(self) -> dict[str, object]:
        """All results."""
        for thread in self.threads:
            thread.join(60)
        return self.found


def until(condition: Callable[[], bool]) -> None:
    """Let other threads run until the condition holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0)


def queued(writer: Writer) -> int:
    """How many appends wait for a leader."""
    return len(writer._queue)


def test_waiting_appends_share_one_commit_and_fail_alone(tmp_path: Path) -> None:
    """Appends that come while one commits go together; a lost lease and a missing topic fail only their own."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t"))
        results = Results()
        commits: list[int] = []

        def committed() -> bool:
            commits.append(1)
            return False

        with log._connections.writing() as connection:
            connection.set_commit_hook(committed)
            results.start("leader", lambda: log.append([batch("t", b"0")]))
            until(lambda: log._writer._leading and queued(log._writer) == 0)
            calls: dict[str, Callable[[], object]] = {
                "good": lambda: log.append([batch("t", b"1"), batch("t", b"2")]),
                "lease": lambda: log.append([batch("t", b"x")], lease=Lease("role", "me", 1)),
                "missing": lambda: log.append([batch("t", b"x"), batch("none", b"x")]),
                "last": lambda: log.append([batch("t", b"3")]),
            }
            for number, (name, call) in enumerate(calls.items(), start=1):
                results.start(name, call)
                until(lambda number=number: queued(log._writer) == number)  # type: ignore[misc]  # bound per turn
        assert results.join() == {
            "leader": [0],
            "good": [1, 2],
            "lease": "log.lease_lost",
            "missing": "log.topic_missing",
            "last": [3],
        }
        assert len(commits) == 2
        assert [row.payload for row in log.read("t", 0, 0)] == [b"0", b"1", b"2", b"3"]


def test_neighbours_of_one_that_does_not_fit_are_written(tmp_path: Path) -> None:
    """A member of a group that hits the quota is refused alone."""
    with SqliteLog(tmp_path / "a.db", max_bytes=1_000_000) as log:
        log.create(Topic("t"))
        results = Results()
        with log._connections.writing():
            results.start("leader", lambda: log.append([batch("t", b"0")]))
            until(lambda: log._writer._leading and queued(log._writer) == 0)
            results.start("small", lambda: log.append([batch("t", b"1")]))
            until(lambda: queued(log._writer) == 1)
            results.start("huge", lambda: log.append([batch("t", random.Random(1).randbytes(3_000_000))]))
            until(lambda: queued(log._writer) == 2)
            results.start("after", lambda: log.append([batch("t", b"2")]))
            until(lambda: queued(log._writer) == 3)
        assert results.join() == {"leader": [0], "small": [1], "huge": "log.full", "after": [2]}
        assert [row.payload for row in log.read("t", 0, 0)] == [b"0", b"1", b"2"]


def test_close_waits_for_the_append_under_way(tmp_path: Path) -> None:
    """What an append returned before a close stands; who comes later is told that the log is closed."""
    log = SqliteLog(tmp_path / "a.db")
    log.create(Topic("t"))
    results = Results()
    with log._connections.writing():
        results.start("append", lambda: log.append([batch("t", b"0")]))
        until(lambda: log._writer._leading)
    log.close()
    answer = results.join()["append"]
    with pytest.raises(LogError, match="closed"):
        log.append([batch("t", b"1")])
    with SqliteLog(tmp_path / "a.db") as again:
        assert (answer, again.offsets("t", 0)) in [([0], (0, 1)), ("log.closed", (0, 0))]


def test_ends_known_are_forgotten_when_others_write(tmp_path: Path) -> None:
    """Two log objects on one file, and cleaning in between, never give one offset twice."""
    path = tmp_path / "a.db"
    now = [0]
    with SqliteLog(path, clock=lambda: now[0]) as one, SqliteLog(path, clock=lambda: now[0]) as two:
        one.create(Topic("t", retention_ms=10))
        offsets = [log.append([batch("t", b"x")])[0] for log in (one, one, two, one, two, two, one)]
        assert offsets == list(range(7))
        now[0] = 100
        two.clean()
        assert one.append([batch("t", b"x")]) == [7]
        one.delete("t")
        one.create(Topic("t"))
        assert two.append([batch("t", b"x")]) == [0]
        two.delete("t")
        two.create(Topic("t", 3))
        assert one.append([Batch("t", 2, b"x", 1, 0, 0), batch("t", b"y")]) == [0, 0]


def test_interrupted_waiter_is_not_committed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append interrupted while it waits for its turn writes nothing, and the next one goes through."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t"))
        writer = log._writer
        results = Results()

        class Interrupted:
            """A turn that Ctrl-C ends."""

            def acquire(self, blocking: bool = True) -> bool:
                """Interrupted when waited for."""
                if blocking:
                    raise KeyboardInterrupt
                return False

            def release(self) -> None:
                """Nobody waits."""

        with log._connections.writing():
            results.start("leader", lambda: log.append([batch("t", b"0")]))
            until(lambda: writer._leading and queued(writer) == 0)
            with monkeypatch.context() as patch:
                patch.setattr("foldline.log.sqlite.writer._new_turn", Interrupted)
                with pytest.raises(KeyboardInterrupt):
                    log.append([batch("t", b"never")])
        assert results.join() == {"leader": [0]}
        assert log.append([batch("t", b"1")]) == [1]
        assert [row.payload for row in log.read("t", 0, 0)] == [b"0", b"1"]
