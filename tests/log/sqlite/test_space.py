"""Full disks, quotas, and space that is really given back."""

import os
import random
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from foldline.errors import LogError
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite import cleaning
from foldline.log.sqlite.catalogue import find_place
from foldline.log.sqlite.log import SqliteLog
from foldline.testing.log_checks.subject import NOW, SetClock

BIG = random.Random(1).randbytes(100_000)


def batch(topic: str, payload: bytes = BIG, *, key: bytes | None = None, time: int = NOW) -> Batch:
    """One record."""
    return Batch(topic, 0, payload, 1, time, time, key)


def accepts(log: SqliteLog, topic: str) -> bool:
    """Whether one more append still fits."""
    try:
        log.append([batch(topic)])
    except LogError as error:
        if error.code != "log.full":
            raise
        return False
    return True


def fill(log: SqliteLog, topic: str) -> int:
    """Append until the quota refuses; the number of appends accepted."""
    return sum(1 for _ in takewhile(lambda _: accepts(log, topic), range(1_000)))


def size(log: SqliteLog) -> int:
    """Bytes of the file and of its write-ahead log."""
    return sum(
        path.stat().st_size for path in log.path.parent.glob(log.path.name + "*") if "shm" not in path.name
    )


def test_quota_refuses_whole_appends_and_recovers(tmp_path: Path) -> None:
    """At the quota nothing of a batch is visible; once space is free the log goes on."""
    clock = SetClock()
    with SqliteLog(tmp_path / "a.db", clock=clock, max_bytes=3_000_000) as log:
        log.create(Topic("t", retention_ms=1_000))
        log.create(Topic("other"))
        accepted = fill(log, "t")
        assert 20 <= accepted <= 30
        with pytest.raises(LogError) as raised:
            log.append([batch("other", b"small"), *[batch("t")] * 3])
        assert raised.value.code == "log.full"
        assert log.offsets("t", 0) == (0, accepted)
        assert log.offsets("other", 0) == (0, 0)
        assert len(log.read("t", 0, 0, max_records=1_000)) == accepted
        clock.now += 2_000
        assert log.clean() > 2_000_000
        assert log.append([batch("t")]) == [accepted]
    assert (tmp_path / "a.db").stat().st_size < 3_000_000


def test_quota_holds_after_reopening_and_delete_frees(tmp_path: Path) -> None:
    """A log opened again at its quota still reads, refuses, and can be freed."""
    with SqliteLog(tmp_path / "a.db", max_bytes=3_000_000) as log:
        log.create(Topic("t"))
        fill(log, "t")
    with SqliteLog(tmp_path / "a.db", max_bytes=3_000_000) as log:
        with pytest.raises(LogError) as raised:
            log.append([batch("t")])
        assert raised.value.code == "log.full"
        log.delete("t")
        log.create(Topic("t"))
        assert log.append([batch("t")]) == [0]


FULL_DISK = """
import random, resource, sys
from foldline.errors import LogError
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
log = open_log(sys.argv[1])
log.create(Topic("t"))
free = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, free[1]))
batch = Batch("t", 0, random.Random(1).randbytes(100_000), 1, 0, 0)
accepted, code = 0, ""
while not code:
    try:
        assert log.append([batch]) == [accepted]
        accepted += 1
    except LogError as error:
        code = error.code
assert log.offsets("t", 0) == (0, accepted), log.offsets("t", 0)
resource.setrlimit(resource.RLIMIT_FSIZE, free)
assert log.append([batch]) == [accepted]
log.close()
print(accepted, code)
"""


def test_file_size_limit_of_the_system(tmp_path: Path) -> None:
    """Where the system refuses to let files grow, appends fail whole and work again once it does."""
    url = f"sqlite:///{tmp_path}/a.db"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    accepted, code = done.stdout.split()
    assert int(accepted) > 5
    assert code == "log.full"
    with SqliteLog(tmp_path / "a.db") as log:
        assert log.offsets("t", 0) == (0, int(accepted) + 1)


def test_retention_shrinks_the_file(tmp_path: Path) -> None:
    """Cleaning gives the space of old rows back to the file system."""
    clock = SetClock()
    with SqliteLog(tmp_path / "a.db", clock=clock) as log:
        log.create(Topic("t", retention_ms=1_000))
        for _ in range(200):
            log.append([batch("t")])
        before = size(log)
        clock.now += 2_000
        log.append([batch("t", b"young", time=clock.now)])
        freed = log.clean()
        assert before > 20_000_000
        assert freed > 19_000_000
        assert size(log) < 300_000
        assert log.offsets("t", 0) == (200, 201)


def test_two_cleaners_never_move_an_end_back(tmp_path: Path) -> None:
    """A cleaner that comes after another emptied the partition knows less of it, and takes nothing back."""
    clock = SetClock()
    with SqliteLog(tmp_path / "a.db", clock=clock) as log:
        log.create(Topic("t", retention_ms=1_000))
        log.append([batch("t", b"a"), batch("t", b"b")])
        with log._connections.reading() as connection:
            stale = find_place(connection, "t", 0)
        clock.now += 2_000
        log.clean()
        cleaning._delete(log._connections, 1, stale, [(stale.base, 1), (stale.base + 1, 1)])
        assert log.offsets("t", 0) == (2, 2)
        assert log.append([batch("t", b"c")]) == [2]


def test_compaction_shrinks_the_file(tmp_path: Path) -> None:
    """Cleaning gives the space of superseded rows back to the file system."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("c", cleanup="compact"))
        for number in range(100):
            log.append([batch("c", key=b"k%d" % (number % 2), time=0)])
        assert log.clean() > 9_000_000
        assert size(log) < 600_000
        assert [row.offset for row in log.read("c", 0, 0)] == [98, 99]


def test_delete_shrinks_the_file(tmp_path: Path) -> None:
    """Deleting a topic gives its space back at once."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t"))
        for _ in range(50):
            log.append([batch("t", time=0)])
        log.delete("t")
        assert size(log) < 300_000


def test_rows_of_a_topic_whose_deletion_was_cut_short_go_at_the_next_clean(tmp_path: Path) -> None:
    """A crash between taking a topic out and deleting its rows leaks nothing for ever."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t"))
        for _ in range(50):
            log.append([batch("t", time=0)])
        with log._connections.transaction() as connection:
            connection.execute("INSERT INTO doomed SELECT id FROM partitions")
            connection.execute("DELETE FROM partitions")
            connection.execute("DELETE FROM topics")
        assert log.topics() == []
        assert log.clean() > 4_000_000
        assert size(log) < 300_000


def test_checkpoint_is_not_held_back_by_a_reader(tmp_path: Path) -> None:
    """A log object that has read, waited and listed keeps no snapshot: the write-ahead log can be cut to nothing."""
    clock = SetClock()
    with (
        SqliteLog(tmp_path / "a.db", clock=clock) as writer,
        SqliteLog(tmp_path / "a.db", clock=clock) as reader,
    ):
        writer.create(Topic("t"))
        for _ in range(20):
            writer.append([batch("t")])
        assert len(reader.read("t", 0, 3, max_records=2)) == 2
        assert reader.read("t", 0, 0, end=1)[0].count == 1
        assert reader.wait({("t", 0): 20}, 0.0) is False
        assert [topic.name for topic in reader.topics()] == ["t"]
        with pytest.raises(LogError):
            reader.read("t", 0, 99)
        assert os.path.getsize(tmp_path / "a.db-wal") > 0
        writer.clean()
        assert os.path.getsize(tmp_path / "a.db-wal") == 0
        writer.append([batch("t")])
        assert reader.offsets("t", 0) == (0, 21)
