"""Lines to columns by both ways, and back."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import InputError, RecordError
from foldline.kernels import is_ready
from foldline.records.codec import (
    dead_lines,
    decode,
    decode_each,
    decode_plainly,
    decode_records,
    encode,
    encode_lines,
)
from foldline.records.columns import Columns, Kind
from foldline.records.judge import judge
from foldline.records.pieces import Pieces
from foldline.records.scanner import LEFT_ROWS, count_lines, scan
from foldline.records.scratch import Scratch
from foldline.records.types import Decision, Definition, Observation, Outcome, Record, Reward, Tick
from tests.records.oracle import assert_equal, canonical, columns_of, records, slow_decode

_DECISION: dict[str, Any] = {
    "type": "decision", "time": 5, "id": "0.0.a", "unit": "u", "action": "a", "propensity": 0.5, "bundle": "b",
    "definition": 1,
}  # fmt: skip
_REWARD: dict[str, Any] = {"type": "reward", "time": 5, "id": "r", "decision": "0.0.a", "value": 1.0}


_PIECES = [b'"', b"\\", b"\n", b"1e", b"0", b",", b"}", b"{}", b".", b"-"]


@pytest.fixture(scope="module", autouse=True)
def _scanner_ready() -> None:
    """Small payloads wait for a large one before they are scanned; here all are to be."""
    decode(b"\n".join([b'{"type":"tick","time":5}'] * 2000))
    assert is_ready(scan), "a payload of 50 kB did not ready the scanner"


def _line(fields: dict[str, Any], **changes: Any) -> bytes:
    changed = {name: value for name, value in {**fields, **changes}.items() if value is not ...}
    return json.dumps(changed, separators=(",", ":")).encode()


def _rows_left(data: bytes) -> int:
    """How many lines of a payload the scanner leaves to msgspec."""
    buffer = np.frombuffer(data, np.uint8)
    n = count_lines(buffer)
    counts = np.empty(7, np.int64)
    pieces, scratch = Pieces.of([buffer]), Scratch()
    scan(
        pieces.addresses, pieces.sizes, np.zeros(0, np.int64), np.empty(n, np.int8), np.empty(n, np.int64),
        np.empty((2, n, 2), np.uint64), np.empty((2, n)), np.empty(n, np.int32), scratch.made(n), scratch.tables(n),
        np.empty((2, n, 3), np.int64), np.empty(len(data), np.uint8), np.empty((3, n), np.int64), counts,
        np.empty((3, 2), np.int64), np.empty(2),
    )  # fmt: skip
    return int(counts[LEFT_ROWS])


def test_a_number_is_read_anew_where_it_differs_from_that_of_the_line_before() -> None:
    """Outcomes whose numbers repeat, nearly repeat, or stand in lines that cannot be used, among other lines."""
    texts = ["0.5", "0.50", "0.25", "0.25", "1.5", "1.0", "1.0", "1", "1e-2", "-0.0", "0.123456789"]
    lines = [
        b'{"type":"outcome","time":5,"id":"%d","unit":"u","action":"a","propensity":%s,"reward":%s,"bundle":"%s",'
        b'"definition":1%s}' % (i, text.encode(), other.encode(), b"b" * (i % 3), b',"occurred":4' * (i % 2))
        for i, (text, other) in enumerate((text, other) for text in texts for other in texts)
    ]
    data = b"\n".join(lines)
    assert_equal(decode(data), decode_plainly(data))
    assert _rows_left(data) < len(lines) / 3
    for size in range(1, 300):
        assert_equal(decode(data[:size]), decode_plainly(data[:size]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(records, min_size=1, max_size=12))
def test_both_ways_equal_the_records_encoded(given_records: list[Record]) -> None:
    """Whatever records are encoded, both ways give the columns that the records themselves say."""
    data = encode_lines(given_records)
    expected = columns_of(given_records)
    assert_equal(decode(data), expected)
    assert_equal(decode_plainly(data), expected)
    assert decode_records(data) == given_records
    assert decode_each(data) == given_records


def test_canonical_lines_are_all_scanned() -> None:
    """No line as a loop writes it is left to the slower way, and the columns are the oracle's."""
    made = canonical(700)
    data = encode_lines(made)
    assert _rows_left(data) == 0
    assert_equal(decode(data), columns_of(made))
    assert_equal(decode_plainly(data), columns_of(made))


