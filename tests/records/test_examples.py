"""Examples as columns: the table says what the lines say, and whatever does not fit into one is read line by line."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.kernels import lose_patience
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.examples import ExampleTable, FeatureTable, Form
from foldline.records.types import Decision, Example, Record, Tick, Value
from tests.records.oracle import assert_equal, columns_of, decisions, plain_examples, slow_decode


@pytest.fixture(scope="module", autouse=True)
def _scanners_ready() -> None:
    lose_patience()


_SOME: list[dict[str, Value]] = [{"a": 1.0}, {"a": 2.0, "b": 3}, {}, {"b": 4.5}]


def _examples(count: int) -> list[Example]:
    rng = np.random.default_rng(1)
    return [
        Example(
            time=1_700_000_000_000 + i,
            id=f"0.3.row-{i}",
            unit=f"card-{i % 7}",
            x={
                "amount": float(rng.normal()),
                "items": int(rng.integers(-9, 9)),
                "new": bool(i % 3),
                "shop": f"shop {i % 40} of a chain of shops" if i % 5 else f"s{i % 3}",
            },
            y=[True, False, None, 2, 0.5][i % 5],
            occurred=None if i % 2 else i,
        )
        for i in range(count)
    ]


def _padded(records: Sequence[Record]) -> bytes:
    """Large enough to be scanned."""
    return encode_lines([*records, *(Tick(time=5) for _ in range(1500))])


def _table(data: bytes) -> ExampleTable:
    found = decode(data).examples.table
    assert found is not None
    return found


def test_examples_of_a_loop_stand_in_one_table() -> None:
    """Numbers, whole numbers and booleans keep what they were; ids and units are spans."""
    made = _examples(600)
    data = encode_lines(made)
    columns = decode(data)
    assert_equal(columns, columns_of(made))
    table = _table(data)
    assert columns.examples.objects == {}
    assert table.x.names == ("amount", "items", "new", "shop")
    assert [dict(each) for each in table.x] == [each.x for each in made]
    assert [type(value) for value in table.x[4].values()] == [float, int, bool, str]
    assert table.labels() == [each.y for each in made]
    assert list(table.id) == [each.id for each in made]
    assert (table.unit[3], list(table.unit[5:7])) == ("card-3", ["card-5", "card-6"])
    numbers = table.x.numbers(("new", "none", "amount", "shop"))
    assert numbers[:, 0].tolist() == [float(each.x["new"] or 0) for each in made]
    assert np.isnan(numbers[:, [1, 3]]).all()


def test_features_that_come_later_or_are_absent() -> None:
    """A name first seen in a later example widens the table; an absent one is none of the example's."""
    made = [Example(time=1, id=f"e{i}", unit="u", x=dict(x), y=True) for i, x in enumerate(_SOME)]
    table = _table(_padded(made))
    assert [dict(each) for each in table.x] == [each.x for each in made]
    assert table.x.forms.tolist() == [[Form.FLOAT, 0], [Form.FLOAT, Form.INTEGER], [0, 0], [0, Form.FLOAT]]
    assert table.x[2:].numbers(("b",)).tolist()[1] == [4.5]


@pytest.mark.parametrize(
    "odd",
    [
        {"x": {"a": ""}},
        {"x": {"a": "\u00e9"}},
        {"x": {"a": 'a "text"'}},
        {"x": {"a": None}},
        {"x": {"b": 1.0, "a": 1.0}},
        {"x": {"a": 1 << 60}},
        {"x": {"é": 1.0}},
        {"id": "é"},
        {"unit": 'a "u"'},
        {"y": "fraud"},
        {"x": {f"f{n}": 1.0 for n in range(300)}},
    ],
)
def test_an_example_that_does_not_fit_is_read_all_the_same(odd: dict[str, object]) -> None:
    """Then every example of the batch is an object, in its place."""
    plain = {"time": 1, "unit": "u", "x": {"a": 0.5, "b": 0.25}, "y": True}
    fields = [{**plain, "id": "one"}, {**plain, "id": "two", **odd}, {**plain, "id": "three"}]
    made = [msgspec.convert(each, Example) for each in fields]
    columns = decode(_padded(list(made)))
    assert columns.examples.table is None
    assert columns.examples.objects == dict(enumerate(made))
    assert_equal(columns, slow_decode(_padded(list(made))))


def test_every_single_byte_change_of_an_example() -> None:
    """Each byte replaced by telling others: as line by line."""
    for made in _examples(5):
        line = encode(made)
        for place in range(len(line)):
            for byte in (b'"', b"0", b"}", b" ", b"e", b"-", b"\xc3", b""):
                data = b"\n".join([line, line[:place] + byte + line[place + 1 :], line])
                assert_equal(decode(data), slow_decode(data))


_values = st.dictionaries(
    st.sampled_from("abc"),
    st.one_of(st.floats(-9, 9), st.booleans(), st.integers(-9, 9), st.text("xyz", min_size=1, max_size=20)),
)


@given(st.lists(st.one_of(plain_examples, decisions), max_size=20), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_a_slice_holds_the_examples_of_its_rows(made: list[Record], start: int, size: int) -> None:
    """As of a batch of these records alone."""
    part = decode(_padded(made)).slice(start, start + size)
    rows = [*made, *(Tick(time=5) for _ in range(1500))][start : start + size]
    expected = columns_of(rows)
    found = part.examples.by_row(part.time)
    assert list(found) == list(expected.examples.objects)
    for row, each in expected.examples.objects.items():
        assert msgspec.structs.replace(each, occurred=None) == msgspec.structs.replace(
            found[row], occurred=None
        )
    assert part.examples.labelled(len(part)).tolist() == [
        isinstance(record, Example) and record.y is not None for record in rows
    ]
    assert not any(isinstance(record, Decision) for record in found.values())


@given(st.lists(_values, min_size=1, max_size=9))
def test_a_table_gives_back_what_was_put_in(rows: list[dict[str, Value]]) -> None:
    """Values with their types, absent ones left out, one by one or all together."""
    names = ("a", "b", "c")
    table = FeatureTable.of([{"a": None, "b": None, "c": None}, *rows])
    assert table is not None or any(list(row) != sorted(row) for row in rows)
    if table is None:
        return
    table = table[1:]
    assert table.names == names
    expected = [[(name, type(row[name]), row[name]) for name in names if name in row] for row in rows]
    for found in (list(table), [table[at] for at in range(len(rows))]):
        assert [[(name, type(value), value) for name, value in each.items()] for each in found] == expected


def test_tables_join_whatever_texts_they_have() -> None:
    """Each keeps what it had."""
    parts: list[list[dict[str, Value | None]]] = [
        [{"a": "x", "b": 1}, {"a": 0.5}],
        [{"a": "y", "b": "x"}, {"a": "x"}],
        [{"b": 2}],
    ]
    tables = [FeatureTable.of([{"a": None, "b": None}, *part]) for part in parts]
    whole = tables[0]
    for table in tables[1:]:
        assert whole is not None
        assert table is not None
        whole = whole.joined(table)
    assert whole is not None
    assert [dict(each) for each in whole if each] == [row for part in parts for row in part]
    assert np.isnan(whole.numbers(("a",))[1, 0])
    assert whole.numbers(("b",))[1, 0] == 1
