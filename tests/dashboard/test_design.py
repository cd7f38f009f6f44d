"""The design page: what its numbers say, and what it refuses, with the field at fault."""

import re
from typing import Any

import httpx
import pytest

import foldline as fl
from foldline.experiments.definition import Variant
from foldline.experiments.measure import Goal, Guardrail
from foldline.experiments.settings import ExperimentSettings, settings_of

GOAL = {"goal.name": "click", "goal.baseline": "0.07", "goal.effect": "0.04"}
VALUES = {
    "loop": "news",
    "name": "ctr",
    "variants[0].key": "control",
    "variants[0].policy": "fixed:action=sport",
    "variants[0].weight": "1",
    "variants[1].key": "challenger",
    "variants[1].policy": "thompson",
    "variants[1].weight": "1",
    **GOAL,
    "alpha": "0.05",
    "power": "0.9",
    "max_days": "28",
}
MEAN = {"goal.kind": "mean", "goal.sd": "15", "goal.effect": "0.7", "goal.baseline": ""}
RATIO = {
    "variants[1].policy": "random",
    "goal.kind": "ratio",
    "goal.per": "views",
    "goal.baseline": "",
    "goal.effect": "0.01",
    "ratio.numerator_mean": "0.6",
    "ratio.numerator_sd": "1.2",
    "ratio.denominator_mean": "3",
    "ratio.denominator_sd": "2",
    "ratio.correlation": "0.5",
}
NOT_WORSE = {"question": "not_worse", "goal.margin": "0.02", "goal.effect": "0"}
THIRD = {"variants[2].key": "third", "variants[2].policy": "random", "variants[2].weight": "2"}


@pytest.fixture
def control(app: fl.Foldline) -> dict[str, str]:
    """A policy of the loop `news` for the control."""
    return {"variants[0].policy": f"fixed:action={app.loop('news').definition.actions[0]}"}


def asked(site: str, control: dict[str, str], changed: dict[str, str]) -> httpx.Response:
    """What the page answers to a form."""
    return httpx.get(f"{site}/design.json", params={**VALUES, **control, **changed})