def test_unusual_lines_among_canonical_ones_change_nothing_else() -> None:
    """Contexts, escapes, markers and bad lines fall back alone; dictionaries stay in order of appearance."""
    lines = [encode(record) for record in canonical(60)]
    lines[3:3] = [_line(_DECISION, action="é"), _line(_DECISION, action="article-2", context={"x": [1, {}]})]
    lines[9:9] = [b"", b"nonsense", encode(Definition(time=1, loop="l", version=2, actions=["a"]))]
    lines[20:20] = [_line(_REWARD, name="reward"), b" " + _line(_REWARD, name="\\")]
    lines.append(_line(_DECISION, action="last", available=["last"]))
    columns = decode(b"\n".join(lines))
    assert 0 < _rows_left(b"\n".join(lines)) < 10
    assert_equal(columns, slow_decode(b"\n".join(lines)))
    assert_equal(decode_plainly(b"\n".join(lines)), columns)
    assert columns.actions[2] == "é"
    assert [dead.row for dead in columns.dead] == [9, 10]
    assert list(columns.markers) == [11]


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_mutations_never_raise_and_both_ways_agree(given_records: list[Record], data: st.DataObject) -> None:
    """Flipped, cut and inserted bytes give dead rows or other records, the same by both ways and the oracle."""
    made = canonical(7, seed=data.draw(st.integers(0, 99)))
    mutated = bytearray(encode_lines(data.draw(st.permutations([*given_records, *made]))))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        piece = data.draw(st.one_of(st.binary(max_size=2), st.sampled_from(_PIECES)))
        mutated[place : place + data.draw(st.integers(0, 3))] = piece
        mutated = mutated or bytearray(b"{")
    expected = slow_decode(bytes(mutated))
    assert_equal(decode(bytes(mutated)), expected)
    assert_equal(decode_plainly(bytes(mutated)), expected)
    judged = [judge(line) for line in bytes(mutated).split(b"\n")]
    assert decode_each(bytes(mutated)) == [None if isinstance(found, tuple) else found for found in judged]


def test_every_single_byte_change_of_a_line() -> None:
    """Each byte of three lines replaced by telling others: both ways agree."""
    for record in canonical(7)[:5]:
        line = encode(record)
        for place in range(len(line)):
            changed = [
                line[:place] + byte + line[place + 1 :]
                for byte in (b'"', b"0", b"}", b" ", b"e", b"\xc3", b"")
            ]
            data = b"\n".join(changed)
            assert_equal(decode(data), slow_decode(data))


