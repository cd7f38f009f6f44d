"""Assignment: a pure function whose shares, ramps, layers and salts behave as promised."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import DefinitionError
from foldline.experiments.assignment import Assignment, assigner, count_reasons
from foldline.experiments.assignment_plan import AssignmentPlan
from foldline.experiments.bands import Band
from foldline.experiments.identity import assign_identity
from foldline.experiments.layer import Holdout, Layer, LayerRange
from foldline.experiments.reasons import AssignmentError, Reason
from foldline.records.hashing import DRAWS, draw
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio

UNITS = [f"user-{i}" for i in range(20_000)]
HALVES = {"control": 1, "challenger": 1}


def plan(**changes: Any) -> AssignmentPlan:
    """An experiment of two halves."""
    return AssignmentPlan(**({"key": "ctr", "weights": HALVES} | changes))


def variants(**changes: Any) -> list[str | None]:
    """What each unit gets."""
    assign = assigner(plan(**changes))
    return [assign(unit).variant for unit in UNITS]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.text(min_size=1, max_size=40).filter(lambda t: t.isprintable()),
    st.lists(st.integers(0, 10**6), min_size=2, max_size=6),
)
def test_the_hash_is_the_draw_of_the_decision_log(unit: str, weights: list[int]) -> None:
    """Version 1: (draw · total) >> 53 among the cumulative weights, so any client with `draw` can assign."""
    if not any(weights):
        return
    chosen = {f"v{i}": weight for i, weight in enumerate(weights)}
    position = draw("exp", "variant", unit) * sum(weights) // DRAWS
    upto, expected = 0, None
    for key, weight in chosen.items():
        upto += weight
        if position < upto:
            expected = key
            break
    assert assigner(AssignmentPlan(key="exp", weights=chosen))(unit).variant == expected


def test_known_answers_never_change() -> None:
    """A changed hash would swap users of every running experiment."""
    assign = assigner(
        plan(coverage=0.5, layer=LayerRange("checkout", ((0, 5000),)), holdouts=(Holdout("all", 0.1),))
    )
    got = [assign(f"user-{i}") for i in range(12)]
    assert [a.variant or str(a.reason) for a in got] == KNOWN
    simple = assigner(plan())
    assert "".join("c" if simple(f"user-{i}").variant == "control" else "t" for i in range(24)) == KNOWN_SPLIT


@pytest.mark.parametrize(
    "weights", [{"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 1, "b": 1, "c": 1}, {"a": 7, "b": 2, "c": 1}]
)
def test_shares_follow_the_weights(weights: dict[str, int]) -> None:
    """20,000 units: no sample ratio mismatch at 0.001, both sides."""
    counts = Counter(variants(weights=weights))
    result = chi_square_ratio([counts[key] for key in weights], list(weights.values()))
    assert isinstance(result, SampleRatio)
    assert result.p_value > 0.001


def test_a_ramp_moves_nobody_between_variants() -> None:
    """From 0 to 100 % in steps, those enrolled stay, with their variant; the share enrolled is the coverage."""
    steps = [variants(coverage=share) for share in (0.0, 0.05, 0.2, 0.5, 0.99, 1.0)]
    assert set(steps[0]) == {None}
    assert None not in steps[-1]
    for before, after in pairwise(steps):
        assert all(b in (None, a) for b, a in zip(before, after, strict=True))
    enrolled = sum(variant is not None for variant in steps[2])
    assert abs(enrolled - 4000) < 4 * (20_000 * 0.2 * 0.8) ** 0.5
    assert {outcome.reason for outcome in map(assigner(plan(coverage=0.0)), UNITS)} == {Reason.NOT_ENROLLED}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"key": "exp-1"}, {"key": "exp-2"}),
        ({"coverage": 0.5}, {}),
        ({"layer": LayerRange("ctr", ((0, 5000),))}, {}),
        ({"holdouts": (Holdout("ctr", 0.5),)}, {}),
        ({"key": "a", "layer": LayerRange("l", ((0, 5000),))}, {"key": "b", "coverage": 0.5}),
    ],
)
def test_nested_and_parallel_decisions_are_independent(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Even with one salt for all: chi-square of the four cells at 0.001. One hash for two would correlate them."""
    cells = Counter(zip(variants(**first), variants(**second), strict=True))
    rows, columns = {a for a, _ in cells}, {b for _, b in cells}
    margins = Counter(a for a, _ in cells.elements()), Counter(b for _, b in cells.elements())
    if second or "key" in first:
        statistic = sum(
            (cells[a, b] - margins[0][a] * margins[1][b] / 20_000) ** 2
            / (margins[0][a] * margins[1][b] / 20_000)
            for a in rows
            for b in columns
        )
        assert statistic < 18.5
    else:
        # Who is left out would have had either variant, alike.
        left_out = chi_square_ratio([cells[None, "control"], cells[None, "challenger"]], [1, 1])
        assert isinstance(left_out, SampleRatio)
        assert left_out.p_value > 0.001


