"""Hashes that an experiment may be assigned by: ours, and those of systems that experiments come from."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from foldline.errors import InputError
from foldline.experiments.assignment import assigner
from foldline.experiments.assignment_plan import AssignmentPlan
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.growthbook_experiment import GrowthBookUser, growthbook_experiment
from foldline.experiments.hashes import Hash
from foldline.experiments.layer import Holdout, LayerRange
from foldline.experiments.planout import PlanOutDraw
from foldline.experiments.reasons import Reason
from foldline.experiments.settings import settings_of
from foldline.experiments.unleash import unleash_enrolled, unleash_variant
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio

UNITS = [f"user-{i}" for i in range(20_000)]
HALVES = {"control": 1, "challenger": 1}


def _plan(by: Hash = "foldline_2", **changes: Any) -> AssignmentPlan:
    return AssignmentPlan(**({"key": "ctr", "weights": HALVES, "hash": by} | changes))


def _variants(plan: AssignmentPlan) -> list[str | None]:
    assign = assigner(plan)
    return [assign(unit).variant for unit in UNITS]


def test_known_answers_of_the_second_never_change() -> None:
    """A changed hash would swap users of every running experiment."""
    assign = assigner(
        _plan(coverage=0.5, layer=LayerRange("checkout", ((0, 5000),)), holdouts=(Holdout("all", 0.1),))
    )
    got = [assign(f"user-{i}") for i in range(12)]
    assert [a.variant or str(a.reason) for a in got] == KNOWN
    assert "".join((v or "")[1] for v in _variants(_plan())[:24]) == KNOWN_SPLIT


KNOWN = [
    "NOT_ENROLLED",
    "HOLDOUT",
    "NOT_ENROLLED",
    "challenger",
    "NOT_ENROLLED",
    "control",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
    "challenger",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
]
KNOWN_SPLIT = "ohohoohhhohhohooohoohooo"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"key": "exp-1"}, {"key": "exp-2"}),
        ({"coverage": 0.5}, {}),
        ({"layer": LayerRange("ctr", ((0, 5000),))}, {}),
        ({"holdouts": (Holdout("ctr", 0.5),)}, {}),
        ({"hash": "foldline_1"}, {}),
    ],
)
@pytest.mark.parametrize(
    "units", [UNITS, [str(i) for i in range(20_000)], [f"{i:0300d}" for i in range(20_000)]]
)
def test_its_decisions_are_independent(
    first: dict[str, Any], second: dict[str, Any], units: list[str]
) -> None:
    """Chi-square of the four cells at 0.001, for ids of every length class of XXH3; shares are as weighed."""
    one, other = assigner(_plan(**first)), assigner(_plan(**second))
    cells = Counter((one(unit).variant, other(unit).variant) for unit in units)
    # Who is left out would have had either variant, alike.
    rows = {a for a, _ in cells} if {"key", "hash"} & first.keys() else {None}
    for variant in rows:
        found = chi_square_ratio([cells[variant, "control"], cells[variant, "challenger"]], [1, 1])
        assert isinstance(found, SampleRatio)
        assert found.p_value > 0.001 / 3


def test_its_short_ways_assign_as_the_long_one() -> None:
    """A holdout of nobody takes the long way: the same for every unit, forced ones, and what is no id."""
    asked: list[Any] = [*UNITS[:3000], "", None, 7, "\ud800"]
    ramp: dict[str, Any] = {"coverage": 0.7, "layer": LayerRange("checkout", ((1000, 6500),))}
    for settings in (ramp, {}):
        given: dict[str, Any] = {
            "weights": {"control": 1, "challenger": 2},
            "forced": {"user-7": "challenger"},
        }
        short, long = (
            assigner(_plan(**given, **settings, holdouts=out)) for out in ((), (Holdout("none", 0.0),))
        )
        assert [short(unit) for unit in asked] == [long(unit) for unit in asked]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("coverage", [1.0, 0.4])
@pytest.mark.parametrize("namespace", [None, ["pricing", 0.1, 0.65]])
def test_an_experiment_of_growthbook_keeps_its_users(
    version: int, coverage: float, namespace: list[Any] | None
) -> None:
    """Every user's variation, of uneven weights too, is the one that its SDKs give; a namespace is a layer."""
    theirs: dict[str, Any] = {
        "key": "exp", "seed": "exp-ctr", "variations": [0, 1, 2], "weights": [0.334, 0.333, 0.333],
        "coverage": coverage, "hashVersion": version, **({"namespace": namespace} if namespace else {}),
    }  # fmt: skip
    plan = _plan(
        "growthbook_1" if version == 1 else "growthbook_2",
        salt="exp-ctr",
        weights={"0": 334, "1": 333, "2": 333},
        coverage=coverage,
        layer=LayerRange("pricing", ((100, 650),), 1000) if namespace else None,
    )
    assign = assigner(plan)
    for unit in UNITS[:4000]:
        expected = growthbook_experiment(theirs, GrowthBookUser(attributes={"id": unit}))
        assert assign(unit).variant == (expected.key if expected.in_experiment else None), unit


