"""JSON Schema of the record types."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError
from foldline.records.codec import encode
from foldline.records.judge import judge
from foldline.records.schemas import schema, schemas
from foldline.records.types import Record
from tests.records.oracle import records

VALIDATORS = {name: jsonschema_rs.validator_for(each) for name, each in schemas().items()}
DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_type_has_a_schema_that_names_its_tag() -> None:
    """Ten types, each with its `type` and required fields."""
    found = schemas()
    events = {"decision", "reward", "outcome", "activation", "tick", "observation"}
    assert set(found) == events | {"definition", "phase", "example", "label"}
    for name, whole in found.items():
        assert whole["properties"]["type"]["enum"] == [name]
        assert {"type", "time"} <= set(whole["required"])
        assert all(each.get("description") for field, each in whole["properties"].items() if field != "type")


def test_ranges_stand_in_the_schema() -> None:
    """A propensity is a probability, a time at most 2^53."""
    body = schema("decision")["properties"]
    assert (body["propensity"]["minimum"], body["propensity"]["maximum"]) == (0.0, 1.0)
    assert body["time"]["maximum"] == 1 << 53


def test_an_unknown_type_is_refused() -> None:
    """The message lists the types there are."""
    with pytest.raises(InputError, match=r"'verdict'.*decision"):
        schema("verdict")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(records)
def test_whatever_is_written_fits_its_schema(record: Record) -> None:
    """As others would check it."""
    written = json.loads(encode(record))
    VALIDATORS[written["type"]].validate(written)


_CHANGED: st.SearchStrategy[tuple[str, Any]] = st.tuples(
    st.sampled_from(
        ["time", "id", "unit", "decision", "value", "propensity", "x", "y", "state", "version", "name"]
    ),
    st.sampled_from([None, -1, 0, 1.5, 2, "", "text", "t" * 600, [], {}, True, {"a": None}, 1 << 60]),
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(records, _CHANGED, st.booleans())
def test_what_a_schema_refuses_is_dead_and_the_other_way_round(
    record: Record, changed: tuple[str, Any], leave_out: bool
) -> None:
    """Schema and judge agree on records with a field changed or left out."""
    written = json.loads(encode(record))
    if leave_out:
        written.pop(changed[0], None)
    else:
        written[changed[0]] = changed[1]
    dead = isinstance(judge(json.dumps(written).encode()), tuple)
    assert VALIDATORS[written["type"]].is_valid(written) == (not dead), written


def test_a_reward_names_one_of_decision_and_unit() -> None:
    """The schema says so too."""
    reward = {"type": "reward", "time": 5, "id": "r", "value": 1}
    for named, valid in (({}, False), ({"unit": "u"}, True), ({"decision": "0.0.d", "unit": None}, True)):
        assert VALIDATORS["reward"].is_valid(reward | named) == valid
    assert not VALIDATORS["reward"].is_valid(reward | {"unit": "u", "decision": "0.0.d"})


def test_the_examples_of_the_pages_fit() -> None:
    """What docs/kafka.md has others write, and what it shows of the log."""
    page = (DOCS / "kafka.md").read_text(encoding="utf-8")
    found = [
        json.loads(line) for line in re.findall(r'(?:^|\')\s*(\{"type":".*?\})(?:\'|$)', page, re.MULTILINE)
    ]
    assert {record["type"] for record in found} == {"definition", "decision", "reward"}
    for record in found:
        VALIDATORS[record["type"]].validate(record)
