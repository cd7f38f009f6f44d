"""`foldline design`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Ran

Run = Callable[..., Ran]
CTR = ("design", "--metric", "proportion", "--baseline", "0.07", "--effect", "0.04", "--alpha", "0.05")


def test_proportions_as_json(run: Run) -> None:
    """One object; 1,124 a group."""
    answer = json.loads(run(*CTR, "--power", "0.9", "--json").out)
    assert (answer["method"], answer["alternative"]) == ("fleiss_cc", "two_sided")
    assert (answer["sample_size_per_variant"], answer["sample_size_total"]) == (1124, 2248)
    assert (answer["alpha"], answer["power"], answer["effect"]) == (0.05, 0.9, 0.04)
    assert answer["other_methods"] == {"fleiss": 1074, "unpooled": 1071, "arcsine": 1063}


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (("--power", "0.8"), 7209),
        (("--power", "0.9"), 9650),
        (("--power", "0.8", "--alternative", "greater"), 5678),
    ],
)
def test_means_as_json(run: Run, options: tuple[str, ...], size: int) -> None:
    """Standard deviation 15, difference 0.7."""
    answer = json.loads(
        run("design", "--metric", "mean", "--sd", "15", "--effect", "0.7", *options, "--json").out
    )
    assert answer["sample_size_per_variant"] == size


def test_defaults_are_five_and_ninety_percent(run: Run) -> None:
    """Alpha and power, where they are not given."""
    answer = json.loads(run("design", "--baseline", "0.07", "--relative", "0.5", "--json").out)
    assert (answer["alpha"], answer["power"], answer["effect"]) == (0.05, 0.9, pytest.approx(0.035))


@pytest.mark.parametrize(
    ("missing", "options"),
    [
        ("alpha", ("--power", "0.9", "--effect", "0.04", "--sample-size", "1124")),
        ("power", ("--alpha", "0.05", "--effect", "0.04", "--sample-size", "1124")),
        ("effect", ("--alpha", "0.05", "--power", "0.9", "--sample-size", "1124")),
        ("sample_size", ("--alpha", "0.05", "--power", "0.9", "--effect", "0.04")),
    ],
)
def test_three_give_the_fourth(run: Run, missing: str, options: tuple[str, ...]) -> None:
    """And the answer says which was solved."""
    answer = json.loads(run("design", "--baseline", "0.07", *options, "--json").out)
    assert answer["solved"] == missing
    assert answer["alpha"] == pytest.approx(0.05, abs=0.001)
    assert answer["power"] == pytest.approx(0.9, abs=0.001)
    assert answer["effect"] == pytest.approx(0.04, abs=0.0001)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--power", "0.9", "--sample-size", "500"), "sample size 500 contradicts"),
        (("--power", "0.04"), "power 0.04 is not above alpha 0.05"),
        (("--power", "0.9", "--max-days", "7"), "max_days is given without traffic"),
        (("--power", "0.9", "--max-days", "7", "--traffic", "100"), "take 23 days, not 7"),
        (("--power", "0.9", "--sd", "3"), "leave out sd"),
        (("--power", "0.9", "--weights", "1,x"), "weights '1,x'"),
        (("--power", "0.9", "--relative", "0.1"), "say the same"),
    ],
)
def test_incoherent_requests_are_refused_in_one_line(run: Run, options: tuple[str, ...], words: str) -> None:
    """Exit status 2."""
    ran = run(*CTR, *options)
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert words in ran.err


def test_a_fall_and_a_hyphen(run: Run) -> None:
    """A negative effect; two-sided as people write it."""
    fall = ("design", "--baseline", "0.07", "--effect", "-0.04", "--alternative", "two-sided", "--json")
    assert json.loads(run(*fall).out)["sample_size_per_variant"] == 671
    less = ("design", "--baseline", "0.07", "--sample-size", "671", "--alternative", "less", "--json")
    assert json.loads(run(*less).out)["effect"] == pytest.approx(-0.0366, abs=0.001)


def test_text_shows_method_alternatives_and_curve(run: Run) -> None:
    """What it takes, by whom, and how power grows."""
    out = run(*CTR, "--power", "0.9", "--traffic", "400").out
    assert "1124 + 1124 = 2248  <- solved" in out
    assert "fleiss_cc, to be analysed by yates (exact power 0.9027)" in out
    assert "fleiss 1074, unpooled 1071, arcsine 1063" in out
    assert "6 days" in out
    assert "▁" in out


def test_the_curve_is_drawn(run: Run, tmp_path: Path) -> None:
    """Into a PNG file, or refused where that cannot be."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "power.png"
    assert run(*CTR, "--power", "0.9", "--out", str(path)).status == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert run(*CTR, "--power", "0.9", "--out", str(tmp_path / "nowhere" / "power.png")).status == 2


def test_ratio_and_non_inferiority(run: Run) -> None:
    """A ratio from its parts; a margin with one side."""
    ratio = ("--metric", "ratio", "--numerator", "0.6,1.2", "--denominator", "3,2", "--correlation", "0.5")
    answer = json.loads(run("design", *ratio, "--effect", "0.01", "--json").out)
    assert (answer["metric"], answer["sample_size_per_variant"]) == ("ratio", 26152)
    margin = ("--margin", "0.7", "--effect", "0", "--alternative", "greater", "--power", "0.8")
    assert "5678" in run("design", "--metric", "mean", "--sd", "15", *margin).out