def test_the_short_way_of_a_ramp_in_a_layer_assigns_as_the_long_one() -> None:
    """A holdout of nobody takes the long way: the same for every unit, forced ones, and what is no id."""
    settings: dict[str, Any] = {
        "weights": {"control": 1, "challenger": 2},
        "coverage": 0.7,
        "layer": LayerRange("checkout", ((1000, 6500),)),
        "forced": {"user-7": "challenger"},
    }
    short, long = (assigner(plan(**settings, holdouts=out)) for out in ((), (Holdout("none", 0.0),)))
    asked: list[Any] = [*UNITS[:3000], "", None, 7, "\ud800"]
    assert [short(unit) for unit in asked] == [long(unit) for unit in asked]
    reasons = count_reasons(map(short, asked))
    assert set(reasons) == {"SPLIT", "NOT_ENROLLED", "FORCED", "TARGETING_KEY_MISSING", "INVALID_CONTEXT"}


def test_a_layer_excludes_mutually_and_shares_out() -> None:
    """Two experiments of one layer have no unit in common; freed slots go to the next."""
    layer = Layer("checkout").give("a", 0.3).give("b", 0.5)
    a, b = (variants(key=key, layer=layer.range_of(key)) for key in "ab")
    assert not any(x and y for x, y in zip(a, b, strict=True))
    assert abs(sum(x is not None for x in a) - 6000) < 4 * (20_000 * 0.3 * 0.7) ** 0.5
    c = variants(key="c", layer=layer.free("a").give("c", 0.4).range_of("c"))
    assert not any(x and y for x, y in zip(b, c, strict=True))
    assert abs(sum(x is not None for x in c) - 8000) < 4 * (20_000 * 0.4 * 0.6) ** 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Layer("l").give("a", 0.7).give("b", 0.4),
        lambda: Layer("l").give("a", 0.1).give("a", 0.1),
        lambda: Layer("l").give("a", 0.00001),
        lambda: Layer("l", 100, {"a": ((0, 60),), "b": ((50, 70),)}),
        lambda: Layer("l").range_of("a"),
        lambda: LayerRange("l", ((5, 2),)),
        lambda: LayerRange("l", ((0, 10_001),)),
        lambda: Holdout("", 0.1),
        lambda: Holdout("h", 1.1),
    ],
)
def test_layers_that_cannot_be(make: Any) -> None:
    """Over-allocated, overlapping, empty or outside."""
    with pytest.raises(DefinitionError):
        make()


def test_a_holdout_is_in_no_experiment_that_names_it() -> None:
    """The same units, whatever the experiment; reason HOLDOUT."""
    held = Holdout("2026", 0.1)
    out = [
        {unit for unit in UNITS if assigner(plan(key=key, holdouts=(held,)))(unit).reason is Reason.HOLDOUT}
        for key in ("a", "b")
    ]
    assert out[0] == out[1]
    assert abs(len(out[0]) - 2000) < 4 * (20_000 * 0.1 * 0.9) ** 0.5


def test_forced_units_get_their_variant_and_do_not_count() -> None:
    """Even outside the coverage."""
    assign = assigner(plan(coverage=0.0, forced={"tester": "challenger"}))
    assert assign("tester") == Assignment("challenger", Reason.FORCED)
    assert not assign("tester").counts