def test_growthbooks_published_users() -> None:
    """RC-12."""
    first = assigner(_plan("growthbook_1", salt="my-test", weights={"0": 1, "1": 1}))
    assert "".join(first(str(i)).variant or "" for i in range(1, 10)) == "100111010"
    second = assigner(_plan("growthbook_2", salt="exp-ctr", weights={"0": 1, "1": 1}))
    assert "".join(second(f"user-{i}").variant or "" for i in range(1, 11)) == "0001100111"


def test_an_experiment_of_planout_keeps_its_users() -> None:
    """RC-12; uniform and weighted choices; its namespaces' segments are a layer's slots; coverage is by our hash."""
    assign = assigner(_plan("planout_weighted", salt="ctr_test.variant"))
    assert [assign(f"user-{i}").variant for i in (1, 2)] == ["control", "challenger"]
    even = assigner(_plan("planout_uniform", salt="ctr_test.variant"))
    uneven = assigner(
        _plan("planout_weighted", salt="ctr_test.variant", weights={"control": 9, "challenger": 1})
    )
    segments = LayerRange("space", ((0, 3), (7, 9)), 10)
    layered = assigner(_plan("planout_uniform", salt="ctr_test.variant", layer=segments))
    for unit in UNITS[:2000]:
        draw = PlanOutDraw("ctr_test.variant", unit)
        assert even(unit).variant == draw.choice(("control", "challenger"))
        assert uneven(unit).variant == draw.weighted_choice(("control", "challenger"), (9, 1))
        segment = PlanOutDraw("space.segment", unit).random_integer(0, 9)
        assert layered(unit).variant == (even(unit).variant if segment in (0, 1, 2, 7, 8) else None)
    ramped = [assigner(_plan("planout_uniform", coverage=share)) for share in (0.2, 0.6)]
    few, many = ([assign(unit).variant for unit in UNITS[:4000]] for assign in ramped)
    assert all(a in (None, b) for a, b in zip(few, many, strict=True))
    assert abs(sum(map(bool, few)) - 800) < 4 * 25.3


def test_an_experiment_of_unleash_keeps_its_users() -> None:
    """Rollout and variants by its hashes and its sum of weights."""
    weights = {"control": 334, "a": 333, "b": 333}
    assign = assigner(_plan("unleash", salt="group", weights=weights, coverage=0.29))
    for unit in UNITS[:2000]:
        expected = unleash_variant("group", unit, weights) if unleash_enrolled("group", unit, 29) else None
        assert assign(unit).variant == expected


@pytest.mark.parametrize("by", ["growthbook_2", "planout_uniform", "unleash"])
def test_lists_holdouts_and_bad_ids_are_as_by_our_own(by: Hash) -> None:
    """A holdout is the same units whatever the experiment's hash."""
    ours = assigner(_plan(holdouts=(Holdout("2026", 0.2),), forced={"vip": "control"}))
    theirs = assigner(_plan(by, holdouts=(Holdout("2026", 0.2),), forced={"vip": "control"}))
    held = [unit for unit in UNITS[:2000] if ours(unit).reason is Reason.HOLDOUT]
    assert held == [unit for unit in UNITS[:2000] if theirs(unit).reason is Reason.HOLDOUT]
    asked: list[Any] = ["vip", "", None, 7, "\ud800"]
    assert [theirs(unit) for unit in asked] == [ours(unit) for unit in asked]


def _settings(**changes: Any) -> dict[str, Any]:
    variants = [{"key": key, "policy": {"kind": "random"}} for key in ("control", "challenger")]
    goal = {"name": "click", "baseline": 0.07, "effect": 0.04}
    return {"variants": variants, "goal": goal, "max_days": 7, **changes}


def test_a_definition_names_its_hash_and_older_ones_keep_theirs() -> None:
    """New experiments have the second of ours; a record that names none has the first; another's wants its salt."""
    made = settings_of(_settings()).settle("ctr", "news", salt="s", now=0)
    assert (made.hash, made.plan().hash) == ("foldline_2", "foldline_2")
    older = {name: value for name, value in msgspec.to_builtins(made).items() if name != "hash"}
    assert msgspec.convert(older, ExperimentDefinition).hash == "foldline_1"
    with pytest.raises(InputError) as raised:
        settings_of(_settings(hash="growthbook_2")).settle("ctr", "news", salt="s", now=0)
    assert raised.value.field == "salt"
    moved = settings_of(_settings(hash="growthbook_2", salt="exp-ctr")).settle("ctr", "news", salt="s", now=0)
    assert assigner(msgspec.structs.replace(moved, state="running").plan())("user-4").variant == "challenger"
