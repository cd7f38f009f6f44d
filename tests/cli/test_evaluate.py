"""`foldline evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_FEATURES = "2:0.1 3:0.2 4:0.3 5:0.3 6:0.1 1:1.0"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten events; `a` was shown in all and clicked in five."""
    line = "{} a {} |user " + _FEATURES + f" |a {_FEATURES} |b {_FEATURES}\n"
    path = tmp_path / "log.txt"
    path.write_text("".join(line.format(i, i % 2) for i in range(10)))
    return path


def test_json_holds_the_figures(run: Callable[..., Any], log: Path) -> None:
    """One object, the interval being Wilson's of 5 in 10."""
    ran = run("evaluate", str(log), "--policy", "fixed:action=a", "--json")
    figures = json.loads(ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert (figures["events"], figures["matched"], figures["mean_reward"]) == (10, 10, 0.5)
    assert (round(figures["low"], 4), round(figures["high"], 4)) == (0.2366, 0.7634)
    assert (figures["method"], figures["format"], figures["interval"]) == ("replay", "r6a", "wilson")
    assert (figures["policy"], figures["warning"]) == ({"kind": "fixed", "action": "a"}, None)


def test_table_for_people(run: Callable[..., Any], log: Path) -> None:
    """The same figures under headings; no progress bar where standard error is no terminal."""
    ran = run("evaluate", str(log), "--policy", "fixed:action=a", "--format", "r6a", "--method", "replay")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.split("\n")[1].split() == [
        "fixed:action=a",
        "10",
        "10",
        "0.50000",
        "0.23659",
        "0.76341",
        "wilson",
    ]


def test_bad_lines_are_refused_or_shown(run: Callable[..., Any], log: Path) -> None:
    """The error names the line and the way out; what was passed over is said."""
    log.write_text(log.read_text() + "nonsense\n")
    refused = run("evaluate", str(log), "--policy", "random")
    assert refused.status == 2
    assert "line 11 starts with 1 fields" in refused.err
    assert "--skip-bad" in refused.err
    passed = run("evaluate", str(log), "--policy", "fixed:action=a", "--skip-bad")
    assert passed.status == 0
    assert "1 bad lines were passed over" in passed.err
    assert "line 11 starts with" in passed.err
    figures = json.loads(run("evaluate", str(log), "--policy", "fixed:action=a", "--skip-bad", "--json").out)
    assert figures["bad_lines"] == 1
    assert figures["bad"][0]["number"] == 11


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "fixed:action=b"], "input.not_estimable"),
        (["--policy", "fixed:action=z"], "input.unknown_action"),
        (["--policy", "greedy"], "input.unknown_policy"),
        (["--policy", "random", "--method", "dr"], "expected one of replay"),
        (["--policy", "random", "--format", "xml"], "expected auto, r6a or obd"),
        (["--policy", "random", "--format", "obd"], "lacks the columns"),
    ],
)
def test_what_cannot_be_evaluated(
    run: Callable[..., Any], log: Path, arguments: list[str], said: str
) -> None:
    """Each refusal has its reason; nothing is printed as a result."""
    ran = run("evaluate", str(log), *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err


def test_missing_source(run: Callable[..., Any], tmp_path: Path) -> None:
    """The path is named."""
    ran = run("evaluate", str(tmp_path / "absent.gz"), "--policy", "random", "--json")
    assert ran.status == 2
    assert json.loads(ran.err)["code"] == "input.unreadable"
    assert "absent.gz" in ran.err


def test_help_has_an_example(run: Callable[..., Any]) -> None:
    """Whoever asks sees a line to copy."""
    ran = run("evaluate", "--help")
    assert ran.status == 0
    assert "foldline evaluate r6a.txt.gz --policy epsilon_greedy:epsilon=0.05" in " ".join(ran.out.split())