@pytest.mark.parametrize(
    ("changed", "sizes"),
    [
        ({}, [1124, 1124]),
        ({"goal.method": "fleiss"}, [1074, 1074]),
        ({"variants[1].weight": "2"}, [853, 1705]),
        (THIRD, [1318, 1318, 2636]),
        (MEAN, [9650, 9650]),
        ({**MEAN, "power": "0.8"}, [7209, 7209]),
        (
            {
                **MEAN,
                "goal.covariate": "before",
                "goal.covariate_correlation": "0.5",
                "variants[1].policy": "random",
            },
            [7238, 7238],
        ),
        (RATIO, [26152, 26152]),
        ({"sample_size": "2000"}, [2000, 2000]),
        ({"goal.direction": "decrease"}, [671, 671]),
        ({"question": "better"}, [925, 925]),
        ({"question": "better", "goal.direction": "decrease"}, [556, 556]),
        ({"question": "not_worse", "goal.margin": "0.02", "goal.effect": "0"}, [2788, 2788]),
        ({"question": "not_worse", "goal.margin": "0.02", "goal.effect": ""}, [2788, 2788]),
        (
            {**MEAN, "power": "0.8", "question": "not_worse", "goal.margin": "0.7", "goal.effect": "0"},
            [5678, 5678],
        ),
    ],
)
def test_the_numbers_are_the_designs(
    site: str, control: dict[str, str], changed: dict[str, str], sizes: list[int]
) -> None:
    """Of every kind of metric, split and number of challengers; the request says it all, and gives the same sizes."""
    found = asked(site, control, changed).json()
    assert found["sample_sizes"] == sizes
    settings = settings_of({name: value for name, value in found["request"].items() if name != "loop"})
    definition = settings.settle("ctr", "news", salt="s", now=0)
    assert list(definition.sample_sizes) == found["sample_sizes"]
    assert found["curve"][len(found["curve"]) // 2 - 1][0] == sizes[0]


@pytest.mark.parametrize(
    ("changed", "solved", "value"),
    [
        ({}, "sample_size", 1124),
        ({"goal.effect": "", "sample_size": "1124"}, "effect", 0.0399811),
        ({"goal.effect": "", "sample_size": "1124", "goal.direction": "decrease"}, "effect", -0.031792),
        ({"goal.effect": "", "sample_size": "925", "question": "better"}, "effect", 0.0399796),
        ({**NOT_WORSE, "goal.effect": "", "sample_size": "2500"}, "effect", 0.0012024),
        ({**NOT_WORSE, "power": "", "sample_size": "2788"}, "power", 0.9),
        ({**NOT_WORSE, "goal.direction": "decrease", "alpha": "", "sample_size": "2788"}, "alpha", 0.049975),
        ({"power": "", "sample_size": "1124"}, "power", 0.900248),
        ({"alpha": "", "sample_size": "1124"}, "alpha", 0.0498350),
        ({"sample_size": "1200"}, None, None),
    ],
)
def test_any_three_give_the_fourth(
    site: str, control: dict[str, str], changed: dict[str, str], solved: str | None, value: float | None
) -> None:
    """The one left empty; it stands in the request, but for the sample size, which follows there too."""
    found = asked(site, control, changed).json()
    assert found["solved"] == solved
    if solved == "sample_size":
        assert found["sample_sizes"][0] == value
    elif solved is not None:
        assert found[solved] == pytest.approx(value, rel=1e-4)
        request = found["request"]
        assert (request["goal"] if solved == "effect" else request)[solved] == pytest.approx(
            abs(value or 0), rel=1e-4
        )


def test_an_always_valid_design_says_when_it_finds(site: str, control: dict[str, str]) -> None:
    """Not the power of a test of one look; a variant that learns is decided so by itself."""
    found = asked(site, control, {"rule": "always_valid"}).json()
    assert (found["analysis"], found["exact_power"]) == ("limits at every moment", None)
    assert (found["power_always_valid"], found["power"]) == pytest.approx((0.69, 0.9), abs=0.02)
    assert [found["curve"][23], found["curve"][-1][0]] == [[1124, found["power_always_valid"]], 2248]
    assert asked(site, control, {}).json()["rule"] == "always_valid"
    assert asked(site, control, {"variants[1].policy": "random"}).json()["rule"] == "fixed"


def test_duration_counts_what_is_planned(site: str, control: dict[str, str]) -> None:
    """Of 2,248 units at 400 a day, and of a larger sample that was asked for."""
    assert asked(site, control, {"traffic": "400"}).json()["days"] == 6
    more = asked(site, control, {"traffic": "400", "sample_size": "4000"}).json()
    assert (more["days"], more["wait_s"]) == (20, 3600.0)


def test_the_request_carries_everything(site: str, control: dict[str, str]) -> None:
    """Guardrails, rule, window, targeting, segments and further settings, as Python, files and HTTP take them."""
    request = asked(
        site,
        control,
        {
            "rule": "always_valid",
            "window_s": "600",
            "maturity_s": "60",
            "coverage": "0.5",
            "segments": "device, country",
            "condition": '{"country": {"$in": ["DE"]}}',
            "more": '{"forced": {"tester-7": "challenger"}}',
            "guardrails[0].name": "seconds",
            "guardrails[0].kind": "mean",
            "guardrails[0].direction": "decrease",
            "guardrails[0].margin": "0.2",
            "guardrails[0].alpha": "0.01",
            "variants[1].learns": "shared",
        },
    ).json()["request"]
    assert (request["loop"], request["rule"], request["window_s"]) == ("news", "always_valid", 600)
    assert request["segments"] == ["device", "country"]
    assert request["condition"] == {"country": {"$in": ["DE"]}}
    assert request["forced"] == {"tester-7": "challenger"}
    assert [variant["policy"]["kind"] for variant in request["variants"]] == ["fixed", "thompson"]
    assert request["variants"][1]["learns"] == "shared"
    guardrail = {"name": "seconds", "kind": "mean", "direction": "decrease", "margin": 0.2, "alpha": 0.01}
    assert request["guardrails"] == [guardrail]


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"sample_size": "100"}, "sample_size", "at least 1124, or a power of"),
        ({"goal.baseline": "7"}, "goal.baseline", "between 0 and 1"),
        ({"goal.baseline": ""}, "goal.baseline", "expected rate"),
        ({"goal.effect": ""}, "goal.effect", "leave one empty"),
        ({"alpha": "", "power": ""}, "alpha", "leave one empty"),
        ({"goal.effect": "much"}, "goal.effect", "expected a number"),
        ({"goal.effect": "0.95"}, "goal.effect", "between -0.07 and 0.93"),
        ({"sample_size": "10.5"}, "sample_size", "whole number"),
        ({"goal.effect": "", "sample_size": "3"}, "sample_size", "find no effect"),
        ({"loop": "none"}, "loop", "expected one of"),
        ({"name": "two words"}, "name", "letters, digits"),
        ({"variants[1].policy": "fixed:action=nothing"}, "variants[1].policy.action", "nothing"),
        ({"variants[1].policy": "best"}, "variants[1].policy", "best"),
        ({"variants[1].policy": "epsilon_greedy:epsilon=7"}, "variants[1].policy", "epsilon=7"),
        ({"variants[1].policy": ""}, "variants[1].policy", "policy"),
        ({"variants[1].weight": "0"}, "variants[1].weight", ">= 1"),
        ({"variants[1].key": "control"}, "variants[1].key", "each key once"),
        ({"traffic": "10"}, "max_days", "81 units a day"),
        ({"traffic": "0"}, "traffic", "above 0"),
        ({"max_days": ""}, "max_days", "max_days"),
        ({"max_days": "0.01"}, "window_s", "longer max_days"),
        ({"goal.kind": "mean"}, "goal.sd", "deviation"),
        ({**RATIO, "goal.per": ""}, "goal.per", "per"),
        ({**RATIO, "ratio.denominator_sd": ""}, "ratio.denominator_sd", "empty"),
        ({**RATIO, "ratio.correlation": "2"}, "ratio.correlation", "-1 to 1"),
        ({**MEAN, "goal.covariate": "click"}, "goal.covariate", "its own covariate"),
        ({**MEAN, "goal.cap[1]": "9"}, "goal.cap", "length 2"),
        ({"question": "which"}, "question", "not_worse"),
        ({"question": "not_worse"}, "goal.margin", "on the metric's own scale"),
        ({**NOT_WORSE, "goal.effect": "-0.03"}, "goal.effect", "outside the margin"),
        ({"alpha": "0.9"}, "alpha", "< 0.5"),
        ({"power": "0.04"}, "power", "not above alpha"),
        ({"coverage": "2"}, "coverage", "<= 1"),
        ({"condition": "{"}, "condition", "JSON"),
        ({"condition": '{"a": {"$like": 1}}'}, "condition", "$like"),
        ({"more": '{"alpha": 0.1}'}, "more", "'alpha'"),
        ({"more": "[]"}, "more", "no JSON object"),
        ({"more": '{"layer": 1}'}, "layer", "layer"),
        ({"guardrails[0].kind": "ratio", "guardrails[0].name": "x"}, "guardrails[0].per", "per"),
        ({"guardrails[0].kind": "mean"}, "guardrails[0].name", "name"),
        ({"goal": "x"}, None, "no field"),
        ({"goal.effect[0]": "1"}, None, "no field"),
    ],
)
def test_what_cannot_be_is_named(
    site: str, control: dict[str, str], changed: dict[str, str], field: str | None, says: str
) -> None:
    """The field at fault, and what would be possible."""
    answered = asked(site, control, changed)
    assert answered.status_code == 400
    (error,) = answered.json()["errors"]
    assert says in error["message"]
    assert error["field"] == field


