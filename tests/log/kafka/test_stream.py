"""Streams: what was fetched, by offset, with gaps where markers stand."""

import pytest

from foldline.log.kafka import stream as module
from foldline.log.kafka.chunk import RowChunk
from foldline.log.kafka.stream import Stream
from foldline.log.protocol import Row


def _row(offset: int, count: int = 1) -> Row:
    return Row(offset, count, b"\n".join([b"x"] * count), 0, 0, packed=count > 1)


def _offsets(stream: Stream, offset: int, max_records: int = 1000, end: int | None = None) -> list[int]:
    return [row.offset for row in stream.peek(offset, max_records, end)[0].rows()]


def test_rows_are_found_by_offset_across_gaps() -> None:
    """Reading starts at the first row at or beyond an offset, and stops before an end."""
    stream = Stream(5)
    stream.feed(RowChunk([_row(5), _row(7, 3), _row(8)]))
    assert (stream.low, stream.high) == (5, 9)
    assert _offsets(stream, 5) == [5, 7, 8]
    assert _offsets(stream, 6) == [7, 8]
    assert _offsets(stream, 5, end=8) == [5, 7]
    assert _offsets(stream, 5, max_records=2) == [5, 7]
    assert _offsets(stream, 9) == []
    assert [stream.covers(offset) for offset in (4, 5, 9, 10)] == [False, True, True, False]
    assert [stream.holds(offset) for offset in (5, 8, 9)] == [True, True, False]


def test_rows_of_one_record_after_packed_ones_count_alike() -> None:
    """Where no row is packed any more, rows are records; bounds hold on either side, and across."""
    stream = Stream(0)
    stream.feed(RowChunk([_row(0, 3), _row(1, 3)]))
    stream.feed(RowChunk([_row(offset) for offset in (2, 3, 5, 6)]))
    assert _offsets(stream, 2) == [2, 3, 5, 6]
    assert _offsets(stream, 2, max_records=2) == [2, 3]
    assert _offsets(stream, 3, end=6) == _offsets(stream, 3, max_records=2) == [3, 5]
    assert _offsets(stream, 3, end=3) == []
    assert _offsets(stream, 0, max_records=7) == _offsets(stream, 0, end=3) == [0, 1, 2]
    assert [stream.peek(2, most, None)[1] for most in (1, 4, 5)] == [True, True, False]


def test_what_comes_again_is_left_out() -> None:
    """After going on from where it stood, a consumer may bring rows that are there."""
    stream = Stream(0)
    stream.feed(RowChunk([_row(0), _row(1)]))
    stream.feed(RowChunk([_row(0), _row(1), _row(2)]))
    stream.feed(RowChunk([_row(1)]))
    assert _offsets(stream, 0) == [0, 1, 2]
    stream.reach(9)
    stream.reach(4)
    assert stream.high == 9


def test_whether_more_could_add_to_what_is_asked_for() -> None:
    """Complete is a read whose end, or number of records, is reached."""
    stream = Stream(0)
    stream.feed(RowChunk([_row(0), _row(1)]))
    assert stream.peek(0, 2, None)[1]
    assert not stream.peek(0, 3, None)[1]
    assert stream.peek(0, 9, 2)[1]
    assert not stream.peek(0, 9, 3)[1]


def test_it_is_full_until_half_is_read_and_keeps_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full stream stops; rows read stay for a reader behind, but not all."""
    monkeypatch.setattr(module, "FULL_ROWS", 10)
    monkeypatch.setattr(module, "KEPT_ROWS", 4)
    stream = Stream(0)
    for low in range(0, 12, 2):
        stream.feed(RowChunk([_row(low), _row(low + 1)]))
    levels = []
    for reached in (0, 4, 8):
        stream.passed(reached)
        levels.append((stream.is_full, stream.is_half_empty))
    assert levels == [(True, False), (False, False), (False, True)]
    assert stream.covers(0)
    stream.passed(12)
    assert (stream.low, stream.high) == (8, 12)
    assert _offsets(stream, 8) == [8, 9, 10, 11]
    stream.passed(9)
    assert _offsets(stream, 9) == [9, 10, 11]


def test_large_rows_fill_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes count as well as rows."""
    monkeypatch.setattr(module, "FULL_BYTES", 1000)
    stream = Stream(0)
    stream.feed(RowChunk([Row(0, 1, b"x" * 1000, 0, 0)]))
    assert stream.is_full
    stream.passed(1)
    assert stream.is_half_empty