@pytest.mark.parametrize("by", [decode, decode_plainly])
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b"", "record.undecodable", []),
        (b"   ", "record.undecodable", []),
        (b"nonsense", "record.undecodable", ["nonsense"]),
        (b"[]", "record.undecodable", []),
        (b"5", "record.undecodable", []),
        (b'{"type":"tick","time":1}{"type":"tick","time":1}', "record.undecodable", []),
        (b'{"type":"tick","time":1', "record.undecodable", []),
        (b'{"type":"other","time":1}', "record.undecodable", ["'type'", "other", "decision"]),
        (b'{"type":7,"time":1}', "record.undecodable", ["'type'", "7"]),
        (b'{"time":1}', "record.undecodable", ["'type'", "missing"]),
        (b'{"type":' + b"\0" * 40, "record.undecodable", []),
        (b'{"type":' + b"\xff" * 40, "record.undecodable", []),
        (b'{"type":"activation","time":1,"decision":"\xff\xfe"}', "record.undecodable", ["UTF-8"]),
        (b'{"type":"tick","time":1,"x":"\xff"}', "record.undecodable", ["UTF-8"]),
        (b'{"type":"tick","time":1,"x":' + b"[" * 100 + b"]" * 100 + b"}", "record.undecodable", ["deeper"]),
        (b'{"type":"tick","time":1,"x":' + b"[" * 9000 + b"]" * 9000 + b"}", "record.undecodable", ["deeper"]),
        (_line(_REWARD, value=math.nan), "record.undecodable", []),
        (b'{"type":"tick"}', "record.schema", ["time", "tick"]),
        (_line(_DECISION, propensity=...), "record.schema", ["propensity"]),
        (_line(_DECISION, bundle=...), "record.schema", ["bundle"]),
        (_line(_DECISION, time=-1), "record.schema", ["'time'", "-1", ">= 0"]),
        (_line(_DECISION, time=(1 << 53) + 1), "record.schema", ["'time'", "9007199254740993"]),
        (_line(_DECISION, time=1.5), "record.schema", ["'time'", "1.5", "int"]),
        (_line(_DECISION, time="now"), "record.schema", ["'time'", "now", "int"]),
        (_line(_DECISION, propensity=1.5), "record.schema", ["'propensity'", "1.5", "<= 1"]),
        (_line(_DECISION, propensity=-0.1), "record.schema", ["'propensity'", "-0.1"]),
        (_line(_DECISION, propensity=None), "record.schema", ["'propensity'", "null"]),
        (_line(_DECISION, unit=""), "record.schema", ["'unit'", "length >= 1"]),
        (_line(_DECISION, id="x" * 513), "record.schema", ["'id'", "512"]),
        (_line(_DECISION, action="x" * 257), "record.schema", ["'action'", "256"]),
        (_line(_DECISION, context=[1]), "record.schema", ["'context'", "[1]"]),
        (_line(_DECISION, available=["a", 1]), "record.schema", ["available"]),
        (_line(_REWARD).replace(b"1.0", b"1e999"), "record.schema", ["'value'", "1e999"]),
        (_line(_REWARD).replace(b"1.0", b"1" * 400), "record.schema", ["'value'"]),
        (_line(_REWARD, value="1"), "record.schema", ["'value'", "float", "str"]),
        (_line(_REWARD, value=True), "record.schema", ["'value'", "true"]),
        (_line(_REWARD, decision=...), "record.schema", ["exactly one"]),
        (_line(_REWARD, unit="u"), "record.schema", ["exactly one", "'u'", "0.0.a"]),
    ],
)  # fmt: skip
def test_a_bad_line_is_dead_with_its_code_and_reason(
    by: Callable[[bytes], Columns], line: bytes, code: str, words: list[str]
) -> None:
    """One bad line between two good ones becomes a dead row; its message names field, value and expectation."""
    good = encode(Tick(time=7))
    columns = by(b"\n".join([good, line, good]))
    assert columns.kind.tolist() == [Kind.TICK, Kind.DEAD, Kind.TICK]
    assert columns.time.tolist() == [7, 0, 7]
    assert [(dead.row, dead.code) for dead in columns.dead] == [(1, code)]
    assert all(word in columns.dead[0].message for word in words), columns.dead[0].message
    with pytest.raises(RecordError) as caught:
        decode_records(line)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "line",
    [
        _line({**_DECISION, "colour": {"x": [1, "\\"]}}),
        b"  " + _line(_REWARD) + b"\t\r",
        json.dumps(_DECISION).encode(),
        json.dumps(dict(reversed(_DECISION.items()))).encode(),
        _line(_REWARD, unit=None, occurred=None),
        b'{"type":"tick","time":1,"value":"not its field"}',
        _line(_DECISION, context={"deep": json.loads("[" * 60 + "]" * 60)}),
    ],
)
def test_unusual_but_good_lines_live(line: bytes) -> None:
    """Unknown fields, white space, other field orders and nulls where a field may be absent are no faults."""
    columns = decode(line)
    assert columns.dead == []
    assert_equal(columns, slow_decode(line))


def test_lines_that_only_together_are_json_are_dead() -> None:
    """A value over two lines, and two on one line, do not shift the rows."""
    data = b'{"type":"tick",\n"time":1}\n{"type":"tick","time":2}{"type":"tick","time":3}\n\n{"type":"tick","time":4}'
    for columns in (decode(data), decode_plainly(data)):
        assert columns.kind.tolist() == [0, 0, 0, 0, Kind.TICK]
        assert columns.time[4] == 4


