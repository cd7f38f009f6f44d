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
        (("--power", "0.9", "--weights", "1"), "such as 1,1"),
        (("--power", "0.9", "--coverage", "0.5"), "coverage is given without traffic"),
        (("--power", "0.9", "--traffic", "0"), "0.0 new units a day"),
        (("--power", "0.9", "--traffic", "9", "--coverage", "2"), "coverage is 2.0"),
        (("--power", "0.9", "--numerator", "1,2"), "are of a ratio"),
        (
            ("--margin", "0.02"),
            "a margin of 0.02 asks whether the treatment is not worse, which has one side",
        ),
        (("--margin", "-1"), "margin is -1.0"),
        (("--margin", "0.02", "--alternative", "greater", "--method", "fleiss"), "give the method unpooled"),
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "a ratio needs numerator and denominator, each as MEAN,SD of a unit's sum, or sd"),
        (("--numerator", "3"), "needs both numerator and denominator"),
        (("--numerator", "3", "--denominator", "1,2"), "numerator is '3'; expected MEAN,SD"),
        (("--numerator", "3,1", "--denominator", "0,1"), "denominator_mean is 0.0"),
        (("--numerator", "3,1", "--denominator", "2,1", "--correlation", "2"), "correlation is 2.0"),
        (("--numerator", "3,1", "--denominator", "2,1", "--sd", "1"), "or sd alone"),
        (("--sd", "1", "--correlation", "0.5"), "give them in the place of sd"),
    ],
)
def test_what_a_ratio_lacks_is_said(run: Run, options: tuple[str, ...], words: str) -> None:
    """Exit status 2, and how it is given."""
    ran = run("design", "--metric", "ratio", "--effect", "0.01", *options)
    assert (ran.status, ran.out) == (2, "")
    assert words in ran.err


def test_what_is_missing_is_named(run: Run) -> None:
    """Alpha and power have defaults; effect and sample size have none."""
    ran = run("design", "--baseline", "0.07")
    assert ran.status == 2
    assert "effect and sample_size are not given" in ran.err


@pytest.mark.parametrize(
    ("options", "others"),
    [
        (
            ("--effect", "0.04", "--sample-size", "500"),
            {"fleiss": 0.598949, "unpooled": 0.600805, "arcsine": 0.603808},
        ),
        (("--sample-size", "1124"), {"fleiss": 0.0389966, "unpooled": 0.0389357, "arcsine": 0.0387924}),
        (
            ("--effect", "0.04", "--power", "0.9", "--sample-size", "1124"),
            {"fleiss": 0.0418432, "unpooled": 0.041344, "arcsine": 0.0402008},
        ),
        (
            ("--effect", "0.04", "--sample-size", "1200", "--power", "0.9", "--alpha", "0.05"),
            {"fleiss": 1074},
        ),
    ],
)
def test_other_methods_solve_for_the_same(
    run: Run, options: tuple[str, ...], others: dict[str, float]
) -> None:
    """For power, effect or alpha where that was asked for, not for a size at the power found."""
    answer = json.loads(run("design", "--baseline", "0.07", *options, "--json").out)
    assert {name: answer["other_methods"][name] for name in others} == pytest.approx(others, abs=6e-5)


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
    lines = out.splitlines()
    assert lines[-9].startswith("    power 1 |")
    assert lines[-3].index("^") == 13 + 29
    assert lines[-2].split() == ["0", "1124", "2248"]


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
