"""Mappings: where fields come from, what is passed over, what is refused and why."""

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.errors import DefinitionError, FoldlineError, InputError
from foldline.loops.definition import LoopDefinition
from foldline.loops.mapping import Message, RecordMapping
from foldline.loops.mapping_settings import FIELDS, REQUIRED, Form, MappingSettings
from foldline.loops.reports import Placed, Reports
from foldline.records.codec import encode
from foldline.records.hashing import partition_of
from foldline.records.judge import judge
from foldline.records.types import Activation, AnyRecord, Decision, Observation, Outcome, Reward

LOOP = LoopDefinition(
    name="news", version=2, time=0, actions=("a", "b"), policy={"kind": "random"}, partitions=4, salt=""
)
REPORTS = Reports(LOOP)
HEADERS = (("shop", b"north"), ("trace", b"7"))


def _mapping(**settings: Any) -> RecordMapping:
    given = {"topic": "orders", "loop": "news", **settings}
    return RecordMapping(msgspec.convert(given, MappingSettings))


def _place(value: Any, **settings: Any) -> Placed | None:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    message = Message(raw, b"k-9", HEADERS, 900, "orders@1234/0/5.0")
    return _mapping(**settings).place(message, REPORTS, now=1000)


def _record(value: Any, **settings: Any) -> AnyRecord:
    placed = _place(value, **settings)
    assert placed is not None
    assert placed.partition == partition_of("u1", 4)
    return placed.record


def test_fields_come_from_paths_keys_headers_times_and_constants() -> None:
    """Each kind of source; the message's place is the id where none is given."""
    fields = {
        "unit": "who.id",
        "value": "total",
        "name": {"constant": "purchase"},
        "occurred": "at",
    }
    value = {"who": {"id": "u1"}, "total": "0.25", "at": "2026-01-02T03:04:05Z"}
    assert _record(value, type="reward", fields=fields) == Reward(
        time=1000, id="orders@1234/0/5.0", unit="u1", name="purchase", value=0.25, occurred=1767323045000
    )
    fields = {"unit": {"constant": "u1"}, "value": "v", "name": "@header.shop", "reward_id": "@key"}
    assert _record({"v": 1}, type="reward", fields=fields) == Reward(
        time=1000, id="k-9", unit="u1", name="north", value=1.0, occurred=900
    )


def test_every_form() -> None:
    """Outcomes and decisions get the id of their unit's partition; numbers stand for texts where keys are wanted."""
    unit, partition = {"constant": "u1"}, partition_of("u1", 4)
    fields = {"unit": unit, "action": "a", "propensity": "p", "decision": "order"}
    value = {"a": "b", "p": 0.5, "r": 1, "order": 17}
    common: dict[str, Any] = {
        "time": 1000,
        "id": f"0.{partition}.17",
        "unit": "u1",
        "action": "b",
        "propensity": 0.5,
        "bundle": "external",
        "definition": 2,
        "occurred": 900,
    }
    assert _record(value, type="decision", fields=fields) == Decision(**common)
    assert _record(value, type="outcome", fields={**fields, "reward": "r"}) == Outcome(**common, reward=1.0)
    named = {"decision": "order", "unit": unit}
    assert _record(value, type="activation", fields=named) == Activation(
        time=1000, decision=f"0.{partition}.17"
    )
    observed = {"unit": unit, "name": {"constant": "revenue"}, "value": "r"}
    assert _record(value, type="observation", fields=observed) == Observation(
        time=1000, id="orders@1234/0/5.0", unit="u1", name="revenue", value=1.0, occurred=900
    )


def test_records_in_our_own_form_are_placed_anew() -> None:
    """Whoever wrote them knew no partition: their time becomes what they claim, a missing id their place."""
    assert _record({"type": "reward", "unit": "u1", "value": 1, "time": 77}) == Reward(
        time=1000, id="orders@1234/0/5.0", unit="u1", value=1.0, occurred=77
    )
    decided = {"type": "decision", "unit": "u1", "action": "a", "propensity": 0.5, "id": "mine"}
    tried = {"experiment": "e", "variant": "v", "probability": 0.5}
    made = _record({**decided, **tried})
    assert isinstance(made, Decision)
    assert (made.id, made.variant, made.occurred) == (f"0.{partition_of('u1', 4)}.mine", "v", 900)
    assert _record(msgspec.to_builtins(made)) == made
    outcome = {**decided, "type": "outcome", "reward": 1}
    assert _record(outcome).id == made.id  # type: ignore[union-attr]  # an outcome
    observed = {"type": "observation", "unit": "u1", "name": "revenue", "value": 12.5, "id": "o1"}
    assert isinstance(_record(observed), Observation)
    assert _record({"type": "activation", "decision": made.id}) == Activation(time=1000, decision=made.id)


def test_messages_outside_the_condition_are_passed_over() -> None:
    """Without looking at their fields."""
    settings: dict[str, Any] = {
        "type": "reward",
        "fields": {"unit": "u", "value": "v"},
        "where": {"status": {"$in": ["paid"]}},
    }
    assert _place({"status": "open"}, **settings) is None
    assert isinstance(_record({"status": "paid", "u": "u1", "v": 1}, **settings), Reward)


