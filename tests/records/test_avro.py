"""Records in Avro: every type there and back, and schemas that readers of Avro accept."""

import fastavro
import msgspec
import pytest

from foldline.errors import InputError
from foldline.records.avro import avro_schema, from_avro, to_avro
from foldline.records.codec import decode_records, encode
from foldline.records.schemas import RECORD_TYPES
from foldline.records.types import (
    Activation,
    Decision,
    Definition,
    Example,
    Label,
    Observation,
    Outcome,
    Phase,
    Record,
    Reward,
    Tick,
)

RECORDS: list[Record] = [
    Decision(
        time=1, id="0.0.a", unit="ü", action="a", propensity=1 / 3, bundle="b", definition=2, available=["a", "b"],
        context={"age": 3, "tags": ["x", None], "deep": {"y": 0.1}}, experiment="e", variant="v", probability=0.5,
    ),
    Decision(time=1, id="0.0.a", unit="u", action="a", propensity=0.0, bundle="b", definition=2),
    Reward(time=1 << 53, id="r", unit="u", value=-0.1),
    Reward(time=0, id="r", decision="0.0.a", name="click", value=5e-324, occurred=7),
    Outcome(time=1, id="0.0.a", unit="u", action="a", propensity=1.0, reward=0.1, bundle="b", definition=1),
    Activation(time=1, decision="0.0.a"),
    Tick(time=9),
    Observation(time=1, id="o", unit="u", name="revenue", value=12.5),
    Definition(time=1, loop="news", version=1, actions=["a", "b"], low=-1.0, high=1.0),
    Phase(time=1, experiment="e", version=1, state="running"),
    Example(time=1, id="0.0.a", unit="card-1", x={"amount": 12.5, "shop": "food", "n": 3, "new": True, "age": None}),
    Example(time=1, id="0.0.b", unit="card-1", x={}, y=False, occurred=1),
    Label(time=2, example="0.0.a", y="fraud"),
    Label(time=2, example="0.0.a", y=0.5, occurred=1),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_there_and_back(record: Record) -> None:
    """The same record; what it leaves to defaults is left out."""
    line = encode(record)
    told = to_avro(line)
    assert told is not None
    kind, value = told
    assert fastavro.validate(value, avro_schema(kind), strict=True)
    again = from_avro(f"foldline.{avro_schema(kind)['name']}", value)
    assert decode_records(again) == [record]
    assert to_avro(again) == told


def test_every_type_has_a_schema() -> None:
    """Which a parser of Avro takes; an unknown type is refused."""
    assert {type(record) for record in RECORDS} == set(RECORD_TYPES.values())
    for name in RECORD_TYPES:
        assert fastavro.parse_schema(avro_schema(name))
    with pytest.raises(InputError, match="expected one of decision"):
        avro_schema("dead")


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"type":"dead","time":1}',
        b'{"type":"tick","time":1,"more":2}',
        b"\xff",
    ],
)
def test_what_says_more_than_a_record_stays_json(line: bytes) -> None:
    """Lines of no type, or with fields that their type has not."""
    assert to_avro(line) is None


def test_values_of_other_schemas_are_read_as_they_are() -> None:
    """As JSON."""
    assert msgspec.json.decode(from_avro("shop.Order", {"id": 1, "total": 0.5})) == {"id": 1, "total": 0.5}
    with pytest.raises(InputError, match=r"foldline\.Reward"):
        from_avro("foldline.Reward", {"time": 1})
    with pytest.raises(InputError, match=r"shop\.Order"):
        from_avro("shop.Order", {"what": object()})
