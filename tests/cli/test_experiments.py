"""`foldline experiments`, run as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import foldline as fl

SETTINGS = """
max_days = 28
window_s = 60
variants = [
  {key = "control", policy = {kind = "fixed", action = "a"}},
  {key = "challenger", policy = {kind = "fixed", action = "b"}},
]
[goal]
name = "reward"
baseline = 0.07
effect = 0.04
"""


def _foldline(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from foldline.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A log with a loop, and an experiment made by the command line, started and met by some units."""
    folder = tmp_path_factory.mktemp("log")
    url = f"sqlite:///{folder}/news.db"
    (folder / "ctr.toml").write_text(SETTINGS)
    with fl.open(url) as app:
        app.loop("news", actions=["a", "b"])
    made = _foldline(
        "experiments", "create", "ctr", f"{folder}/ctr.toml", "--loop", "news", "--log", url, "--json"
    )
    assert json.loads(made.stdout)["sample_sizes"] == [1124, 1124], made.stderr
    started = _foldline("experiments", "start", "ctr", "--log", url)
    assert "ctr, version 2, of loop news: running" in started.stdout, started.stderr
    with fl.open(url) as app:
        news = app.loop("news")
        news.experiment("ctr").start()
        with news.batch():
            for i in range(50):
                news.decide(f"u{i}")
    return url


def test_new_weights_by_the_command_line(tmp_path: Path) -> None:
    """Of a sticky experiment that covers a part; what makes no sense is refused with status 2."""
    url = f"sqlite:///{tmp_path}/news.db"
    (tmp_path / "ctr.toml").write_text(f"sticky = true\ncoverage = 0.2\n{SETTINGS}")
    with fl.open(url) as app:
        app.loop("news", actions=["a", "b"])
    _foldline("experiments", "create", "ctr", f"{tmp_path}/ctr.toml", "--loop", "news", "--log", url)
    _foldline("experiments", "start", "ctr", "--log", url)
    made = _foldline("experiments", "reweight", "ctr", "1,3", "--coverage", "0.5", "--log", url)
    assert "in phase 3; 0.2 of all units keep their variants from before" in made.stdout, made.stderr
    wrong = _foldline("experiments", "reweight", "ctr", "1;3", "--log", url)
    assert (wrong.returncode, "expected whole numbers" in wrong.stderr) == (2, True)


def _at_end(log: str) -> str:
    from foldline.log.open import open_log

    with open_log(log) as opened:
        return f"0:{opened.offsets('news.events', 0)[1]}"


def test_results_and_check(log: str) -> None:
    """Units of each variant at a cut, for programs and for people; every assignment made again."""
    found = json.loads(
        _foldline("experiments", "results", "ctr", "--at", _at_end(log), "--log", log, "--json").stdout
    )
    assert (sum(v["decisions"] for v in found["variants"]), found["verdict"], found["state"]) == (
        50,
        None,
        "running",
    )
    shown = _foldline("experiments", "results", "ctr", "--at", _at_end(log), "--log", log).stdout
    assert "no verdict yet" in shown
    assert "challenger" in shown
    checked = json.loads(_foldline("experiments", "check", "ctr", "--log", log, "--json").stdout)
    assert (checked["decisions"], checked["agree"], checked["differ"]) == (50, 50, [])


def test_list_show_and_changes_of_state(log: str) -> None:
    """A new version each; what is fixed or over is refused with status 2."""
    [one] = json.loads(_foldline("experiments", "list", "--log", log, "--json").stdout)
    assert (one["experiment"], one["loop"], one["rule"]) == ("ctr", "news", "fixed")
    paused = json.loads(_foldline("experiments", "pause", "ctr", "--log", log, "--json").stdout)
    assert (paused["state"], paused["version"]) == ("paused", 3)
    down = _foldline("experiments", "ramp", "ctr", "0.5", "--log", log)
    assert (down.returncode, "a ramp only rises" in down.stderr) == (2, True)
    assert (
        json.loads(_foldline("experiments", "stop", "ctr", "--log", log, "--json").stdout)["state"] == "ended"
    )
    again = _foldline("experiments", "start", "ctr", "--log", log)
    assert (again.returncode, "cannot become running" in again.stderr) == (2, True)


def test_what_cannot_be_is_refused(log: str, tmp_path: Path) -> None:
    """An unknown experiment, a file that is not there, an incoherent design."""
    unknown = _foldline("experiments", "show", "nothing", "--log", log)
    assert (unknown.returncode, "input.unknown_experiment" in unknown.stderr) == (2, True)
    missing = _foldline("experiments", "create", "x", f"{tmp_path}/no.toml", "--loop", "news", "--log", log)
    assert (missing.returncode, "input.unreadable" in missing.stderr) == (2, True)
    (tmp_path / "small.toml").write_text("sample_size = 100\npower = 0.9\n" + SETTINGS)
    small = _foldline("experiments", "create", "x", f"{tmp_path}/small.toml", "--loop", "news", "--log", log)
    assert (small.returncode, "at least 1124" in small.stderr) == (2, True)