_NUMBERS = [
    "0", "1", "0.1", "1e5", "1E+5", "1e-7", "0.30000000000000004", "123456789.123456789", "9007199254740993",
    "9007199254740992.5", "1.7976931348623157e308", "4.9e-324", "2.2250738585072011e-308", "1e0001",
    "0.000000000000000000000000000001", "18446744073709551616", "36893488147419103232", "1" * 30, "0." + "3" * 40,
    "1e23", "8.5e22", "-0.0", "-1.5", "0.0050000000000000001", "7205759403792793.5", "6.0221407600000001e23", "0e5",
    "100000000000000000000000.0", "0.00000000000000000000000000", "0.18446744073709551616", "1.8446744073709551616",
]  # fmt: skip


@pytest.mark.parametrize("text", _NUMBERS)
def test_numbers_have_the_bits_of_float(text: str) -> None:
    """Values keep the bits of Python's `float()`, by whichever way."""
    columns = decode(_line(_REWARD).replace(b"1.0", text.encode()))
    assert np.float64(float(text)).tobytes() == columns.value[:1].tobytes()


def test_rows_and_offsets_line_up_over_several_payloads() -> None:
    """Payloads follow one another; a payload of one record is one row even with newlines in it."""
    tick = encode(Tick(time=3))
    pretty = json.dumps(_DECISION, indent=2).encode()
    payloads = [tick + b"\n" + tick, pretty, b"a\nb", tick]
    columns = decode(payloads, counts=[2, 1, 1, 1])
    assert columns.kind.tolist() == [Kind.TICK, Kind.TICK, Kind.DECISION, Kind.DEAD, Kind.TICK]
    each = decode_each(payloads, counts=[2, 1, 1, 1])
    assert [type(record) for record in each] == [Tick, Tick, Decision, type(None), Tick]
    assert decode_each([]) == []
    assert dead_lines(payloads, [3, 0], counts=[2, 1, 1, 1]) == [b"a\nb", tick]
    assert len(decode(payloads)) == 2 + pretty.count(b"\n") + 1 + 2 + 1
    assert len(decode([])) == 0
    assert decode(b"").kind.tolist() == [Kind.DEAD]
    assert dead_lines(b"x\ny\nz", [0, 2]) == [b"x", b"z"]


def test_many_long_names_that_share_their_ends() -> None:
    """Ten thousand actions with equal beginnings and endings stay apart."""
    made = [
        Outcome(time=i, id="i", unit="u", action=f"https://example.org/{i:06d}/index.html", propensity=1.0,
                reward=0.0, bundle="", definition=1)
        for i in range(10_000)
    ]  # fmt: skip
    columns = decode(encode_lines(made))
    assert columns.actions == [record.action for record in made]
    assert columns.action.tolist() == list(range(10_000))


@pytest.mark.parametrize(
    ("record", "code", "field"),
    [
        (Reward(time=1, id="r", decision="d", value=math.nan), "input.not_finite", "value"),
        (Reward(time=1, id="r", decision="d", value=-math.inf), "input.not_finite", "value"),
        (Reward(time=1, id="r", decision="d", value=10**400), "input.not_finite", "value"),
        (Observation(time=1, id="o", unit="u", name="n", value=math.inf), "input.not_finite", "value"),
        (Definition(time=1, loop="l", version=1, actions=["a"], high=math.nan), "input.not_finite", "high"),
        (Reward(time=1, id="r", decision="\ud800", value=1.0), "input.invalid", None),
    ],
)
def test_what_json_cannot_hold_is_refused(record: Record, code: str, field: str | None) -> None:
    """NaN, infinities and lone surrogates raise instead of being written as something else."""
    with pytest.raises(InputError) as caught:
        encode(record)
    assert (caught.value.code, caught.value.field) == (code, field)