def test_the_form_has_every_setting(site: str) -> None:
    """Of experiment, goal, variant and guardrail: as a field of its own, or among the further ones."""
    page = httpx.get(f"{site}/design").text
    named = {re.sub(r"\[[#\d]+\]", "[]", name) for name in re.findall(r' name="([^"]+)"', page)}
    named |= {name.removesuffix("[]") for name in named}
    further = re.search(r"JSON: ([a-z_, ]+)", page)
    assert further is not None
    named |= set(further[1].split(", "))
    # Its question stands for both.
    named |= {"goal.alternative"} if "question" in named else set()
    wanted = {
        name
        for name in ExperimentSettings.__struct_fields__
        if name not in ("goal", "variants", "guardrails")
    }
    for place, struct in (("goal", Goal), ("variants[]", Variant), ("guardrails[]", Guardrail)):
        wanted |= {f"{place}.{name}" for name in struct.__struct_fields__}
    assert wanted - named == set()


def test_values_that_cannot_be_read_are_all_named(site: str, control: dict[str, str]) -> None:
    """Not only the first of them."""
    errors: list[dict[str, Any]] = asked(
        site, control, {"alpha": "x", "goal.effect": "y", "variants[1].policy": "z"}
    ).json()["errors"]
    assert {error["field"] for error in errors} == {"alpha", "goal.effect", "variants[1].policy"}
