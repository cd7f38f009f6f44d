"""Labels as columns: the table says what the lines say, and labels that do not fit into it are read line by line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.kernels import lose_patience
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.examples import Form
from foldline.records.types import Label, Record, Tick, Value
from tests.records.oracle import assert_equal, columns_of, plain_examples, slow_decode


@pytest.fixture(scope="module", autouse=True)
def _scanners_ready() -> None:
    lose_patience()


def _padded(records: list[Record]) -> bytes:
    """Large enough to be scanned."""
    return encode_lines([*records, *(Tick(time=5) for _ in range(1500))])


def test_labels_stand_in_a_table() -> None:
    """Numbers and booleans keep what they were; a text is an object among them."""
    values: list[Value] = [True, False, 1, -0.5, 1e300, "fraud", 0]
    made = [Label(time=i, example=f"0.0.{i}", y=y) for i, y in enumerate(values)]
    columns = decode(_padded(list(made)))
    table = columns.labels.table
    assert table is not None
    assert table.rows.tolist() == [0, 1, 2, 3, 4, 6]
    assert table.forms.tolist() == [
        Form.TRUE, Form.FALSE, Form.INTEGER, Form.FLOAT, Form.FLOAT, Form.INTEGER
    ]  # fmt: skip
    assert columns.labels.objects == {5: made[5]}
    assert_equal(columns, columns_of([*made, *(Tick(time=5) for _ in range(1500))]))


def test_every_single_byte_change_of_a_label() -> None:
    """Each byte replaced by telling others: as line by line."""
    for made in (Label(time=17, example="0.1.a", y=True), Label(time=9, example="0.1.b", y=2.5, occurred=3)):
        line = encode(made)
        for place in range(len(line)):
            for byte in (b'"', b"0", b"}", b" ", b"e", b"-", b"\xc3", b""):
                data = b"\n".join([line, line[:place] + byte + line[place + 1 :], line] * 200)
                assert_equal(decode(data), slow_decode(data))


_values = st.one_of(
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(1 << 60), 1 << 60),
    st.text(max_size=3),
)
_labels = st.builds(
    Label, time=st.integers(0, 1 << 53), example=st.text(min_size=1, max_size=9), y=_values,
    occurred=st.one_of(st.none(), st.integers(0, 1 << 53)),
)  # fmt: skip


@given(st.lists(st.one_of(_labels, plain_examples), max_size=20), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_a_slice_holds_the_labels_of_its_rows(made: list[Record], start: int, size: int) -> None:
    """As of a batch of these records alone."""
    rows = [*made, *(Tick(time=5) for _ in range(1500))]
    part = decode(encode_lines(rows)).slice(start, start + size)
    expected = {row: each.y for row, each in enumerate(rows[start : start + size]) if isinstance(each, Label)}
    found = part.labels.by_row()
    assert {row: (y, type(y)) for row, y in found.items()} == {
        row: (y, type(y)) for row, y in expected.items()
    }
    assert np.count_nonzero(part.kind == 0) == 0
