"""Revisions: what comes late changes the figures of the verdict's moment, beside the verdict, which stands."""

from collections.abc import Sequence
from typing import Any

import pytest

from foldline.experiments.definition import ExperimentDefinition, Variant
from foldline.experiments.measure import Goal
from foldline.experiments.results import Results, results
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.walk import Walk
from foldline.records.codec import decode, encode_lines
from foldline.records.types import Decision, Phase, Record, Reward, Tick
from tests.experiments.tallies import MINUTE, START

SIZE = 200
WINDOW = 10 * MINUTE


def _definition(**changes: Any) -> ExperimentDefinition:
    fields: dict[str, Any] = {
        "name": "ctr",
        "version": 2,
        "time": START,
        "loop": "news",
        "variants": tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in ("a", "b")),
        "goal": Goal(name="click", baseline=0.1, effect=0.1),
        "sample_sizes": (SIZE, SIZE),
        "max_duration_ms": 28 * 1440 * MINUTE,
        "window_ms": WINDOW,
        "late_ms": 60 * MINUTE,
        "salt": "s",
        "state": "running",
        "started": START,
    }
    return ExperimentDefinition(**{**fields, **changes})


def _decision(variant: str, unit: str, time: int, id: str) -> Decision:
    return Decision(
        time=time, id=id, unit=unit, action=variant, propensity=1.0, bundle="b", definition=1,
        experiment="ctr", variant=variant, probability=0.5,
    )  # fmt: skip


def _visits(clicks: dict[str, int], each: int = SIZE) -> list[Record]:
    """Units of each variant in turn, two a second; the first so many of each click."""
    made: list[Record] = [Phase(time=START, experiment="ctr", version=2, state="running")]
    for i in range(each):
        for k, (variant, successes) in enumerate(clicks.items()):
            time, unit = START + (2 * i + k) * 500, f"{variant}{i}"
            made.append(_decision(variant, unit, time, f"0.0.{unit}"))
            if i < successes:
                made.append(_click(unit, time))
    return made


def _click(unit: str, time: int = START + 1_000_000_000, id: str = "") -> Reward:
    return Reward(time=time, id=id or f"r{unit}", unit=unit, name="click", value=1.0)


def _late_click(unit: str) -> Reward:
    """In time by its own clock, appended whenever."""
    return _click(unit, START + int(unit[1:]) * 1000 + 1000)


def _results(definition: ExperimentDefinition, *logs: Sequence[Record], until: int | None = None) -> Results:
    fold, parts = TallyFold(definition), []
    for records in logs:
        state = fold.empty()
        fold.apply(state, decode(encode_lines(records)))
        parts.append(state.known)
    return results(definition, parts, (0,) * len(logs), until)


LAST = START + 2 * SIZE * 500
AFTER = LAST + WINDOW + 5 * MINUTE
"""The verdict has been taken."""


def _with_late(*late: Record, minutes: int = 90) -> list[Record]:
    return [*_visits({"a": 20, "b": 42}), Tick(time=AFTER), *late, Tick(time=AFTER + minutes * MINUTE)]