def test_sticky_units_keep_their_variant_across_weight_changes() -> None:
    """And across a smaller coverage; others follow the new weights. Not asked for, the past has no say."""
    before = assigner(plan(sticky=True))
    after = assigner(plan(sticky=True, weights={"control": 9, "challenger": 1}, coverage=0.5))
    for unit in UNITS[:2000]:
        met = before(unit)
        kept = after(unit, met.variant)
        assert (kept.variant, kept.reason) == (met.variant, Reason.STICKY)
        assert kept.counts
    assert after("user-1", "removed") == after("user-1")
    loose = assigner(plan(weights={"control": 9, "challenger": 1}))
    assert loose("user-1", "challenger") == loose("user-1")


@pytest.mark.parametrize("by", ["foldline_1", "foldline_2", "planout_weighted", "unleash"])
def test_the_enrolled_keep_their_variant_without_a_past(by: Any) -> None:
    """Bands: who was enrolled under other weights stays, not counted; who comes by a ramp is split by the new ones."""
    before = assigner(plan(hash=by, weights={"control": 9, "challenger": 1}, coverage=0.2))
    bands = (Band(coverage=0.2, weights=(9, 1)),)
    after = assigner(plan(hash=by, coverage=0.6, bands=bands))
    later = assigner(
        plan(
            hash=by, weights={"control": 1, "challenger": 3}, coverage=1.0,
            bands=(*bands, Band(coverage=0.6, weights=(1, 1))),
        )
    )  # fmt: skip
    reasons: Counter[Reason] = Counter()
    for unit in UNITS[:6000]:
        first, second, third = before(unit), after(unit), later(unit)
        reasons[second.reason] += 1
        if first.variant is not None:
            assert (second.variant, second.reason, second.probability) == (first.variant, Reason.STICKY, None)
            assert not second.counts
        elif second.variant is not None:
            assert (second.reason, second.probability) == (Reason.SPLIT, 0.5)
        if second.variant is not None:
            assert (third.variant, third.reason) == (second.variant, Reason.STICKY)
        else:
            assert (third.reason, third.probability) == (
                Reason.SPLIT,
                {"control": 0.25, "challenger": 0.75}[third.variant or ""],
            )
    for reason, part in {Reason.STICKY: 0.2, Reason.SPLIT: 0.4, Reason.NOT_ENROLLED: 0.4}.items():
        assert abs(reasons[reason] - 6000 * part) < 4 * (6000 * part * (1 - part)) ** 0.5


def test_a_holdout_and_the_layer_come_before_the_past() -> None:
    """A sticky unit that may not be touched is not."""
    assign = assigner(plan(sticky=True, holdouts=(Holdout("h", 1.0),)))
    assert assign("user-1", "control").reason is Reason.HOLDOUT


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("state", ["running", "paused"])
@pytest.mark.parametrize("unit", [None, "", 17, b"user-1", True, "\ud800", ["user-1"]])
def test_what_is_no_unit_id_is_refused_and_counted(unit: Any, state: str, sticky: bool) -> None:
    """Null and empty ids would all share a variant; they get none, and OpenFeature's error."""
    assign = assigner(plan(sticky=sticky, state=state))
    if state == "paused" and unit == "\ud800":
        return
    got = assign(unit)
    assert (got.variant, got.reason) == (None, Reason.ERROR)
    missing = unit is None or unit == ""
    assert got.error is (
        AssignmentError.TARGETING_KEY_MISSING if missing else AssignmentError.INVALID_CONTEXT
    )
    assert sum(count_reasons([got, got]).values()) == 2