@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        (b"{", "input.unreadable", "not JSON"),
        (b"\xff", "input.unreadable", "not JSON"),
        ([1], "input.invalid", "expected a JSON object"),
        ({"u": "u1"}, "input.invalid", "no value, which a reward needs"),
        ({"u": "u1", "v": "many"}, "input.invalid", "as a reward"),
        ({"u": "u1", "v": 2}, "input.out_of_range", "outside the range"),
        ({"u": ["u1"], "v": 1}, "input.invalid", "as a reward"),
        ({"u": True, "v": 1}, "input.invalid", "as a reward"),
        ({"u": "", "v": 1}, "input.invalid", "0 characters"),
    ],
)
def test_messages_that_cannot_be_used(value: Any, code: str, says: str) -> None:
    """With what was wrong."""
    with pytest.raises(InputError, match=says) as raised:
        _place(value, type="reward", fields={"unit": "u", "value": "v"})
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "tick"}, "not taken from other topics"),
        ({"type": "click", "unit": "u1"}, "as a record"),
        ({"type": "reward", "unit": "u1"}, "as a record"),
    ],
)
def test_records_that_are_not_taken(value: Any, says: str) -> None:
    """Markers and ticks are the log's own."""
    with pytest.raises(InputError, match=says):
        _place(value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"type": "reward", "fields": {"unit": "u"}}, r"needs the fields \['value'\]"),
        ({"type": "reward", "fields": {"value": "v"}}, "'unit' or 'decision'"),
        ({"type": "activation", "fields": {"decision": "d", "value": "v"}}, r"has no fields \['value'\]"),
        ({"fields": {"unit": "u"}}, "has no fields"),
        ({"type": "reward", "fields": {"unit": "@where", "value": "v"}}, "expected a path"),
        ({"where": {"a": {"$near": 1}}}, "near"),
    ],
)
def test_mappings_that_could_not_work(settings: Any, says: str) -> None:
    """Refused before the first message."""
    with pytest.raises(DefinitionError, match=says):
        _mapping(**settings)


@pytest.mark.parametrize("form", ["reward", "record"])
@pytest.mark.parametrize("stamp", [0, -1, (1 << 53) + 1, 1_790_000_000_000_000_000])
def test_a_time_that_no_record_can_claim_is_not_claimed(stamp: int, form: str) -> None:
    """A message without a timestamp, or one in other units, is no reason to lose what it says."""
    value = {"type": "reward", "unit": "u1", "value": 1}
    settings: dict[str, Any] = {"type": form}
    if form == "reward":
        settings["fields"] = {"unit": "unit", "value": "value"}
    placed = _mapping(**settings).place(
        Message(json.dumps(value).encode(), None, (), stamp, "o/1"), REPORTS, now=5
    )
    assert placed is not None
    assert placed.record == Reward(time=5, id="o/1", unit="u1", value=1.0)


@pytest.mark.parametrize("said", [-1, 1 << 54, "0001-01-01T00:00:00Z", "1" * 40])
def test_a_time_that_cannot_be_is_refused(said: Any) -> None:
    """Where the mapping names it, it is a fault of the message."""
    fields = {"unit": "u", "value": "v", "occurred": "at"}
    with pytest.raises(InputError, match="expected milliseconds since 1970"):
        _place({"u": "u1", "v": 1, "at": said}, type="reward", fields=fields)


def test_times_without_a_zone_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """On every machine."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        fields = {"unit": "u", "value": "v", "occurred": "at"}
        record = _record({"u": "u1", "v": 1, "at": "2026-01-02T03:04:05"}, type="reward", fields=fields)
        assert record.occurred == 1767323045000  # type: ignore[union-attr]  # it is a reward
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("source", ["@key", "@header.who"])
def test_what_is_no_text_is_no_unit(source: str) -> None:
    """Numbers as bytes, as many producers write keys: replaced characters would make one unit of many."""
    mapping = _mapping(type="reward", fields={"unit": source, "value": "v"})
    number = (200).to_bytes(8, "big")
    with pytest.raises(InputError, match="no UTF-8 text"):
        mapping.place(Message(b'{"v":1}', number, (("who", number),), 900, "o/1"), REPORTS, now=5)


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["a", "0.1.x", "u", "nan", "2026-01-02T03:04:05", "9" * 40, "x" * 600, 1 << 64, "\ud800"])
)  # fmt: skip
VALUES = LEAVES | st.lists(LEAVES, max_size=3) | st.dictionaries(st.text(max_size=3), LEAVES, max_size=3)
LIKELY: dict[str, Any] = {
    "unit": "u", "action": "a", "propensity": 0.5, "reward": 0.5, "value": 0.5, "decision": "0.1.x", "name": "n",
}  # fmt: skip


@given(st.sampled_from([form for form in FIELDS if form != "record"]), st.data())
def test_whatever_comes_is_copied_as_a_good_record_or_refused(form: Form, data: st.DataObject) -> None:
    """Never anything else raised, and never a record that the log's readers would not take."""
    value = {}
    for name in FIELDS[form]:
        if name in REQUIRED[form] or data.draw(st.booleans()):
            value[name] = data.draw(st.just(LIKELY[name]) | VALUES if name in LIKELY else VALUES)
    message = Message(json.dumps(value).encode(), None, (), data.draw(st.integers(-1, 1 << 60)), "o/1")
    try:
        placed = _mapping(type=form, fields={name: name for name in FIELDS[form]}).place(
            message, REPORTS, now=5
        )
        assert placed is not None
        line = encode(placed.record)
    except FoldlineError:
        return
    assert judge(line) == placed.record