def test_a_late_record_revises_and_the_verdict_stands() -> None:
    """42 clicks become 30, seen after the verdict; what had come in time is what a log without lateness gives."""
    late = [_late_click(f"a{i}") for i in range(20, 34)]
    found = _results(_definition(), _with_late(*late))
    plain = _results(_definition(), _with_late())
    in_time = _results(_definition(), [*_visits({"a": 34, "b": 42}), Tick(time=AFTER + 90 * MINUTE)])
    assert found.verdict == plain.verdict
    assert found.verdict is not None
    assert found.verdict.result == "challenger_wins"
    assert (plain.revisions, in_time.revisions) == ((), ())
    [revision] = found.revisions
    assert revision.verdict == in_time.verdict
    assert revision.verdict.result == "inconclusive"
    assert (revision.revises, revision.time) == (found.verdict.time, (AFTER // MINUTE + 1) * MINUTE)
    assert revision.changed["result"] == ("challenger_wins", "inconclusive")
    assert revision.changed["control.b"] == (0.1, 0.17)
    assert {"winner", "difference.b", "low.b", "high.b", "p_value.b"} <= set(revision.changed)
    assert "units.a" not in revision.changed


def test_a_unit_found_in_two_variants_revises() -> None:
    """It is missing from the planned sample; the test is made all the same."""
    found = _results(_definition(), _with_late(_decision("b", "a0", AFTER, "0.0.again")))
    [revision] = found.revisions
    assert found.verdict is not None
    assert (revision.changed["units.a"], revision.changed["mixed"]) == ((SIZE, SIZE - 1), (0, 1))
    assert revision.verdict.result == found.verdict.result
    many = [_decision("b", f"a{i}", AFTER, f"0.0.again{i}") for i in range(5)]
    assert _results(_definition(), _with_late(*many)).revisions[-1].verdict.result == "invalid"


def test_each_minute_that_changes_the_figures_makes_one() -> None:
    """Two clicks in one minute make one revision; what changes nothing makes none, nor what belongs elsewhere."""
    later = AFTER + 3 * MINUTE
    found = _results(
        _definition(),
        _with_late(
            _late_click("a30"), _late_click("a31"), _late_click("a30"), Tick(time=later), _late_click("a1"),
            _click("a1", START + 1000, id="another"), Tick(time=later + MINUTE), _late_click("b199"),
        ),
    )  # fmt: skip
    assert [one.time for one in found.revisions] == [
        (AFTER // MINUTE + 1) * MINUTE, (later // MINUTE + 2) * MINUTE,
    ]  # fmt: skip
    assert found.revisions[0].changed["control.b"] == (0.1, 0.11)
    assert found.revisions[1].changed["value.b"] == (0.21, 0.215)
    more = _visits({"a": 20, "b": 42}, SIZE + 100)
    beyond = [
        *more,
        Tick(time=AFTER + 2 * MINUTE),
        _late_click(f"a{SIZE + 80}"),
        Tick(time=AFTER + 90 * MINUTE),
    ]
    assert _results(_definition(), beyond).revisions == ()


def test_what_comes_after_the_correction_window_revises_nothing() -> None:
    """Neither a click nor a second variant."""
    long_after = Tick(time=LAST + WINDOW + 61 * MINUTE)
    records = _with_late(long_after, _late_click("a50"), _decision("b", "a0", long_after.time, "0.0.again"))
    found = _results(_definition(), records)
    assert found.verdict is not None
    assert found.revisions == ()
    assert (found.counters["late"], found.variants[0].mixed) == (1, 1)


def test_an_always_valid_verdict_is_revised_by_its_own_rule() -> None:
    """At the minute it was taken, where with what came later the interval no longer excludes zero."""
    definition = _definition(rule="always_valid")
    records = _visits({"a": 2, "b": 60})
    found = _results(definition, [*records, Tick(time=AFTER)])
    assert found.verdict is not None
    assert found.verdict.result == "challenger_wins"
    late = [_late_click(f"a{i}") for i in range(2, 40)]
    revised = _results(definition, [*records, Tick(time=AFTER), *late, Tick(time=AFTER + MINUTE)])
    assert revised.verdict == found.verdict
    assert revised.revisions[-1].verdict.result == "inconclusive"


def test_revisions_depend_on_the_tallies_not_on_who_looks_when() -> None:
    """A walk taken up at every minute, one that looks once, any split into partitions and any prefix say the same."""
    definition = _definition()
    late = [
        record
        for i in range(8)
        for record in (Tick(time=AFTER + i * MINUTE), _late_click(f"a{20 + i}"), _late_click(f"b{60 + i}"))
    ]
    records = _with_late(*late)
    whole = _results(definition, records)
    assert len(whole.revisions) == 8
    halves: list[list[Record]] = [[], []]
    for record in records:
        unit = getattr(record, "unit", None)
        for half in halves if unit is None else [halves[int(unit[1:]) % 2]]:
            half.append(record)
    assert _results(definition, *halves).revisions == whole.revisions
    fold, state, walk = TallyFold(definition), None, None
    state = fold.empty()
    for record in records:
        fold.apply(state, decode(encode_lines([record])))
        if isinstance(record, Tick):
            walk = Walk(definition, [fold.load_known(fold.dump_known(state.known))], after=walk)
            walk.run()
    assert walk is not None
    assert tuple(walk.revisions) == whole.revisions
    for k, revision in enumerate(whole.revisions):
        until = _results(definition, records, until=revision.time)
        assert until.revisions == whole.revisions[: k + 1]


@pytest.mark.parametrize("seconds", [30, 100])
def test_disorder_of_seconds_revises_too(seconds: int) -> None:
    """A minute that ends while a click is on its way is revised; within the same minute nothing is."""
    records = _visits({"a": 20, "b": 42})
    last = records[-1]
    assert isinstance(last, Decision)
    due = last.time + WINDOW
    late = [Tick(time=due + seconds * 1000), _click(last.unit, last.time)]
    found = _results(_definition(), [*records, *late, Tick(time=AFTER)])
    assert len(found.revisions) == int((due + seconds * 1000) // MINUTE > due // MINUTE)
