"""`foldline loops`, `replay` and `demo`, run as a user runs them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import foldline as fl
from foldline.log.open import open_log


def _foldline(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from foldline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log with one loop and some traffic."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/news.db"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        with news.batch():
            for i in range(200):
                news.reward(news.decide(f"u{i}"), i % 2)
        news.catch_up()
    return url


def test_list_and_show(log: str) -> None:
    """Both give the loop's figures, for people and as JSON."""
    listed = json.loads(_foldline("loops", "list", "--log", log, "--json").stdout)
    assert [(loop["loop"], loop["learnt"]) for loop in listed] == [("news", 200)]
    shown = json.loads(_foldline("loops", "show", "news", "--log", log, "--json").stdout)
    assert shown["counts"]["reward_sum"] == 100.0
    assert {e["action"] for e in shown["estimates"]} == {"a", "b"}
    text = _foldline("loops", "show", "news", "--log", log).stdout
    assert "epsilon_greedy (epsilon 0.1" in text


def test_replay_agrees_at_the_end_and_says_so(log: str) -> None:
    """Roots folded again are byte-equal; the exit status is 0."""
    done = _foldline("replay", "news", "--log", log, "--json", "--batch", "7")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["roots_agree"] is True
    assert [root["pending"] for root in result["roots"]] == [True, True]


def test_replay_to_a_cut_and_to_a_time(log: str) -> None:
    """A cut within the log folds a prefix; a time before everything folds nothing."""
    at_cut = json.loads(_foldline("replay", "--log", log, "--at", "0:11,1:11", "--json").stdout)
    assert 0 < at_cut["counts"]["decisions"] < 200
    at_time = json.loads(_foldline("replay", "--log", log, "--at", "2020-01-01", "--json").stdout)
    assert at_time["cut"] == "0:0,1:0"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "other"), "no loop 'other'"),
        (("replay", "news", "--at", "0:1"), "an offset for each of 2 partitions"),
        (("replay", "news", "--at", "0:99999,1:0"), "the log ends at"),
        (("loops", "show", "other"), "no loop 'other'"),
    ],
)
def test_bad_input_exits_with_2_and_one_line(log: str, arguments: tuple[str, ...], says: str) -> None:
    """What the caller got wrong is named in one line."""
    done = _foldline(*arguments, "--log", log)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_demo_interrupted_keeps_what_was_done(tmp_path: Path) -> None:
    """Ctrl-C ends the run early: every reader served stands on the log and in the summary."""
    url = f"sqlite:///{tmp_path}/run.db"
    code = "from foldline.cli import main; main()"
    options = ["--steps", "50000", "--apps", "2", "--rate", "400", "--json", "--log", url]
    demo = subprocess.Popen(
        [sys.executable, "-c", code, "demo", "news", *options],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with open_log(url) as log:
        while "news.events" not in {topic.name for topic in log.topics()}:
            log.wait({("foldline.loops", 0): 1}, 0.05) if log.topics() else None
        log.wait({("news.events", p): 60 for p in range(4)}, 60.0)
        os.killpg(demo.pid, signal.SIGINT)
        printed, _ = demo.communicate(timeout=60)
    summary = json.loads(printed)
    assert 30 <= summary["steps"] < 50_000
    shown = json.loads(_foldline("loops", "show", "news", "--log", url, "--json").stdout)
    assert shown["counts"]["learnt"] == summary["steps"]


def test_demo_in_memory(tmp_path: Path) -> None:
    """Several seeds run in memory and give the promised JSON."""
    done = _foldline("demo", "news", "--seeds", "2", "--steps", "300", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    expected = {
        "policy",
        "steps",
        "seeds",
        "mean_reward",
        "standard_error",
        "baseline_reward",
        "lift",
        "regret",
    }
    assert expected | {"best_action_share", "decisions_per_second", "policy_age_ms"} <= summary.keys()
    assert (summary["seeds"], summary["steps"]) == (2, 300)


def test_demo_through_a_log(tmp_path: Path) -> None:
    """Apps as processes; figures and Parquet written; every decision on the log."""
    out, log = tmp_path / "out", f"sqlite:///{tmp_path}/run.db"
    done = _foldline(
        "demo", "news", "--steps", "400", "--apps", "2", "--json", "--out", str(out), "--log", log, "--drift"
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["steps"] == 400
    assert summary["policy_age_ms"]["p99"] > 0
    assert sorted(path.name for path in out.iterdir()) == [
        "average_reward.png",
        "estimates.png",
        "run.parquet",
    ]
    shown = json.loads(_foldline("loops", "show", "news", "--log", log, "--json").stdout)
    assert shown["counts"]["learnt"] == 400
    again = _foldline("demo", "news", "--steps", "10", "--json", "--log", log)
    assert again.returncode == 2
    assert "holds a loop 'news' already" in again.stderr