@pytest.mark.parametrize(
    ("context", "code"),
    [
        ({"x": [1.0, {"y": math.nan}]}, "input.not_finite"),
        ({"x": object()}, "input.invalid"),
        ({"x": json.loads("[" * 63 + "]" * 63)}, "input.invalid"),
    ],
)
def test_contexts_json_cannot_hold_are_refused(context: dict[str, Any], code: str) -> None:
    """What stands deep within a context is looked at too."""
    with pytest.raises(InputError) as caught:
        encode(
            Decision(
                time=1, id="i", unit="u", action="a", propensity=1.0, bundle="", definition=1, context=context
            )
        )
    assert caught.value.code == code


def test_the_deepest_context_encoded_can_be_decoded() -> None:
    """The bound on nesting is the same on both sides."""
    context = {"x": json.loads("[" * 62 + "]" * 62)}
    line = encode(
        Decision(
            time=1, id="i", unit="u", action="a", propensity=1.0, bundle="", definition=1, context=context
        )
    )
    assert decode(line).dead == []


def test_a_propensity_above_one_is_dead_not_clipped() -> None:
    """A record is judged by its own line; a wrong probability never reaches a column."""
    columns = decode(
        encode(Decision(time=1, id="i", unit="u", action="a", propensity=1.5, bundle="", definition=1))
    )
    assert math.isnan(columns.propensity[0])
    assert columns.dead[0].code == "record.schema"


_STAMPED = st.lists(
    st.lists(st.integers(0, 200), min_size=1, max_size=5).map(
        lambda times: [_line(_REWARD if time % 2 else _DECISION, time=time, unit=...) if time % 7 else b"nonsense"
                       for time in times]
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=100, deadline=None, derandomize=True)
@given(_STAMPED, st.data())
def test_records_ahead_of_what_they_may_bear_are_dead(parts: list[list[bytes]], data: st.DataObject) -> None:
    """As if their lines were no records, whatever is decoded together; the error names the time and the limit."""
    latest = [data.draw(st.integers(0, 200)) for _ in parts]
    counts, payloads = [len(part) for part in parts], [b"\n".join(part) for part in parts]
    found = decode(payloads, counts=counts, latest=latest)
    limits = np.repeat(latest, counts)
    plain = decode(payloads, counts=counts)
    ahead = plain.time > limits
    blanked = [
        b"" if ahead[row] else line for row, line in enumerate(line for part in parts for line in part)
    ]
    expected = decode(b"\n".join(blanked))
    expected.dead = found.dead
    assert_equal(found, expected)
    codes = {dead.row: dead.code for dead in found.dead}
    assert {row for row, code in codes.items() if code == "record.time_ahead"} == set(np.flatnonzero(ahead))
    assert set(codes) == set(np.flatnonzero(found.kind == Kind.DEAD))
    each = decode_each(payloads, counts=counts, latest=latest)
    assert [record is None for record in each] == (found.kind == Kind.DEAD).tolist()
    apart = [
        decode([payload], counts=[count], latest=[limit])
        for payload, count, limit in zip(payloads, counts, latest, strict=True)
    ]
    assert np.concatenate([columns.time for columns in apart]).tolist() == found.time.tolist()


def test_a_time_ahead_is_explained() -> None:
    """How far, and beyond what."""
    [dead] = decode([_line(_REWARD, time=70)], counts=[1], latest=[60]).dead
    assert (dead.code, dead.row) == ("record.time_ahead", 0)
    assert dead.message.startswith("field 'time' is 70, 10 ms beyond the latest")
    assert not decode([_line(_REWARD, time=60)], counts=[1], latest=[60]).dead


def test_errors_show_a_value_as_it_stands_in_the_line() -> None:
    """As JSON, not as Python writes bytes; what is no text is marked."""
    messages = [
        decode(line).dead[0].message
        for line in (_line(_REWARD, value="much"), _line(_REWARD, type="click"), b"nonsense", b"\xff")
    ]
    assert messages[0].startswith("field 'value' of a reward record is \"much\": ")
    assert messages[1].startswith("field 'type' is \"click\", expected one of ")
    assert messages[2].startswith("line 'nonsense' is not JSON: ")
    assert messages[3].startswith(r"line '\\xff' is not UTF-8: ")
