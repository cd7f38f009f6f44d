"""Pieces: the same columns, wherever the lines stand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.kernels import lose_patience
from foldline.records.codec import decode, decode_lines, decode_plainly
from foldline.records.pieces import Pieces
from tests.records.oracle import assert_equal

LINES = [
    b'{"type":"outcome","time":5,"id":"%d","unit":"u","action":"%s","propensity":0.5,"reward":%d.0,"bundle":"b",'
    b'"definition":1}' % (n, action, n % 3)
    for n, action in enumerate(
        [b"a", b"a-long-action-name-of-several-words", b"a-long-action-name-of-other-words"]
    )
] + [
    b'{"type":"decision","time":6,"id":"d","unit":"u","action":"a","propensity":0.5,"bundle":"b","definition":1}',
    b'{"type":"reward","time":7,"id":"r","decision":"d","name":"click","value":1.0}',
    b'{"type":"reward","time":7,"id":"s","decision":"d","value":1.0}',
    b'{"type":"tick","time":8}',
    b'{"type": "tick", "time": 8}',
    b'{"type":"outcome","time":"soon"}',
    b"no record",
    b"",
]


def _pieces(cut: list[list[bytes]], told: list[int] | None = None) -> Pieces:
    arrays = [np.frombuffer(b"\n".join(lines), np.uint8) for lines in cut]
    middle = len(arrays) // 2
    pieces = Pieces.together([Pieces.of(arrays[:middle]), Pieces.of(arrays[middle:])])
    return pieces if told is None else pieces._replace(told=np.array(told, np.int64))


@pytest.mark.parametrize("cut", [[[b"a"]], [[b"a", b"b"], [b"c"]], [[b""], [b"x"], [b""]], [[b""]]])
def test_joined_they_are_the_text(cut: list[list[bytes]]) -> None:
    """Empty ones too."""
    pieces, whole = _pieces(cut), b"\n".join([line for lines in cut for line in lines])
    assert pieces.joined() == whole
    assert pieces.size == len(whole)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=40), min_size=1, max_size=40),
    st.booleans(),
)
def test_where_lines_are_cut_makes_no_difference(cut: list[list[bytes]], large: bool) -> None:
    """Good lines, lines left to the slower way and bad ones; few, which are not scanned, and many, which are."""
    lose_patience()
    if large:
        cut = [lines * 40 for lines in cut]
    lines = [line for part in cut for line in part]
    counts = np.array([len(part) for part in cut], np.int64)
    latest = np.full(len(cut), 1 << 50, np.int64)
    found = decode_lines(_pieces(cut), counts, latest=latest)
    assert found is not None
    assert_equal(found, decode_plainly(b"\n".join(lines)))
    assert_equal(found, decode(b"\n".join(lines)))


def test_a_time_too_far_ahead_is_found_in_any_piece() -> None:
    """Each payload has a limit of its own."""
    cut = [[LINES[0]] * 300, [LINES[0], LINES[3]], [LINES[6]] * 300]
    counts = np.array([len(part) for part in cut], np.int64)
    found = decode_lines(_pieces(cut), counts, latest=np.array([5, 5, 8]))
    assert found is not None
    assert [(dead.row, dead.code) for dead in found.dead] == [(301, "record.time_ahead")]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.lists(st.sampled_from(LINES), min_size=1, max_size=5), min_size=1, max_size=9),
    st.data(),
    st.booleans(),
)
def test_what_was_told_is_checked(cut: list[list[bytes]], data: st.DataObject, large: bool) -> None:
    """None where any piece holds more or fewer lines than was told of it, even where the sum is right."""
    lose_patience()
    if large:
        cut = [lines * 200 for lines in cut]
    true = [len(lines) for lines in cut]
    told = [max(1, count + data.draw(st.sampled_from([0, 0, 0, 1, -1, 100]))) for count in true]
    latest = np.full(len(cut), 1 << 50, np.int64)
    found = decode_lines(_pieces(cut, told), np.array(told, np.int64), latest=latest)
    assert (found is None) == (told != true)
    if found is not None:
        assert_equal(found, decode(b"\n".join([line for lines in cut for line in lines])))
