"""A log whose cluster goes away: what is appended meanwhile is kept, sent once it is back, in order."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from foldline.errors import LogError
from foldline.log.open import open_log
from foldline.log.outbox import log as outbox
from foldline.log.outbox.log import OutboxLog
from foldline.log.outbox.spool import REFUSED
from foldline.log.protocol import Batch, Log, Row, Topic
from foldline.log.sqlite.log import SqliteLog

NOW = 1_700_000_000_000


class Cluster(SqliteLog):
    """A log in a file that can be cut off, hang, or lose the answer to an append.

    Attributes:
        cut: whether everything fails.
        lossy: whether appends are written and then fail.
        held: appends wait for it.
    """

    cut = False
    lossy = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.held = threading.Event()
        self.held.set()

    def append(self, batches: Sequence[Batch], *, lease: Any = None) -> list[int]:
        """As the switches say."""
        self.held.wait(60)
        self._check()
        offsets = super().append(batches, lease=lease)
        if self.lossy:
            self.cut, self.lossy = True, False
            self._check()
        return offsets

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """As the switches say."""
        self._check()
        return super().read(topic, partition, offset, max_records=max_records, end=end)

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """As the switches say."""
        self._check()
        return super().offsets(topic, partition)

    def _check(self) -> None:
        if self.cut:
            raise LogError("log.unavailable", "cut off")


class World:
    """A cluster's file and an outbox, opened again and again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reachable = True
        self.cluster: Cluster | None = None
        self.opened: list[OutboxLog] = []

    def open(self, needs: str | None = ".policy", **settings: Any) -> OutboxLog:
        """A process starts."""
        log = OutboxLog(
            "kafka://there",
            self.folder / "outbox.db",
            self._connect,
            mirrored=lambda name: name == "loops" or name.endswith(".policy"),
            probe="loops",
            needs=needs,
            **settings,
        )
        self.opened.append(log)
        return log

    def lines(self, topic: str = "events", partition: int = 0) -> list[bytes]:
        """What stands on the cluster, by another's eyes."""
        with open_log(f"sqlite:///{self.folder}/cluster.db") as log:
            rows = log.read(topic, partition, 0, max_records=1_000_000)
        return [line for row in rows for line in row.payload.split(b"\n")]

    def _connect(self) -> Log:
        if not self.reachable:
            raise LogError("log.unavailable", "no answer")
        self.cluster = Cluster(self.folder / "cluster.db")
        return self.cluster


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A cluster with some topics."""
    monkeypatch.setattr(outbox, "RETRY_S", 0.01)
    monkeypatch.setattr(outbox, "FLUSH_S", 0.01)
    with open_log(f"sqlite:///{tmp_path}/cluster.db") as log:
        for name, cleanup in [("loops", "delete"), ("events", "delete"), ("news.policy", "compact")]:
            log.create(Topic(name, 2 if name == "events" else 1, cleanup))  # type: ignore[arg-type]  # one of the two
        log.append([_line(b"news", "loops"), _keyed(b"bundle 1")])
    made = World(tmp_path)
    yield made
    for log in made.opened:
        log.close()


def _line(line: bytes, topic: str = "events", partition: int = 0) -> Batch:
    return Batch(topic, partition, line, 1, NOW, NOW)


def _keyed(payload: bytes) -> Batch:
    return Batch("news.policy", 0, payload, 1, NOW, NOW, b"bundle")


def _until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _follow(log: Log) -> None:
    """Read what a service reads."""
    for topic in ("loops", "news.policy"):
        log.topic(topic)
        log.read(topic, 0, 0)


def _settled(log: OutboxLog) -> bool:
    status = log.status()
    return status.away_since is None and status.waiting == 0


def test_what_comes_while_the_cluster_is_away_is_sent_in_order(world: World) -> None:
    """Before, meanwhile and after: everything stands on the cluster once, in the order accepted."""
    log = world.open()
    assert world.cluster
    sent = [b"%d" % n for n in range(900)]
    for line in sent[:10]:
        assert log.append([_line(line)]) != [-1]
    world.cluster.cut = True
    for line in sent[10:700]:
        assert log.append([_line(line)]) == [-1]
    assert log.status().waiting == 690
    assert log.status().why == "cut off"
    world.cluster.cut = False
    for line in sent[700:]:
        log.append([_line(line)])
    _until(lambda: _settled(log))
    assert world.lines() == sent
    assert log.append([_line(b"direct")]) != [-1]


def test_an_answer_that_was_lost_may_stand_twice_but_never_not(world: World) -> None:
    """An append that failed after it was written is sent again."""
    log = world.open()
    assert world.cluster
    world.cluster.lossy = True
    assert log.append([_line(b"once"), _line(b"other", partition=1)]) == [-1, -1]
    log.append([_line(b"later")])
    world.cluster.cut = False
    _until(lambda: _settled(log))
    assert world.lines() == [b"once", b"once", b"later"]
    assert world.lines(partition=1) == [b"other", b"other"]


def test_an_append_that_hangs_is_kept_here(world: World) -> None:
    """Nobody waits for a cluster that does not answer longer than its patience."""
    log = world.open(patience_s=0.05)
    assert world.cluster
    world.cluster.held.clear()
    assert log.append([_line(b"hung")]) == [-1]
    assert log.status().waiting == 1
    world.cluster.held.set()
    _until(lambda: _settled(log))
    assert set(world.lines()) == {b"hung"}


def test_a_process_that_dies_leaves_the_outbox_to_the_next(world: World) -> None:
    """What waits is sent by whoever opens the outbox; what comes meanwhile goes behind it."""
    log = world.open()
    _follow(log)
    assert world.cluster
    world.cluster.cut = True
    for n in range(300):
        log.append([_line(b"%d" % n)])
    log.close()
    world.reachable = False
    again = world.open()
    assert again.away
    assert again.status().waiting == 300
    again.append([_line(b"300")])
    world.reachable = True
    _until(lambda: _settled(again))
    assert world.lines() == [b"%d" % n for n in range(301)]


def test_what_is_followed_can_be_read_without_the_cluster(world: World) -> None:
    """Mirrored topics are read with the offsets they have on the cluster; other reads fail at once."""
    log = world.open()
    _follow(log)
    with open_log(f"sqlite:///{world.folder}/cluster.db") as other:
        other.append([_keyed(b"bundle 2")])
    newest = log.read("news.policy", 0, 1)
    log.close()
    world.reachable = False
    again = world.open()
    assert [row.payload for row in again.read("loops", 0, 0)] == [b"news"]
    assert again.read("news.policy", 0, 0)[-1:] == newest
    assert again.offsets("news.policy", 0) == (0, newest[-1].end)
    assert again.read("news.policy", 0, newest[-1].end) == []
    assert again.create(Topic("loops")) == again.topic("loops")
    assert not again.wait({("news.policy", 0): 0}, 0.001)
    fails: list[Callable[[], object]] = [
        again.topics,
        lambda: again.read("events", 0, 0),
        lambda: again.acquire("l", "h", 1.0),
    ]
    for call in fails:
        with pytest.raises(LogError, match="the cluster is away"):
            call()
    with open_log(f"sqlite:///{world.folder}/cluster.db") as other:
        other.append([_keyed(b"bundle 3")])
    world.reachable = True
    assert again.wait({("news.policy", 0): newest[-1].end}, 30)
    assert [row.payload for row in again.read("news.policy", 0, newest[-1].end)] == [b"bundle 3"]


def test_a_read_that_fails_shows_that_the_cluster_is_away(world: World) -> None:
    """Without any append, the mirror takes over at the first read that fails, and lets go when it is back."""
    log = world.open()
    _follow(log)
    assert world.cluster
    world.cluster.cut = True
    assert [row.payload for row in log.read("loops", 0, 0)] == [b"news"]
    assert log.away
    world.cluster.cut = False
    _until(lambda: not log.away)
    assert log.append([_line(b"direct")]) != [-1]


@pytest.mark.parametrize("needs", [".policy", None])
def test_no_start_without_cluster_and_policy(world: World, needs: str | None) -> None:
    """A first start needs the cluster, and says what is missing; who must have it always needs it."""
    if needs is None:
        log = world.open()
        _follow(log)
        log.close()
    world.reachable = False
    with pytest.raises(LogError, match="holds no policy" if needs else "no answer"):
        world.open(needs=needs)
    world.reachable = True
    world.open(needs=needs)


def test_one_process_at_a_time(world: World) -> None:
    """Two senders of one outbox could change the order; the second is told to take another file."""
    world.open()
    with pytest.raises(LogError, match=r"used by another process.*--outbox"):
        world.open()


def test_records_are_not_sent_to_another_cluster(world: World) -> None:
    """A cluster is known by the id of a topic: what waits for one is refused to another, a new outbox has nothing."""
    log = world.open()
    _follow(log)
    assert world.cluster
    world.cluster.cut = True
    log.append([_line(b"mine")])
    log.close()
    with open_log(f"sqlite:///{world.folder}/cluster.db") as other:
        other.delete("loops")
        other.create(Topic("loops"))
    with pytest.raises(LogError, match="1 records of another log") as raised:
        world.open()
    assert raised.value.code == "log.topic_conflict"
    (world.folder / "outbox.db").unlink()
    world.open().close()
    world.reachable = False
    with pytest.raises(LogError, match="holds no policy"):
        world.open()


def test_what_the_cluster_never_takes_is_set_aside(world: World) -> None:
    """Records of a topic that has gone are kept in the outbox file, counted, and block no other."""
    log = world.open()
    assert world.cluster
    world.cluster.cut = True
    for line, topic in [(b"a", "events"), (b"gone", "no-such-topic"), (b"b", "events")]:
        log.append([_line(line, topic)])
    world.cluster.cut = False
    _until(lambda: _settled(log))
    assert world.lines() == [b"a", b"b"]
    assert log.status().refused == 1
    log.close()
    with open_log(f"sqlite:///{world.folder}/outbox.db") as local:
        assert b"gone" in local.read(REFUSED, 0, 0)[0].payload


def test_a_full_outbox_refuses(world: World) -> None:
    """Nothing is accepted that cannot be kept; what was accepted is sent."""
    log = world.open(max_bytes=1_000_000)
    assert world.cluster
    world.cluster.cut = True
    kept = list[int]()
    refused = ""
    while not refused:
        try:
            log.append([_line(b"%d %b" % (len(kept), b"x" * 50_000))])
        except LogError as error:
            refused = error.code
        else:
            kept.append(len(kept))
    assert refused == "log.full"
    assert kept
    world.cluster.cut = False
    _until(lambda: _settled(log))
    assert [int(line.split()[0]) for line in world.lines()] == kept


def test_marks_that_wait_are_seen_at_a_start_without_the_cluster(world: World) -> None:
    """A row of a compacted topic that waits stands in the mirror in place of the one it replaces."""
    log = world.open()
    _follow(log)
    assert world.cluster
    world.cluster.cut = True
    log.append([_keyed(b"bundle 2")])
    log.close()
    world.reachable = False
    assert [row.payload for row in world.open().read("news.policy", 0, 0)] == [b"bundle 2"]
