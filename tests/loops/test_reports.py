"""Reports become records: checked, placed on the partition of their unit."""

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from foldline.errors import InputError
from foldline.loops.bundle import Bundle
from foldline.loops.deciding import Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.made import EXTERNAL, Made
from foldline.loops.reports import LONGEST_REWARD_NAME, Reports
from foldline.records.codec import decode, encode
from foldline.records.hashing import partition_of
from foldline.records.types import Activation, Decision, Outcome, Reward

TIME = 1_700_000_000_000
LOOP = LoopDefinition(
    name="news",
    version=2,
    time=TIME,
    actions=("a", "b"),
    policy={"kind": "random"},
    partitions=4,
    generation=1,
    salt="salt",
    high=5.0,
)
REPORTS = Reports(LOOP, past=("old",))
MADE = Made(local="d1", unit="u1", action="a", propensity=0.5)
HOME = partition_of("u1", 4)
ELSEWHERE = next(p for p in range(4) if p != HOME)


DECIDER = Decider(
    Bundle(
        loop="news",
        hash="b1",
        time=TIME,
        cut=(0, 0, 0, 0),
        definition=2,
        stream_time=TIME,
        generation=1,
        salt="salt",
        kind="random",
        actions=("a", "b"),
        parameters={"n": 2},
    )
)


def test_a_decision_stands_on_the_partition_of_its_unit() -> None:
    """With the bundle's hash and definition; the same id gives the same action; of one available action it is that."""
    placed = REPORTS.decide(DECIDER, "u1", "d1", TIME, context={"x": 1})
    made = placed.record
    assert isinstance(made, Decision)
    assert (placed.partition, made.id, made.bundle, made.definition) == (HOME, f"1.{HOME}.d1", "b1", 2)
    assert (made.propensity, made.context, made.available) == (0.5, {"x": 1}, None)
    assert REPORTS.choose(DECIDER, "u1", "d1", TIME, context={"x": 1}) == placed
    only = REPORTS.decide(DECIDER, "u1", "d2", TIME, available=["b"]).record
    assert isinstance(only, Decision)
    assert (only.action, only.propensity, only.available) == ("b", 1.0, ["b"])


def test_a_reward_goes_where_its_decision_is() -> None:
    """By full id, by local id with the unit, by the unit alone."""
    full = f"1.{HOME}.d1"
    by_id = REPORTS.reward(full, 1, id="r", time=TIME)
    by_local = REPORTS.reward("d1", 1, id="r", time=TIME, unit="u1")
    by_full_and_unit = REPORTS.reward(full, 1, id="r", time=TIME, unit="u1")
    by_unit = REPORTS.reward(None, 1, id="r", time=TIME, unit="u1", occurred=7)
    assert {by_id.partition, by_local.partition, by_full_and_unit.partition, by_unit.partition} == {HOME}
    expected = Reward(time=TIME, id="r", decision=full, value=1.0)
    assert by_id.record == by_local.record == by_full_and_unit.record == expected
    assert by_unit.record == Reward(time=TIME, id="r", unit="u1", value=1.0, occurred=7)


def test_ids_of_the_greatest_length_stay_usable() -> None:
    """A local id of 400 characters is answered as a longer full one, which is taken back with and without the unit."""
    full = f"1.{HOME}." + "d" * 400
    for unit in ("u1", None):
        assert REPORTS.reward(full, 1, id="r", time=TIME, unit=unit).record.decision == full  # type: ignore[union-attr]  # it is a reward
    made = REPORTS.made(MADE._replace(local="d" * 400), time=TIME)
    assert made.record.id == full  # type: ignore[union-attr]  # it is a decision
    assert decode(encode(made.record)).dead == []


def test_made_elsewhere_it_keeps_what_it_had() -> None:
    """Propensity, bundle, definition, context, the client's clock; the newest definition where none is named."""
    placed = REPORTS.made(MADE._replace(action="old", definition=1, context={"x": 1}, occurred=3), time=TIME)
    assert placed.partition == HOME
    assert placed.record == Decision(
        time=TIME,
        id=f"1.{HOME}.d1",
        unit="u1",
        action="old",
        propensity=0.5,
        bundle=EXTERNAL,
        definition=1,
        context={"x": 1},
        occurred=3,
    )
    outcome = REPORTS.outcome(MADE._replace(available=["a", "b"]), 2, time=TIME).record
    assert isinstance(outcome, Outcome)
    assert (outcome.reward, outcome.definition, outcome.available) == (2.0, 2, ["a", "b"])


def test_an_activation_names_its_decision() -> None:
    """By full id or with the unit."""
    assert REPORTS.activation("d1", time=TIME, unit="u1").record == Activation(
        time=TIME, decision=f"1.{HOME}.d1"
    )
    assert REPORTS.activation(f"1.{HOME}.d1", time=TIME).partition == HOME


