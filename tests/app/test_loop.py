"""The public face: open, loop, decide, reward, estimates, and what bad input says."""

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import foldline as fl
from foldline.engine.learner import Pace

FAST = Pace(root_every_ms=0, publish_every_ms=0)


@pytest.fixture(params=["memory", "sqlite", "kafka"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log of each kind."""
    if request.param == "kafka":
        return str(request.getfixturevalue("kafka_url"))
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/app.db"


def test_a_loop_learns(url: str) -> None:
    """The better action wins most decisions once its rewards are learnt."""
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"], salt="s")
        for i in range(300):
            choice = news.decide(f"u{i}", id=str(i))
            if choice.action == "b":
                news.reward(choice, 1)
            if i % 20 == 0:
                news.catch_up()
        news.catch_up()
        estimates = {e.action: e for e in news.estimates()}
        counts = news.counts()
    assert estimates["b"].mean == 1.0
    assert estimates["a"].mean == 0.0
    assert estimates["b"].pulls > 200
    assert counts["learnt"] == 300
    assert counts.reward_sum == estimates["b"].pulls


def test_retries_count_once(url: str) -> None:
    """The same decision id and the same reward id, given again, change nothing."""
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        for _ in range(3):
            choice = news.decide("u1", id="order-1")
            news.reward("order-1", 1, unit="u1", id="r1")
        news.reward(None, 1, unit="u1", id="r2")
        news.catch_up()
        counts = news.counts()
    assert choice.propensity == 1.0
    assert counts["decisions"] == 1
    assert counts["duplicate_decisions"] == 2
    assert counts["rewards"] == 2
    assert counts["duplicate_rewards"] == 2


def test_outcomes_at_once(url: str) -> None:
    """A decision made off the log is learnt with its reward in one record."""
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"], policy=fl.ConstantStep(), complete=True)
        for i in range(20):
            news.outcome(news.decide(f"u{i}", log=False), 0.5)
        news.catch_up()
        assert news.counts()["outcomes"] == 20
        with pytest.raises(fl.FoldlineError, match="complete outcomes only"):
            news.decide("u1")


@pytest.fixture(params=["sqlite", "kafka"])
def lasting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log of each kind that outlives its processes."""
    if request.param == "kafka":
        return str(request.getfixturevalue("kafka_url"))
    return f"sqlite:///{tmp_path}/app.db"


def test_reopened_it_goes_on(lasting_url: str) -> None:
    """What was learnt stands when the log is opened again."""
    url = lasting_url
    for turn in range(3):
        with fl.open(url, pace=FAST) as app:
            news = app.loop("news", actions=["a", "b"])
            for i in range(10):
                news.reward(news.decide(f"u{turn}-{i}"), 1)
            news.catch_up()
            assert news.counts()["learnt"] == 10 * (turn + 1)
            assert news.definition.version == 1


def test_redefining(url: str) -> None:
    """New actions and dials make a new version; attaching without settings keeps it."""
    with fl.open(url, pace=FAST) as app:
        app.loop("news", actions=["a", "b"])
        news = app.loop("news", actions=["a", "b", "c"], policy=fl.EpsilonGreedy(0.5))
        assert news.definition.version == 2
        assert news.bundle.actions == ("a", "b", "c")
        assert app.loop("news").definition.version == 2
        assert app.loops() == ["news"]


def test_threads_define_at_once(url: str) -> None:
    """Versions follow one another without a gap, whoever defines."""
    with fl.open(url, pace=FAST) as app:
        app.loop("news", actions=["a"])
        actions = [["a", *(f"{i}-{j}" for j in range(3))] for i in range(6)]
        with ThreadPoolExecutor(6) as pool:
            versions = [loop.definition.version for loop in pool.map(lambda a: app.loop("news", a), actions)]
        assert app.loop("news").definition.version == 7
        assert max(versions) == 7


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda app, news: app.loop("unknown"), "input.unknown_loop"),
        (lambda app, news: app.loop("bad name!", actions=["a"]), "input.invalid"),
        (lambda app, news: app.loop("twice", actions=["a", "a"]), "input.invalid"),
        (lambda app, news: app.loop("none", actions=[]), "input.no_action"),
        (lambda app, news: app.loop("news", partitions=3), "definition.conflict"),
        (
            lambda app, news: app.loop("step", actions=["a"], policy=fl.ConstantStep()),
            "definition.incoherent",
        ),
        (lambda app, news: app.loop("range", actions=["a"], low=1, high=0), "definition.incoherent"),
        (lambda app, news: news.decide(""), "input.invalid"),
        (lambda app, news: news.decide("u", available=["zzz"]), "input.unknown_action"),
        (lambda app, news: news.decide("u", available=[]), "input.no_action"),
        (lambda app, news: news.reward("nonsense", 1), "input.unknown_decision"),
        (lambda app, news: news.reward("0.7.x", 1), "input.unknown_decision"),
        (lambda app, news: news.reward(None, 1), "input.unknown_decision"),
        (lambda app, news: news.reward("0.0.x", math.nan), "input.not_finite"),
        (lambda app, news: news.reward("0.0.x", math.inf), "input.not_finite"),
        (lambda app, news: news.reward("0.0.x", 1.5), "input.out_of_range"),
        (lambda app, news: news.reward("0.0.x", -0.1), "input.out_of_range"),
    ],
)
def test_bad_input_says_what_is_wrong(call, code: str) -> None:  # type: ignore[no-untyped-def]  # any callable
    """Every refusal carries its code and writes nothing."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"])
        end = app.log.offsets("news.events", 0)
        with pytest.raises(fl.FoldlineError) as caught:
            call(app, news)
        assert caught.value.code == code
        assert app.log.offsets("news.events", 0) == end


def test_a_reward_for_nothing_is_counted(url: str) -> None:
    """A well-formed reward that finds no decision is unmatched, not an error and not dropped in silence."""
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a"])
        news.reward("0.0.never", 1)
        news.catch_up()
        assert news.counts()["unmatched"] == 1


READER = """
import sys, foldline as fl
with fl.open(sys.argv[1], learn=False) as app:
    news = app.loop("news")
    for i in range(100):
        news.reward(news.decide(f"{sys.argv[2]}-{i}"), 1)
"""


def test_several_processes_on_one_log(lasting_url: str) -> None:
    """Processes that only decide share the log with one that learns; every reward counts once."""
    url = lasting_url
    with fl.open(url, pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        readers = [subprocess.Popen([sys.executable, "-c", READER, url, str(n)]) for n in range(3)]
        assert [reader.wait(60) for reader in readers] == [0, 0, 0]
        news.reward(news.decide("last"), 1)
        news.catch_up()
        ends = tuple(app.log.offsets("news.events", p)[1] for p in range(2))
        while news.bundle.cut != ends:
            news.reward(news.decide("again"), 1)
            news.catch_up()
            ends = tuple(app.log.offsets("news.events", p)[1] for p in range(2))
        counts = news.counts()
    assert counts["decisions"] >= 301
    assert counts["rewards"] == counts["decisions"]


def test_import_is_light() -> None:
    """Importing the package imports neither numpy nor numba."""
    code = "import sys, foldline; print(sorted({'numpy', 'numba', 'apsw', 'msgspec'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    """The names in `__all__` resolve and are at most 25."""
    assert len(fl.__all__) <= 25
    assert all(getattr(fl, name) is not None for name in fl.__all__)
