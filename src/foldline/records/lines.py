"""Lines to columns by msgspec: the plain way, which judges every line, and the law the scanner must equal."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.records.columns import Columns, Dead, Kind
from foldline.records.compiled import Bytes, Int, kernel
from foldline.records.dictionary import Dictionary
from foldline.records.hashing import hash_spans
from foldline.records.judge import DECODER, MAX_DEPTH, judge, names_one
from foldline.records.types import (
    Activation,
    AnyRecord,
    Decision,
    Definition,
    Observation,
    Outcome,
    Reward,
    Tick,
)

Rows = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]

_KINDS: Final[dict[type, int]] = {
    Decision: int(Kind.DECISION),
    Reward: int(Kind.REWARD),
    Outcome: int(Kind.OUTCOME),
    Activation: int(Kind.ACTIVATION),
    Tick: int(Kind.TICK),
    Definition: int(Kind.DEFINITION),
    Observation: int(Kind.OBSERVATION),
}


def blank(count: int) -> Columns:
    """Columns of `count` dead rows, to be written into."""
    return Columns(
        kind=np.zeros(count, np.int8),
        time=np.zeros(count, np.int64),
        id=np.zeros((count, 2), np.uint64),
        unit=np.zeros((count, 2), np.uint64),
        reward_id=np.zeros((count, 2), np.uint64),
        action=np.full(count, -1, np.int32),
        name=np.full(count, -1, np.int32),
        value=np.full(count, np.nan),
        propensity=np.full(count, np.nan),
    )


def spans_of(data: bytes) -> Spans:
    """(n, 2) int64: start and end of each of the n lines, without their newlines."""
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    spans = np.empty((len(newlines) + 1, 2), np.int64)
    spans[0, 0], spans[1:, 0] = 0, newlines + 1
    spans[:-1, 1], spans[-1, 1] = newlines, len(data)
    return spans


def read_lines(
    data: bytes, rows: Rows, spans: Spans, columns: Columns, actions: Dictionary, names: Dictionary
) -> None:
    """Decodes lines of `data` into the columns; lines that cannot be used become `Dead`.

    Args:
        data: newline-joined lines.
        rows: (k,) rows of the columns, ascending.
        spans: (k, 2) start and end of each row's line in `data`.
        columns: written at `rows`, which must be blank.
        actions: given the actions of these rows.
        names: given the names of these rows.
    """
    lines = None
    if len(rows) < len(columns):
        lines = _cut(data, spans)
        joined, places = b"\n".join(lines), None
    else:
        joined, places = data, spans
    records = _together(joined, spans_of(joined) if places is None else places)
    if records is None:
        records, rows = _apart(lines or _cut(data, spans), rows, columns.dead)
    _write(records, rows, columns, actions, names)


def _cut(data: bytes, spans: Spans) -> list[bytes]:
    return [data[start:end] for start, end in spans.tolist()]


@kernel
def _all_plain(buffer: Bytes, spans: Any, deepest: Int) -> Any:
    """Whether each line stands from `{` to `}` and has at most `deepest` opening brackets."""
    for row in range(len(spans)):
        start, end = spans[row, 0], spans[row, 1]
        if end - start < 2 or buffer[start] != 123 or buffer[end - 1] != 125:
            return False
        opened = 0
        for byte in buffer[start:end]:
            opened += (byte == 123) | (byte == 91)
        if opened > deepest:
            return False
    return True


def _together(data: bytes, spans: Spans) -> list[AnyRecord] | None:
    """The records of all lines, or None where any of them is not plainly good.

    msgspec skips blank lines and lets a value span lines, or one line hold two: hence the look at both ends
    of each line, and at the number of records.
    """
    if not _all_plain(np.frombuffer(data, np.uint8), spans, MAX_DEPTH):
        return None
    try:
        if not data.isascii():
            data.decode()
        records: list[AnyRecord] = DECODER.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    whole = len(records) == len(spans)
    return records if whole and all(names_one(r) for r in records if type(r) is Reward) else None


def _apart(lines: list[bytes], rows: Rows, dead: list[Dead]) -> tuple[list[AnyRecord], Rows]:
    """The records of the good lines and their rows; the others are added to `dead`."""
    records: list[AnyRecord] = []
    good: list[int] = []
    for row, line in zip(rows.tolist(), lines, strict=True):
        found = judge(line)
        if isinstance(found, tuple):
            dead.append(Dead(row, *found))
        else:
            records.append(found)
            good.append(row)
    return records, np.array(good, dtype=np.int64)


Getter = Callable[[Any], list[Any]]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which fields of a type go to which columns.

    A getter is written out for each type and field: Python then reads the slot directly, five times faster
    than by a shared one.
    """

    hashed: tuple[tuple[str, Getter], ...] = ()
    numbers: tuple[tuple[str, Getter], ...] = ()
    action: Getter | None = None
    name: Getter | None = None


