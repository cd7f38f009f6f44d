"""Several processes on one file: appends, kills, leases and forks."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import apsw
import pytest

from foldline.errors import LeaseLost
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.testing.log_checks.subject import read_all

APPEND = """
import sys
from foldline.log.open import open_log
from foldline.log.protocol import Batch
name, count = sys.argv[2], int(sys.argv[3])
with open_log(sys.argv[1]) as log:
    for n in range(count):
        lines = b"\\n".join(b"%s %d %d" % (name.encode(), n, k) for k in range(3))
        offsets = log.append([Batch("t", n % 2, lines, 3, 0, 0), Batch("t", 1 - n % 2, lines, 3, 0, 0)])
        print(n, *offsets, flush=True)
"""


def start(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    """A process that appends and tells what was acknowledged."""
    command = [sys.executable, "-c", APPEND, f"sqlite:///{path}", name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(output: str) -> list[tuple[int, int, int]]:
    """Number and two offsets of each whole line printed."""
    whole = output[: output.rfind("\n") + 1].splitlines()
    return [(int(n), int(a), int(b)) for n, a, b in (line.split() for line in whole)]


def check_stands(log: SqliteLog, name: str, answers: list[tuple[int, int, int]]) -> None:
    """Each acknowledged append stands at its offsets, both halves whole."""
    stored = {p: {row.offset: row.payload for row in read_all(log, "t", p, 1000)} for p in (0, 1)}
    for n, first, second in answers:
        lines = b"\n".join(b"%s %d %d" % (name.encode(), n, k) for k in range(3))
        assert stored[n % 2][first] == lines
        assert stored[1 - n % 2][second] == lines


def test_processes_append_to_one_file(tmp_path: Path) -> None:
    """Four processes appending at once lose nothing and share no offset."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t", 2))
        children = {name: start(log.path, name, 60) for name in "abcd"}
        outputs = {name: child.communicate()[0] for name, child in children.items()}
        assert {child.returncode for child in children.values()} == {0}
        for name, output in outputs.items():
            assert len(acknowledged(output)) == 60
            check_stands(log, name, acknowledged(output))
        assert [log.offsets("t", p) for p in (0, 1)] == [(0, 720), (0, 720)]


def test_appends_of_another_process_wake_a_waiter(tmp_path: Path) -> None:
    """Waiting sees what another process appends."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t", 2))
        child = start(log.path, "a", 1)
        assert log.wait({("t", 0): 0}, 30.0) is True
        child.communicate()


@pytest.mark.parametrize("after", [1, 25, 60])
def test_killed_appender_loses_no_acknowledged_batch(tmp_path: Path, after: int) -> None:
    """SIGKILL amid appends, beside another appender: the file is whole and holds all that was acknowledged."""
    path = tmp_path / "a.db"
    with SqliteLog(path) as log:
        log.create(Topic("t", 2))
    children = [start(path, "killed", 1_000_000), start(path, "other", 120)]
    killed, other = children
    assert killed.stdout is not None
    lines = [killed.stdout.readline() for _ in range(after)]
    killed.send_signal(signal.SIGKILL)
    rest = killed.communicate()[0]
    others = other.communicate()[0]
    assert killed.returncode == -signal.SIGKILL
    assert other.returncode == 0
    with SqliteLog(path) as log:
        answers = acknowledged("".join(lines) + rest)
        assert len(answers) >= after
        check_stands(log, "killed", answers)
        check_stands(log, "other", acknowledged(others))
        assert log.offsets("t", 0)[1] == log.offsets("t", 1)[1]
        log.append([Batch("t", 0, b"goes on", 1, 0, 0)])
    with apsw.Connection(str(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_lease_taken_in_another_log_object_refuses_the_first(tmp_path: Path) -> None:
    """The epoch is checked inside the commit, whoever took the lease."""
    now = [0]
    path = tmp_path / "a.db"
    with SqliteLog(path, clock=lambda: now[0]) as one, SqliteLog(path, clock=lambda: now[0]) as two:
        one.create(Topic("t"))
        first = one.acquire("role", "one", 1.0)
        assert one.append([Batch("t", 0, b"a", 1, 0, 0)], lease=first) == [0]
        now[0] = 1_000
        second = two.acquire("role", "two", 1.0)
        with pytest.raises(LeaseLost, match="held by 'two'"):
            one.append([Batch("t", 0, b"b", 1, 0, 0)], lease=first)
        assert two.append([Batch("t", 0, b"c", 1, 0, 0)], lease=second) == [1]
        assert one.offsets("t", 0) == (0, 2)


def test_cleaning_works_while_others_write(tmp_path: Path) -> None:
    """Retention and compaction run beside an appending process; nothing acknowledged and kept is lost."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t", 2))
        log.create(Topic("c", cleanup="compact"))
        child = start(log.path, "a", 150)
        for n in range(100):
            log.append([Batch("c", 0, b"x" * 5_000, 1, 0, 0, b"key")])
            if n % 10 == 9:
                assert log.clean() >= 0
        output = child.communicate()[0]
        assert child.returncode == 0
        check_stands(log, "a", acknowledged(output))
        log.clean()
        assert [row.offset for row in log.read("c", 0, 0)] == [99]


def append_in_child(log: SqliteLog, answers: "Connection") -> None:
    """What a forked child does with the log it inherited."""
    offsets = [log.append([Batch("t", 0, b"child", 1, 0, 0)])[0] for _ in range(50)]
    answers.send((offsets, log.offsets("t", 0)[0]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_log_goes_on_in_both_processes_after_a_fork(tmp_path: Path) -> None:
    """A fork amid appends, reads and waits of other threads: parent and child both go on, the file stays whole."""
    path = tmp_path / "a.db"
    stop = threading.Event()
    mine: list[int] = []
    with SqliteLog(path) as log:
        log.create(Topic("t"))

        def busy() -> None:
            while not stop.is_set():
                mine.append(log.append([Batch("t", 0, b"parent", 1, 0, 0)])[0])
                log.read("t", 0, mine[-1])
                log.wait({("t", 0): mine[-1] + 1}, 0.003)

        threads = [threading.Thread(target=busy) for _ in range(3)]
        for thread in threads:
            thread.start()
        fork = multiprocessing.get_context("fork")
        answers = []
        for _ in range(3):
            here, there = fork.Pipe()
            child = fork.Process(target=append_in_child, args=(log, there))
            child.start()
            assert here.poll(60)
            answers.append(here.recv())
            child.join(60)
            assert child.exitcode == 0
        stop.set()
        for thread in threads:
            thread.join(60)
        theirs = [offset for offsets, _ in answers for offset in offsets]
        assert sorted(mine + theirs) == list(range(len(mine) + 150))
        payloads = {row.offset: row.payload for row in read_all(log, "t", 0, 1000)}
        assert {payloads[offset] for offset in theirs} == {b"child"}
        assert {payloads[offset] for offset in mine} == {b"parent"}
    with apsw.Connection(str(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
