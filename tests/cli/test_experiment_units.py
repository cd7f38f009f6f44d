"""`foldline experiments aa` and `export`, run as a user runs them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import foldline as fl
from foldline.engine.examining import folded_tallies
from foldline.experiments.measure import Guardrail
from foldline.experiments.tally_layout import Count
from foldline.log.open import open_log
from foldline.records.codec import encode
from foldline.records.types import Tick

START = 1_700_000_000_000


def _foldline(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from foldline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log with 400 units of an experiment, a seventh of whom click and some of whom spend 0.1 or a third."""
    from foldline.log.protocol import Batch

    url = f"sqlite:///{tmp_path_factory.mktemp('log')}/news.db"
    times: Iterator[int] = count(START, 1000)
    with fl.open(url, clock=lambda: next(times)) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2, salt="s")
        goal = fl.Proportion("click", baseline=0.07, effect=0.04)
        news.experiment(
            "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), goal=goal, max_days=28, window_s=60, salt="s",
            segments=["country"],
            guardrails=(Guardrail(name="spent", kind="mean", margin=1.0),),
        )  # fmt: skip
        with news.batch():
            for i in range(400):
                choice = news.decide(f"u{i}", context={"country": ("DE", "AT")[i % 2]}, id=str(i))
                if i % 7 == 0:
                    news.reward(choice, 1, name="click")
                if i % 3 == 0:
                    news.reward(choice, 0.1 if i % 2 else 1 / 3, name="spent")
        time = next(times) + 10_000_000
        app.log.append([Batch("news.events", p, encode(Tick(time=time)), 1, time, time) for p in range(2)])
    return url


def test_an_experiment_is_split_by_chance(log: str) -> None:
    """Alarms of each test against its level, for programs and for people; the same salts give the same."""
    asked = ("experiments", "aa", "ctr", "--salts", "40", "--log", log)
    found = _foldline(*asked, "--json")
    content = json.loads(found.stdout)
    assert (found.returncode, content["units"], content["matured"], content["salts"]) == (0, 400, 400, 40)
    assert [rate["test"] for rate in content["alarms"]] == ["always_valid", "fixed", "shares"]
    assert all(rate["holds"] for rate in content["alarms"])
    shown = _foldline(*asked)
    assert "400 of 400 units matured; click (proportion), 40 splits" in shown.stdout
    assert json.loads(_foldline(*asked, "--json").stdout) == content


def test_a_loop_is_split_by_a_metric_of_its_own(log: str) -> None:
    """Before any experiment stands there; too short a log is refused with what to do."""
    asked = ("experiments", "aa", "news", "--metric", "spent", "--salts", "10", "--log", log, "--json")
    content = json.loads(_foldline(*asked, "--window-s", "60").stdout)
    assert (content["units"], content["salts"]) == (400, 10)
    short = _foldline(*asked, "--window-s", "60", "--at", "0:3,1:3")
    assert (short.returncode, "take a shorter window" in short.stderr) == (2, True)
    unknown = _foldline("experiments", "aa", "nothing", "--log", log)
    assert unknown.returncode == 2
    never = ("--metric", "nobody-logs-this", "--window-s", "60", "--salts", "5")
    untested = _foldline("experiments", "aa", "news", *never, "--log", log)
    assert (untested.returncode, "could be tested: too few have a value of" in untested.stderr) == (2, True)


def test_results_by_segment(log: str) -> None:
    """A declared attribute, for programs and for people, with what is adjusted for; another is refused."""
    asked = ("experiments", "results", "ctr", "--log", log, "--segment")
    content = json.loads(_foldline(*asked, "country", "--json").stdout)
    assert (content["attribute"], content["comparisons"]) == ("country", 2)
    assert sorted(one["segment"] for one in content["segments"]) == ["AT", "DE"]
    shown = _foldline(*asked, "country").stdout
    assert "ctr by country: exploratory, no part of the verdict" in shown
    assert "2 comparisons" in shown
    other = _foldline(*asked, "device")
    assert (other.returncode, "expected one of 'country'" in other.stderr) == (2, True)


def test_exported_units_add_up_to_the_tally(log: str, tmp_path: Path) -> None:
    """Integer by integer, by variant; those that have not matured at an earlier cut are marked."""
    made = json.loads(
        _foldline("experiments", "export", "ctr", "--out", str(tmp_path), "--log", log, "--json").stdout
    )
    table = pq.read_table(made["file"])
    assert made["units"] == table.num_rows == 400
    assert table.column_names == [
        "unit", "partition", "variant", "exposed", "matured", "mixed", "click", "click_units", "spent", "spent_units",
    ]  # fmt: skip
    rows = [row for row in table.to_pylist() if row["matured"]]
    with open_log(log) as opened, fl.open(log, learn=False) as app:
        loop, experiment = app.loop("news").definition, app.loop("news").experiment("ctr").definition
        parts = folded_tallies(opened, loop, experiment, tuple(made["cut"]))
    for k, variant in enumerate(("control", "challenger")):
        mine = [row for row in rows if row["variant"] == variant]
        assert len(mine) == sum(int(part.counts[:, k, Count.MATURED].sum()) for part in parts)
        for v, name in enumerate(("click", "spent")):
            total = sum(int(part.sums[:, k, v].sum()) for part in parts)
            assert sum(row[f"{name}_units"] for row in mine) == total
            assert sum(row[name] for row in mine) == pytest.approx(total / 2.0 ** (32 * v))
    assert {row["partition"] for row in rows} == {0, 1}
    early = json.loads(
        _foldline(
            "experiments", "export", "ctr", "--out", str(tmp_path), "--at", "0:40,1:0", "--log", log, "--json"
        ).stdout
    )
    assert 0 < early["units"] < 40
    assert not all(pq.read_table(early["file"])["matured"].to_pylist())
