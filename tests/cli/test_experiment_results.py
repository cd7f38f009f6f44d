"""`foldline experiments results --at`, `promote` and `rollback`, run as a user runs them on a log with a verdict."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import foldline as fl
from foldline.engine.defining import read_catalogue
from foldline.engine.learner import Pace
from foldline.log.open import open_log
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick

START = 1_772_366_400_000
"""2026-03-01T12:00:00Z."""

MINUTE = 60_000
SIZE = 200


def _foldline(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from foldline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


def _append(app: fl.Foldline, record: Reward | Tick, time: int) -> None:
    app.log.append([Batch("shop.events", 0, encode(record), 1, time, time)])


@pytest.fixture
def log(tmp_path: Path) -> str:
    """420 units, of whom 21 % of the challenger's and 10 % of the control's click; 14 more of the latter come late."""
    url = f"sqlite:///{tmp_path}/shop.db"
    times: Iterator[int] = count(START, 500)
    pace = Pace(root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)
    with fl.open(url, pace=pace, clock=lambda: next(times)) as app:
        shop = app.loop("shop", actions=["a", "b"])
        test = shop.experiment(
            "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), max_days=28, window_s=600, salt="s",
            goal=fl.Proportion("click", baseline=0.1, effect=0.11), power=0.8,
        )  # fmt: skip
        planned = test.definition.sample_sizes[0]
        met: dict[str, list[fl.Decision]] = {"control": [], "challenger": []}
        with shop.batch():
            while min(map(len, met.values())) < planned:
                choice = shop.decide(f"u{sum(map(len, met.values()))}")
                met[choice.variant or ""].append(choice)
        for variant, rate in (("control", 0.1), ("challenger", 0.21)):
            for choice in met[variant][: round(rate * len(met[variant]))]:
                shop.reward(choice, 1, name="click")
        for minute in (20, 25):
            late = START + minute * MINUTE
            _append(app, Tick(time=late), late)
        of_control = len(met["control"])
        for i, choice in enumerate(met["control"][round(0.1 * of_control) : round(0.17 * of_control)]):
            _append(
                app,
                Reward(time=choice.time, id=f"late{i}", decision=choice.id, name="click", value=1.0),
                late,
            )
        _append(app, Tick(time=late + 5 * MINUTE), late + 5 * MINUTE)
        for _ in range(400):
            if len(test.announcements()) > 1:
                break
            app._host.round()
    return url


def _results(log: str, *more: str) -> dict[str, Any]:
    found = _foldline("experiments", "results", "ctr", "--log", log, "--json", *more)
    assert found.returncode == 0, found.stderr
    return dict(json.loads(found.stdout))


def _policy(log: str) -> dict[str, object]:
    loops = Catalogue()
    with open_log(log) as opened:
        read_catalogue(opened, loops)
    return loops.one("shop").policy


def test_any_past_state_is_recomputed(log: str) -> None:
    """Before the verdict, with it, and with its revision; the announced ones are those of the log, now and later."""
    now = _results(log)
    assert [one["kind"] for one in now["announced"]] == ["verdict", "revision"]
    before, taken, revised = (_results(log, "--at", f"2026-03-01T12:{m}:00") for m in ("10", "24", "30"))
    assert (before["verdict"], before["revisions"]) == (None, [])
    assert (taken["verdict"], taken["revisions"]) == (now["verdict"], [])
    assert (revised["verdict"], revised["revisions"]) == (now["verdict"], now["revisions"])
    assert len(now["revisions"]) == 1
    shown = _foldline("experiments", "results", "ctr", "--log", log).stdout
    assert "verdict at 2026-03-01T12:" in shown
    assert (
        "revised at 2026-03-01T12:26:00.000Z by what came late: inconclusive; result challenger_wins" in shown
    )
    assert _foldline("experiments", "results", "ctr", "--at", "2027", "--log", log).returncode == 2


def test_the_winner_is_promoted_and_taken_back(log: str) -> None:
    """To a share, to all, and back in one step; the standing verdict's winner, though it was revised."""
    before = _policy(log)
    some = _foldline("experiments", "promote", "ctr", "--share", "0.2", "--log", log)
    assert "promoted: challenger, to 0.2 of all units" in some.stdout, some.stderr
    less = _foldline("experiments", "promote", "ctr", "--share", "0.1", "--log", log)
    assert (less.returncode, "only rises" in less.stderr) == (2, True)
    whole = json.loads(_foldline("experiments", "promote", "ctr", "--log", log, "--json").stdout)
    assert (whole["state"], whole["promoted"], whole["promoted_share"]) == ("ended", "challenger", 1.0)
    assert _policy(log) == {"kind": "fixed", "action": "b"}
    back = json.loads(_foldline("experiments", "rollback", "ctr", "--log", log, "--json").stdout)
    assert (back["promoted"], back["replaced"]) == (None, None)
    assert _policy(log) == before
    again = _foldline("experiments", "rollback", "ctr", "--log", log)
    assert (again.returncode, "promoted nothing" in again.stderr) == (2, True)