@pytest.mark.parametrize(
    ("state", "reason"), [("paused", Reason.EXPERIMENT_PAUSED), ("ended", Reason.EXPERIMENT_ENDED)]
)
def test_nobody_is_assigned_while_paused_or_after_the_end(state: str, reason: Reason) -> None:
    """Not even forced units."""
    assert assigner(plan(state=state, forced={"user-1": "control"}))("user-1") == Assignment(None, reason)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": {"a": 1}},
        {"weights": {"a": 0, "b": 0}},
        {"weights": {"a": -1, "b": 2}},
        {"weights": {"a": 0.5, "b": 0.5}},
        {"weights": {"a": True, "b": 1}},
        {"weights": {"": 1, "b": 1}},
        {"control": "nobody"},
        {"coverage": 1.5},
        {"coverage": float("nan")},
        {"forced": {"u": "nobody"}},
        {"forced": {"": "control"}},
        {"state": "sleeping"},
        {"hash": "md5"},
        {"hash": "planout_uniform", "weights": {"a": 1, "b": 2}},
        {"hash": "unleash", "coverage": 0.125},
        {"bands": (Band(coverage=0.5, weights=(1,)),)},
        {"bands": (Band(coverage=0.5, weights=(0, 0)),)},
        {"bands": (Band(coverage=0.5, weights=(1, 2)), Band(coverage=0.4, weights=(1, 1)))},
        {"bands": (Band(coverage=0.5, weights=(1, 2)),), "coverage": 0.4},
        {"bands": (Band(coverage=0.5, weights=(1, 2)),), "hash": "growthbook_2"},
        {"key": ""},
        {"salt": "a\x1fb"},
    ],
)
def test_incoherent_plans_are_refused(changes: dict[str, Any]) -> None:
    """Never mended in silence."""
    with pytest.raises(DefinitionError):
        plan(**changes)


def test_a_new_salt_reshuffles() -> None:
    """Half of the units change sides in a new phase."""
    moved = sum(a != b for a, b in zip(variants(), variants(salt="phase-2"), strict=True))
    assert abs(moved - 10_000) < 4 * 5000**0.5


def test_who_logs_in_keeps_the_anonymous_variant() -> None:
    """With a sticky plan, and it is remembered for the account; where both have a past, the account's wins."""
    assign, order = assigner(plan(sticky=True)), ("user", "device")
    for i in range(200):
        device, user = {"device": f"d{i}"}, {"user": f"u{i}", "device": f"d{i}"}
        first = assign_identity(assign, device, order, {})
        assert first.remember == (("device", f"d{i}"),)
        past = {("device", f"d{i}"): first.assignment.variant or ""}
        second = assign_identity(assign, user, order, past)
        assert second.assignment.variant == first.assignment.variant
        assert second.remember == (("user", f"u{i}"),)
        other = "control" if first.assignment.variant == "challenger" else "challenger"
        third = assign_identity(assign, user, order, past | {("user", f"u{i}"): other})
        assert third.assignment.variant == other
    nobody = assign_identity(assign, {"user": ""}, order, {})
    assert nobody.assignment.error is AssignmentError.TARGETING_KEY_MISSING
    assert assign_identity(assign, {"user": 7}, order, {}).assignment.error is AssignmentError.INVALID_CONTEXT


def test_who_is_not_targeted_is_in_no_variant() -> None:
    """Whatever the past; forced units are, so that a variant can be tried out."""
    assign = assigner(plan(sticky=True, forced={"tester": "challenger"}))
    german = {"country": "DE"}

    def met(unit: str, country: str) -> Assignment:
        context = {"user": unit, "country": country}
        return assign_identity(
            assign, context, ["user"], {("user", "u1"): "control"}, condition=german
        ).assignment

    assert met("u1", "DE") == Assignment("control", Reason.STICKY, 0.5)
    assert met("u1", "FR") == Assignment(None, Reason.NOT_TARGETED)
    assert met("tester", "FR") == Assignment("challenger", Reason.FORCED)


def test_every_reason_has_one_that_openfeature_knows() -> None:
    """For clients of any vendor."""
    known = {
        "STATIC",
        "DEFAULT",
        "TARGETING_MATCH",
        "SPLIT",
        "CACHED",
        "DISABLED",
        "STALE",
        "UNKNOWN",
        "ERROR",
    }
    assert {reason.openfeature for reason in Reason} <= known


KNOWN = [
    "control",
    "HOLDOUT",
    "control",
    "challenger",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
    "challenger",
    "challenger",
    "NOT_ENROLLED",
    "NOT_ENROLLED",
]
KNOWN_SPLIT = "ccctttttttttcctttccctcct"
