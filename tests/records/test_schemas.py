"""JSON Schema of the record types."""

import pytest

from foldline.errors import InputError
from foldline.records.schemas import schema, schemas


def test_every_type_has_a_schema_that_names_its_tag() -> None:
    """Ten types, each with its `type` and required fields."""
    found = schemas()
    events = {"decision", "reward", "outcome", "activation", "tick", "observation"}
    assert set(found) == events | {"definition", "phase", "example", "label"}
    for name, whole in found.items():
        body = whole["$defs"][name.capitalize()]
        assert body["properties"]["type"]["enum"] == [name]
        assert {"type", "time"} <= set(body["required"])


def test_ranges_stand_in_the_schema() -> None:
    """A propensity is a probability, a time at most 2^53."""
    body = schema("decision")["$defs"]["Decision"]["properties"]
    assert (body["propensity"]["minimum"], body["propensity"]["maximum"]) == (0.0, 1.0)
    assert body["time"]["maximum"] == 1 << 53


def test_an_unknown_type_is_refused() -> None:
    """The message lists the types there are."""
    with pytest.raises(InputError, match=r"'verdict'.*decision"):
        schema("verdict")