_LAYOUTS: Final[dict[type, _Layout]] = {
    Decision: _Layout(
        hashed=(("id", lambda some: [r.id for r in some]), ("unit", lambda some: [r.unit for r in some])),
        numbers=(("propensity", lambda some: [r.propensity for r in some]),),
        action=lambda some: [r.action for r in some],
    ),
    Outcome: _Layout(
        hashed=(("id", lambda some: [r.id for r in some]), ("unit", lambda some: [r.unit for r in some])),
        numbers=(
            ("propensity", lambda some: [r.propensity for r in some]),
            ("value", lambda some: [r.reward for r in some]),
        ),
        action=lambda some: [r.action for r in some],
    ),
    # The hash of nothing is zero, as a column holds it where an id is absent.
    Reward: _Layout(
        hashed=(
            ("reward_id", lambda some: [r.id for r in some]),
            ("id", lambda some: [r.decision or "" for r in some]),
            ("unit", lambda some: [r.unit or "" for r in some]),
        ),
        numbers=(("value", lambda some: [r.value for r in some]),),
        name=lambda some: [r.name for r in some],
    ),
    Observation: _Layout(
        hashed=(("id", lambda some: [r.id for r in some]), ("unit", lambda some: [r.unit for r in some])),
        numbers=(("value", lambda some: [r.value for r in some]),),
        name=lambda some: [r.name for r in some],
    ),
    Activation: _Layout(hashed=(("id", lambda some: [r.decision for r in some]),)),
    Tick: _Layout(),
    Definition: _Layout(),
}


def _write(
    records: list[AnyRecord], rows: Rows, columns: Columns, actions: Dictionary, names: Dictionary
) -> None:
    """Writes records into the columns at `rows`, a type at a time."""
    kinds = bytes([_KINDS[type(record)] for record in records])
    columns.kind[rows] = np.frombuffer(kinds, np.int8)
    columns.time[rows] = np.frombuffer(array("q", [record.time for record in records]), np.int64)
    hashed = _Hashed()
    for kind, code in _KINDS.items():
        if code not in kinds:
            continue
        chosen = np.frombuffer(kinds, np.int8) == code
        some, at = list(compress(records, chosen.tolist())), rows[chosen]
        if kind is Definition:
            columns.markers.update(zip(at.tolist(), some, strict=True))  # type: ignore[arg-type]
        _write_kind(some, at, _LAYOUTS[kind], columns, hashed, actions, names)
    hashed.write()


def _write_kind(
    some: list[AnyRecord], at: Rows, layout: _Layout, columns: Columns, hashed: "_Hashed",
    actions: Dictionary, names: Dictionary,
) -> None:  # fmt: skip
    for column, getter in layout.hashed:
        hashed.add(getter(some), getattr(columns, column), at)
    for column, getter in layout.numbers:
        getattr(columns, column)[at] = np.frombuffer(array("d", getter(some)), np.float64)
    if layout.action is not None:
        actions.add(at, layout.action(some))
    if layout.name is not None:
        names.add(at, layout.name(some))


@dataclass(slots=True)
class _Hashed:
    """Ids to be hashed all at once, and where their hashes go."""

    texts: list[str] = field(default_factory=list)
    targets: list[tuple[npt.NDArray[np.uint64], Rows]] = field(default_factory=list)

    def add(self, texts: list[str], column: npt.NDArray[np.uint64], rows: Rows) -> None:
        self.texts.extend(texts)
        self.targets.append((column, rows))

    def write(self) -> None:
        if not self.texts:
            return
        joined = "".join(self.texts)
        data = joined.encode()
        encoded: list[Any] = self.texts
        if len(data) > len(joined):
            encoded = [text.encode() for text in self.texts]
        sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
        ends = np.cumsum(sizes)
        out = np.empty((len(ends), 2), np.uint64)
        hash_spans(np.frombuffer(data, np.uint8), ends - sizes, ends, out)
        place = 0
        for column, rows in self.targets:
            column[rows] = out[place : place + len(rows)]
            place += len(rows)
