"""Lines woven from columns: by both ways what joining the pieces gives."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.kernels import lose_patience
from foldline.records import weaving
from foldline.records.weaving import Strand, integers, lines_of, numbers, same, spans, weave, weave_in_parts
from foldline.records.woven import Woven

_pieces = st.lists(
    st.binary(max_size=20).map(lambda piece: piece.replace(b"\n", b" ")), min_size=5, max_size=5
)
_columns = st.lists(
    st.one_of(_pieces, st.binary(max_size=20).map(lambda piece: [piece] * 5)), min_size=1, max_size=6
)


def _strand(pieces: list[bytes]) -> Strand:
    ends = np.cumsum([len(piece) for piece in pieces])
    return spans(b"".join(pieces), np.stack((ends - [len(piece) for piece in pieces], ends), axis=1))


@given(_columns, st.lists(st.booleans(), min_size=5, max_size=5))
def test_woven_lines_are_the_pieces_joined(columns: list[list[bytes]], there: list[bool]) -> None:
    """Whatever is in them, and where some are left out."""
    lose_patience()
    strands = [_strand(columns[0])]
    strands += [same(column[0]) if len(set(column)) == 1 else _strand(column) for column in columns[1:]]
    strands.append(strands[-1].where(np.array(there)))
    last = [piece if here else b"" for piece, here in zip(columns[-1], there, strict=True)]
    lines = list(map(b"".join, zip(*columns, last, strict=True)))
    expected = b"\n".join(lines)
    assert weave(strands) == expected
    for size in (1, 20, 10_000):
        wanted = [b""]
        for line in lines:
            if len(wanted[-1]) >= size:
                wanted.append(b"")
            wanted[-1] += line + b"\n"
        assert list(weave_in_parts(strands, size)) == [part[:-1] for part in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weaving, "_weave", weaving._weave_plainly)
        assert weave(strands) == expected


@given(
    st.lists(
        st.one_of(st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none()), min_size=1
    )
)
def test_numbers_stand_as_json_has_them(values: list[float | bool | None]) -> None:
    """One a line."""
    lines = weave([same(b"["), numbers(values), same(b"]")]).split(b"\n")
    assert lines == [msgspec.json.encode([value]) for value in values]
    assert [json.loads(line)[0] for line in lines] == values


def test_lines_of_a_text_can_be_cut() -> None:
    """Without what stands at their ends."""
    lines = lines_of(b'{"a":1}\n{"b":2}\n{}')
    woven = weave([lines._replace(ends=lines.ends - 1), same(b',"t":'), numbers(range(3)), same(b"}")])
    assert woven == b'{"a":1,"t":0}\n{"b":2,"t":1}\n{,"t":2}'
    assert weave([same(b"alone")]) == b"alone"


@given(st.lists(st.booleans(), max_size=20))
def test_lines_among_woven_ones_stand_in_their_places(woven: list[bool]) -> None:
    """Several after one, too; each closed in its own way."""
    shape = [True, *woven]
    lines = [b'{"n":%d}' % place for place in range(len(shape))]
    own = b"\n".join(line for line, is_woven in zip(lines, shape, strict=True) if is_woven)
    among = {place: line for place, line in enumerate(lines) if not shape[place]}
    made = Woven.of(own)
    made = Woven(made.strands, made.count, among)
    assert (made.text().split(b"\n"), len(made)) == (lines, len(lines))
    closed = made.closed([same(b',"t":0}')], {place: line + b"!" for place, line in among.items()})
    wanted = [line[:-1] + b',"t":0}' if shape[n] else line + b"!" for n, line in enumerate(lines)]
    assert weave(closed).split(b"\n") == wanted


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(1, 3))
def test_integers_stand_as_json_has_them(values: list[int], times: int) -> None:
    """One a line, by both ways, and where all are the same."""
    lose_patience()
    given_values = np.array(values * times, np.int64)
    expected = [b"[%d]" % value for value in given_values.tolist()]
    strands = [same(b"["), integers(given_values), same(b"]"), _strand([b""] * len(expected))]
    assert weave(strands).split(b"\n") == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weaving, "_write_integers", weaving._write_integers_plainly)
        assert weave([same(b"["), integers(given_values), *strands[2:]]).split(b"\n") == expected
