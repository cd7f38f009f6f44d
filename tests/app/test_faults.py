"""Faults beneath the public face: wrong clocks, full disks, replaced topics, foreign and newer files."""

import time
from pathlib import Path

import apsw
import pytest

import foldline as fl
from foldline.app.foldline import Foldline, wall_clock
from foldline.engine.learner import Pace
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog

FAST = Pace(root_every_ms=0, publish_every_ms=0)
HOUR_MS = 3_600_000


def test_a_clock_an_hour_ahead_is_refused() -> None:
    """Decisions stamped an hour ahead never reach the log; stream time stays sane."""
    ahead = 0
    with fl.open("memory://", clock=lambda: wall_clock() + ahead, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        ahead = HOUR_MS
        with pytest.raises(fl.FoldlineError) as caught:
            news.decide("u")
        assert caught.value.code == "log.time_ahead"
        ahead = 0
        news.reward(news.decide("u"), 1)
        news.catch_up()
        assert news.counts()["learnt"] == 1
        assert news.bundle.stream_time <= wall_clock()


def test_a_clock_running_backwards_moves_nothing_back() -> None:
    """Stream time is a running maximum: older stamps are folded and learnt, and it never falls."""
    back = 0
    with fl.open("memory://", clock=lambda: wall_clock() - back, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        before = news.bundle.stream_time
        for _ in range(5):
            back += HOUR_MS
            news.reward(news.decide("u"), 1)
        news.catch_up()
        assert news.counts()["learnt"] == 5
        assert news.bundle.stream_time >= before


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """At the quota, decide says so and nothing is half written; with space again the loop goes on."""
    path = tmp_path / "small.db"
    with Foldline(SqliteLog(str(path), max_bytes=2_000_000), learn=True, clock=wall_clock, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        made = 0
        with pytest.raises(fl.FoldlineError) as caught:  # noqa: PT012 - the loop runs until the disk is full
            for _ in range(10_000):
                with news.batch():
                    for _ in range(50):
                        news.decide("u", context={"padding": "x" * 400})
                made += 50
        assert caught.value.code == "log.full"
    with fl.open(f"sqlite:///{path}", pace=FAST) as app:
        news = app.loop("news")
        news.decide("u")
        news.catch_up()
        assert news.counts()["decisions"] == made + 1


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    """Text, another SQLite database, and a log of a newer format each say what they are."""
    text, other, newer = (tmp_path / name for name in ("text.db", "other.db", "newer.db"))
    text.write_text("dear diary, " * 500)
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with fl.open(f"sqlite:///{newer}"):
        pass
    connection = apsw.Connection(str(newer))
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    for path, code in ((text, "log.not_a_log"), (other, "log.not_a_log"), (newer, "log.newer_format")):
        with pytest.raises(fl.FoldlineError) as caught:
            fl.open(f"sqlite:///{path}")
        assert caught.value.code == code
    assert text.read_text().startswith("dear diary")


def test_a_topic_replaced_under_a_running_learner_is_reported() -> None:
    """Deleting and making the event topic again stops the learner; the next look says why."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        news.decide("u")
        news.catch_up()
        app.log.delete("news.events")
        app.log.create(Topic("news.events"))
        news.decide("u")
        deadline = time.monotonic() + 20
        with pytest.raises(fl.FoldlineError) as caught:  # noqa: PT012 - the learner notices in its own time
            while time.monotonic() < deadline:
                news.counts()
                app.log.wait({("news.roots", 0): 1 << 50}, 0.05)
        assert caught.value.code == "fold.topic_replaced"


def test_poison_on_a_running_loop(tmp_path: Path) -> None:
    """Foreign bytes on the event topic are dead-lettered and counted; the loop goes on."""
    url = f"sqlite:///{tmp_path}/app.db"
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        now = wall_clock()
        app.log.append([Batch("news.events", 0, b'{"type":"reward"}', 1, now, now)])
        news.reward(news.decide("u"), 1)
        news.catch_up()
        assert news.counts()["dead"] == 1
        assert news.counts()["learnt"] == 1
    with open_log(url) as log:
        assert log.offsets("news.events.dlq", 0)[1] == 1


def test_definitions_change_while_others_decide(tmp_path: Path) -> None:
    """A second handle widens the loop; the first follows without losing a decision."""
    url = f"sqlite:///{tmp_path}/app.db"
    with fl.open(url, pace=FAST) as one, fl.open(url, learn=False) as two:
        first = one.loop("news", actions=["a", "b"])
        second = two.loop("news")
        for turn in range(40):
            first.reward(first.decide(f"u{turn}"), 1)
            if turn == 20:
                second = two.loop("news", actions=["a", "b", "c"], low=0, high=5)
            if turn > 20:
                second.reward(second.decide(f"v{turn}"), 5)
        first.catch_up()
        second.catch_up()
        assert first.bundle.actions == ("a", "b", "c")
        counts = first.counts()
    assert (counts["decisions"], counts["rewards"], counts["dead"]) == (59, 59, 0)