@pytest.mark.parametrize(
    ("report", "code", "field"),
    [
        (lambda: REPORTS.decide(DECIDER, "", "d", TIME), "input.invalid", "unit"),
        (lambda: REPORTS.decide(DECIDER, "u1", "", TIME), "input.invalid", "decision"),
        (lambda: REPORTS.decide(DECIDER, "u1", f"1.{HOME}.x", TIME), "input.invalid", "decision"),
        (lambda: REPORTS.decide(DECIDER, "u1", "d", TIME, available=[]), "input.no_action", "available"),
        (
            lambda: REPORTS.decide(DECIDER, "u1", "d", TIME, available=["z"]),
            "input.unknown_action",
            "available",
        ),
        (lambda: REPORTS.reward("1.0.x", 5.5, id="r", time=TIME), "input.out_of_range", "value"),
        (lambda: REPORTS.reward("1.0.x", math.nan, id="r", time=TIME), "input.not_finite", "value"),
        (lambda: REPORTS.reward("0.0.x", 1, id="r", time=TIME), "input.unknown_decision", "decision"),
        (lambda: REPORTS.reward("1.4.x", 1, id="r", time=TIME), "input.unknown_decision", "decision"),
        (lambda: REPORTS.reward("x", 1, id="r", time=TIME), "input.unknown_decision", "decision"),
        (lambda: REPORTS.reward(None, 1, id="r", time=TIME), "input.unknown_decision", "decision"),
        (lambda: REPORTS.reward("1.0.x", 1, id="", time=TIME), "input.invalid", "reward_id"),
        (lambda: REPORTS.reward("1.0.x", 1, id="r", time=TIME, name=""), "input.invalid", "name"),
        (
            lambda: REPORTS.reward("1.0.x", 1, id="r", time=TIME, name="n" * (LONGEST_REWARD_NAME + 1)),
            "input.invalid",
            "name",
        ),
        (lambda: REPORTS.reward("", 1, id="r", time=TIME, unit="u1"), "input.invalid", "decision"),
        (lambda: REPORTS.reward("d" * 401, 1, id="r", time=TIME, unit="u1"), "input.invalid", "decision"),
        (lambda: REPORTS.activation(None, time=TIME, unit="u1"), "input.unknown_decision", "decision"),
        (lambda: REPORTS.made(MADE._replace(action="zzz"), time=TIME), "input.unknown_action", "action"),
        (
            lambda: REPORTS.made(MADE._replace(available=["a", "z"]), time=TIME),
            "input.unknown_action",
            "available",
        ),
        (lambda: REPORTS.made(MADE._replace(available=["b"]), time=TIME), "input.invalid", "available"),
        (lambda: REPORTS.made(MADE._replace(available=[]), time=TIME), "input.invalid", "available"),
        (lambda: REPORTS.made(MADE._replace(propensity=0.0), time=TIME), "input.invalid", "propensity"),
        (lambda: REPORTS.made(MADE._replace(propensity=math.nan), time=TIME), "input.invalid", "propensity"),
        (lambda: REPORTS.made(MADE._replace(unit=""), time=TIME), "input.invalid", "unit"),
        (lambda: REPORTS.made(MADE._replace(local=f"1.{HOME}.x"), time=TIME), "input.invalid", "decision"),
        (lambda: REPORTS.outcome(MADE, -1, time=TIME), "input.out_of_range", "reward"),
        (lambda: REPORTS.outcome(MADE, math.inf, time=TIME), "input.not_finite", "reward"),
    ],
)
def test_what_no_record_can_hold_names_its_field(report: Callable[[], Any], code: str, field: str) -> None:
    """By the name it has in a report."""
    with pytest.raises(InputError) as caught:
        report()
    assert (caught.value.code, caught.value.field) == (code, field)


def test_rewards_of_another_name_have_no_range() -> None:
    """Only the loop's own reward is held to it."""
    assert REPORTS.reward("1.0.x", 99, id="r", time=TIME, name="revenue").record.value == 99.0  # type: ignore[union-attr]  # it is a reward


def test_a_local_id_of_another_partition_is_a_local_id() -> None:
    """Only what looks like a full id of the unit's own partition could be mistaken."""
    placed = REPORTS.made(MADE._replace(local=f"1.{ELSEWHERE}.x"), time=TIME)
    assert placed.record.id == f"1.{HOME}.1.{ELSEWHERE}.x"  # type: ignore[union-attr]  # it is a decision


def test_a_loop_of_complete_outcomes_takes_nothing_else() -> None:
    """Decisions may be chosen, not reported."""
    complete = msgspec.structs.replace(LOOP, complete=True, partitions=1)
    reports = Reports(complete)
    alone: list[Callable[[], Any]] = [
        lambda: reports.made(MADE, time=TIME),
        lambda: reports.reward(None, 1, id="r", time=TIME, unit="u"),
        lambda: reports.activation("d", time=TIME, unit="u"),
    ]
    for report in alone:
        with pytest.raises(InputError, match="complete outcomes only"):
            report()
    assert reports.outcome(MADE, 1, time=TIME).partition == 0
