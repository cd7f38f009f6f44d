"""`foldline replay --audit`, run as a user runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import foldline as fl
from foldline.log.open import open_log
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log with one loop, learnt by its own thread, whose definition changed on the way."""
    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/news.db"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b", "c"], partitions=2)
        for turn in range(4):
            with news.batch():
                for i in range(50):
                    mask = ["a", "b"] if i % 5 == 0 else None
                    news.reward(news.decide(f"u{i}", available=mask, id=f"{turn}-{i}"), i % 2)
            news.catch_up()
            if turn == 1:
                news = app.loop("news", actions=["a", "b", "d"], policy=fl.Thompson())
    return url


def test_an_honest_log_agrees(run: Run, url: str) -> None:
    """Exit status 0, all counts, for programs and for people."""
    ran = run("replay", "news", "--audit", "--log", url, "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out)
    assert result["loop"] == "news"
    assert (result["agree"], result["decisions"], result["outcomes"], result["fallback"]) == (True, 200, 0, 0)
    assert result["bundles"] == result["bundles_agree"] > 3
    assert (result["findings"], set(result["counts"].values())) == ([], {0})
    text = run("replay", "--audit", "--log", url)
    assert text.status == 0
    assert "everything agrees" in text.out


def test_a_cut_and_a_time_end_the_audit(run: Run, url: str) -> None:
    """`--at` audits what stands before it."""
    early = json.loads(run("replay", "--audit", "--at", "0:30,1:30", "--log", url, "--json").out)
    assert early["cut"] == "0:30,1:30"
    assert 0 < early["decisions"] < 60
    never = json.loads(run("replay", "--audit", "--at", "2020-01-01", "--log", url, "--json").out)
    assert (never["decisions"], never["agree"]) == (0, True)
    beyond = run("replay", "--audit", "--at", "0:1,1:99999", "--log", url)
    assert beyond.status == 2
    assert "the log ends at" in beyond.err


def test_planted_errors_end_with_status_1(run: Run, tmp_path: Path) -> None:
    """Each finding is a line with its place and both values; `--findings` limits the list, not the counts."""
    url = f"sqlite:///{tmp_path}/news.db"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"])
        honest = [news.decide(f"u{i}", log=False) for i in range(30)]
        news.catch_up()
    with open_log(url) as log:
        lines = [encode(msgspec.structs.replace(one, propensity=0.25)) for one in honest]
        time = honest[-1].time
        [offset] = log.append([Batch("news.events", 0, b"\n".join(lines), len(lines), time, time)])
    ran = run("replay", "--audit", "--log", url, "--json", "--findings", "2")
    assert ran.status == 1
    result = json.loads(ran.out)
    assert (result["agree"], result["counts"]["propensity_differs"]) == (False, 30)
    first = {"topic": "news.events", "partition": 0, "offset": offset, "logged": 0.25, "recomputed": 0.5}
    assert result["findings"][0].items() >= first.items()
    assert len(result["findings"]) == 2
    text = run("replay", "--audit", "--log", url, "--findings", "1")
    assert text.status == 1
    place = f"propensity_differs at news.events[0] offset {offset}: {honest[0].id}"
    assert f"{place} logged 0.25, recomputed 0.5" in text.out
    assert "and 29 more" in text.out
