"""Lines of JSON woven from columns of text: what stands in every line is written once, and no object made a line.

A strand is a piece of text for each line: the same for all, a span of a text that is there already, or a number. The
lines are what `msgspec` would write of the values one after another, as long as the strands' texts are.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, patient
from foldline.records.categorical import Categorical
from foldline.records.types import Value
from foldline.records.words import load64, store64

Int64s = npt.NDArray[np.int64]

_ENCODE = msgspec.json.Encoder().encode
_COMMA, _NEWLINE, _MINUS = ord(","), ord("\n"), ord("-")
_ZERO, _TEN = np.uint8(ord("0")), np.uint64(10)
_SLACK = bytes(8)
_DIGITS = 20  # of the longest integer, its sign included


class Strand(NamedTuple):
    """A piece of text for each of n lines.

    Attributes:
        text: what the pieces are spans of.
        starts: (n,) first byte of each; (1,) where all lines have the same.
        ends: as `starts`, the byte after the last; an empty span is no text.
    """

    text: bytes
    starts: Int64s
    ends: Int64s

    def where(self, there: npt.NDArray[np.bool_]) -> "Strand":
        """The same, with no text in the other lines."""
        if there.all():
            return self
        starts = np.broadcast_to(self.starts, there.shape)
        return Strand(self.text, starts, np.where(there, self.ends, starts)) if there.any() else same(b"")


def same(text: bytes) -> Strand:
    """The same text in every line."""
    return Strand(text, np.zeros(1, np.int64), np.array([len(text)], np.int64))


def spans(text: bytes, ends: Int64s) -> Strand:
    """The spans of (n, 2) starts and ends."""
    return Strand(text, np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1]))


def numbers(values: Sequence[Value | None]) -> Strand:
    """Numbers, booleans or None as JSON has them; no texts.

    Example:
        >>> weave([same(b"["), numbers([0.5, True]), same(b"]")])
        b'[0.5]\\n[true]'
    """
    if isinstance(values, Categorical):
        text = _ENCODE([*values.categories, None])
        starts, ends = _between(text, _COMMA, 1, len(text) - 1)
        return Strand(text, starts[values.codes], ends[values.codes])
    text = _ENCODE(values if isinstance(values, list | tuple) else list(values))
    return Strand(text, *_between(text, _COMMA, 1, len(text) - 1))


def integers(values: Int64s) -> Strand:
    """Whole numbers as JSON has them.

    Args:
        values: (n,), at least one.

    Example:
        >>> weave([same(b"["), integers(np.array([7, -12])), same(b"]")])
        b'[7]\\n[-12]'
    """
    if (values == values[0]).all():
        return same(b"%d" % values[0])
    out, ends = np.empty(len(values) * _DIGITS, np.uint8), np.zeros(len(values) + 1, np.int64)
    _write_integers(values, out, ends)
    return Strand(out[: ends[-1]].tobytes(), ends[:-1], ends[1:])


def lines_of(text: bytes) -> Strand:
    """The lines of a text, without their newlines."""
    return Strand(text, *_between(text, _NEWLINE, 0, len(text)))


def weave(strands: Sequence[Strand]) -> bytes:
    """The lines, newline-joined, without a trailing newline: of each strand its piece, one after another. O(bytes).

    Args:
        strands: of as many lines each, at least one of them, or of the same text in all.
    """
    (text,) = weave_in_parts(strands, None)
    return text


def weave_in_parts(strands: Sequence[Strand], size: int | None) -> Iterator[bytes]:
    """As `weave`, in texts that are closed once they hold so many bytes; None for all in one."""
    # Where each text stands among all, one that several strands share once.
    bases, end = dict[int, int](), 0
    for strand in strands:
        if id(strand.text) not in bases:
            bases[id(strand.text)], end = end, end + len(strand.text)
    texts = {id(strand.text): strand.text for strand in strands}
    varying = [strand for strand in strands if len(strand.starts) > 1]
    count = len(varying[0].starts) if varying else 1
    starts, ends = (np.empty((len(varying), count), np.int64) for _ in range(2))
    plan, nth = np.zeros((len(strands), 3), np.int64), 0
    for row, strand in enumerate(strands):
        base = bases[id(strand.text)]
        if len(strand.starts) > 1:
            plan[row] = nth, base, 0
            starts[nth], ends[nth] = strand.starts, strand.ends
            nth += 1
        else:
            first, last = int(strand.starts[0]), int(strand.ends[0])
            plan[row] = -1, base + first, last - first
    text = np.frombuffer(b"".join([*texts.values(), _SLACK]), np.uint8)
    # (lines,) where each line ends, its newline included.
    stops = np.cumsum((ends - starts).sum(axis=0) + (int(plan[:, 2].sum()) + 1))
    line = written = 0
    # One buffer for all: what was just written is still in the processor's cache when it is copied.
    out = np.empty(0, np.uint8)
    while line < count:
        last = count if size is None else min(int(np.searchsorted(stops, written + size)) + 1, count)
        total = int(stops[last - 1]) - written
        if len(out) < total + len(_SLACK):
            out = np.empty(total + len(_SLACK), np.uint8)
        _weave(text, plan, starts, ends, out, line, last)
        yield out[: total - 1].tobytes()
        line, written = last, written + total


def _between(text: bytes, mark: int, first: int, last: int) -> tuple[Int64s, Int64s]:
    """Starts and ends of what stands between the marks."""
    marks = np.flatnonzero(np.frombuffer(text, np.uint8) == mark)
    starts, ends = np.empty(len(marks) + 1, np.int64), np.empty(len(marks) + 1, np.int64)
    starts[0], starts[1:] = first, marks + 1
    ends[:-1], ends[-1] = marks, last
    return starts, ends


def _write_integers_plainly(values: Any, out: Bytes, ends: Any) -> None:
    """`_write_integers` by methods of bytes."""
    texts = [b"%d" % value for value in values.tolist()]
    ends[1:] = np.cumsum([len(text) for text in texts])
    out[: ends[-1]] = np.frombuffer(b"".join(texts), np.uint8)


@patient(lambda *given: given[0].shape[0], plain=_write_integers_plainly)
def _write_integers(values: Any, out: Bytes, ends: Any) -> None:
    """Writes one after another.

    Args:
        values: (n,) int64.
        out: (20 n,) written.
        ends: (n + 1,) zeros; of each the byte after its last is written behind the first.
    """
    place = np.int64(0)
    for at in range(values.shape[0]):
        # The negative of the least has no positive: its digits are those of the unsigned number of the same bits.
        left = np.uint64(values[at])
        if values[at] < 0:
            out[place] = _MINUS
            place += 1
            left = np.uint64(0) - left
        bound, digits = left, 1
        while bound >= _TEN:
            bound //= _TEN
            digits += 1
        place += digits
        for back in range(1, digits + 1):
            rest = left // _TEN
            out[place - back] = _ZERO + np.uint8(left - rest * _TEN)
            left = rest
        ends[at + 1] = place


def _weave_plainly(text: Bytes, plan: Any, starts: Any, ends: Any, out: Bytes, first: int, last: int) -> None:
    """`_weave` by methods of bytes."""
    data, count = text.tobytes(), last - first
    pieces = [
        [data[base : base + size]] * count
        if which < 0
        else [
            data[base + a : base + b]
            for a, b in zip(starts[which, first:last].tolist(), ends[which, first:last].tolist(), strict=True)
        ]
        for which, base, size in plan.tolist()
    ]
    lines = b"\n".join([*map(b"".join, zip(*pieces, strict=True)), b""])
    out[: len(lines)] = np.frombuffer(lines, np.uint8)


@patient(lambda *given: given[1].shape[0] * (given[6] - given[5]), plain=_weave_plainly)
def _weave(text: Bytes, plan: Any, starts: Any, ends: Any, out: Bytes, first: Any, last: Any) -> None:
    """Writes some lines, each with a newline after it.

    Args:
        text: (m,) uint8, with slack behind.
        plan: (strands, 3) of each its row in `starts` and `ends`, what is to be added to them, and no size; or -1,
            its only start and its size.
        starts: (varying strands, lines).
        ends: likewise.
        out: written, with slack behind.
        first: of the lines.
        last: the one after their last.
    """
    place = np.int64(0)
    for line in range(first, last):
        for strand in range(plan.shape[0]):
            which, start, size = plan[strand, 0], plan[strand, 1], plan[strand, 2]
            if which >= 0:
                start += starts[which, line]
                size = ends[which, line] - starts[which, line]
            # Eight bytes at a time: what is written beyond the piece is overwritten by the next.
            done = np.int64(0)
            while done < size:
                store64(out, place + done, load64(text, start + done))
                done += 8
            place += size
        out[place] = _NEWLINE
        place += 1
