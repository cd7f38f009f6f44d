"""Lines to columns by msgspec: the plain way, which judges every line, and the law the scanner must equal."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, Int, patient
from foldline.records.columns import Columns, Dead, Kind
from foldline.records.dictionary import Dictionary
from foldline.records.hashing import hash_spans
from foldline.records.judge import DECODER, MAX_DEPTH, judge, names_one
from foldline.records.types import (
    Activation,
    AnyRecord,
    Decision,
    Definition,
    Example,
    Label,
    Observation,
    Outcome,
    Phase,
    Reward,
    Tick,
)

Rows = npt.NDArray[np.int64]

_KINDS: Final[dict[type, int]] = {
    Decision: int(Kind.DECISION),
    Reward: int(Kind.REWARD),
    Outcome: int(Kind.OUTCOME),
    Activation: int(Kind.ACTIVATION),
    Tick: int(Kind.TICK),
    Definition: int(Kind.DEFINITION),
    Observation: int(Kind.OBSERVATION),
    Phase: int(Kind.PHASE),
    Example: int(Kind.EXAMPLE),
    Label: int(Kind.LABEL),
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
        experiment=np.zeros((count, 2), np.uint64),
        variant=np.zeros((count, 2), np.uint64),
        probability=np.full(count, np.nan),
    )


def spans_of(data: bytes) -> tuple[Rows, Rows]:
    """(n,) int64 each: start and end of each of the n lines, without their newlines."""
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    starts, ends = np.empty(len(newlines) + 1, np.int64), np.empty(len(newlines) + 1, np.int64)
    starts[0], starts[1:] = 0, newlines + 1
    ends[:-1], ends[-1] = newlines, len(data)
    return starts, ends


def read_lines(
    data: bytes,
    rows: Rows,
    starts: Rows,
    ends: Rows,
    columns: Columns,
    actions: Dictionary,
    names: Dictionary,
) -> None:
    """Decodes lines of `data` into the columns; lines that cannot be used become `Dead`.

    Args:
        data: newline-joined lines.
        rows: (k,) rows of the columns, ascending.
        starts: (k,) first byte of each row's line in `data`.
        ends: (k,) the byte after each row's line.
        columns: written at `rows`, which must be blank.
        actions: given the actions of these rows.
        names: given the names of these rows.
    """
    groups = None
    if _all_plain(np.frombuffer(data, np.uint8), starts, ends, MAX_DEPTH):
        whole = len(rows) == len(columns)
        groups = _together(data if whole else b"\n".join(_cut(data, starts, ends)), len(rows))
    if groups is None:
        records, rows = _apart(_cut(data, starts, ends), rows, columns.dead)
        groups = _grouped(records)
    _write(groups, rows, columns, actions, names)


def read_records(data: bytes) -> list[AnyRecord | None]:
    """The record of each line of `data`, None where the line cannot be used: judged as `read_lines` does."""
    starts, ends = spans_of(data)
    if _all_plain(np.frombuffer(data, np.uint8), starts, ends, MAX_DEPTH):
        records = _decoded(data, len(starts))
        if records is not None and all(map(names_one, (r for r in records if type(r) is Reward))):
            return list(records)
    judged = [judge(line) for line in _cut(data, starts, ends)]
    return [None if isinstance(found, tuple) else found for found in judged]


def _cut(data: bytes, starts: Rows, ends: Rows) -> list[bytes]:
    return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _all_plain_lines(buffer: Bytes, starts: Any, ends: Any, deepest: Int) -> Any:
    """`_all_plain` by methods of bytes."""
    for line in _cut(buffer.tobytes(), starts, ends):
        if (
            line[:1] != b"{"
            or line[-1:] != b"}"
            or len(line) < 2
            or line.count(b"{") + line.count(b"[") > deepest
        ):
            return False
    return True


@patient(lambda *given: len(given[1]), plain=_all_plain_lines)
def _all_plain(buffer: Bytes, starts: Any, ends: Any, deepest: Int) -> Any:
    """Whether each line stands from `{` to `}` and has at most `deepest` opening brackets."""
    for row in range(len(starts)):
        start, end = starts[row], ends[row]
        if end - start < 2 or buffer[start] != 123 or buffer[end - 1] != 125:
            return False
        opened = 0
        for byte in buffer[start:end]:
            opened += (byte == 123) | (byte == 91)
        if opened > deepest:
            return False
    return True


@dataclass(frozen=True, slots=True)
class _Groups:
    """Records by type: those of each type, and which of all they are."""

    kinds: bytes
    times: list[int]
    of: dict[type, tuple[list[Any], npt.NDArray[np.bool_]]]


def _grouped(records: list[AnyRecord]) -> _Groups:
    kinds = bytes(map(_KINDS.__getitem__, map(type, records)))
    groups = {}
    for kind, code in _KINDS.items():
        if code in kinds:
            chosen = np.frombuffer(kinds, np.int8) == code
            groups[kind] = list(compress(records, chosen.tobytes())), chosen
    return _Groups(kinds, [record.time for record in records], groups)


def _together(data: bytes, count: int) -> _Groups | None:
    """The records of `count` plain lines, or None where any of them is not good."""
    records = _decoded(data, count)
    if records is None:
        return None
    groups = _grouped(records)
    return groups if Reward not in groups.of or _all_name_one(groups.of[Reward][0]) else None


def _decoded(data: bytes, count: int) -> list[AnyRecord] | None:
    """The records of `count` plain lines, rewards not looked into, or None where any of them is not good.

    msgspec skips blank lines, lets a value span lines, and one line hold two values: hence the look at both
    ends of each line before, and at the number of records here.
    """
    try:
        if not data.isascii():
            data.decode()
        records: list[AnyRecord] = DECODER.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return records if len(records) == count else None


def _all_name_one(rewards: list[Reward]) -> bool:
    """Whether every reward names its decision or its unit, and not both; quick where all do the same."""
    without = [r.decision for r in rewards].count(None), [r.unit for r in rewards].count(None)
    return set(without) == {0, len(rewards)} or all(map(names_one, rewards))


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


_NAN: Final = float("nan")

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
        hashed=(
            ("id", lambda some: [r.id for r in some]),
            ("unit", lambda some: [r.unit for r in some]),
            ("experiment", lambda some: [r.experiment for r in some]),
            ("variant", lambda some: [r.variant for r in some]),
        ),
        numbers=(
            ("propensity", lambda some: [r.propensity for r in some]),
            ("probability", lambda some: [_NAN if r.probability is None else r.probability for r in some]),
        ),
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
    Reward: _Layout(
        hashed=(
            ("reward_id", lambda some: [r.id for r in some]),
            ("id", lambda some: [r.decision for r in some]),
            ("unit", lambda some: [r.unit for r in some]),
        ),
        numbers=(("value", lambda some: [r.value for r in some]),),
        name=lambda some: [r.name for r in some],
    ),
    Observation: _Layout(
        hashed=(("id", lambda some: [r.id for r in some]), ("unit", lambda some: [r.unit for r in some])),
        numbers=(("value", lambda some: [r.value for r in some]),),
        name=lambda some: [r.name for r in some],
    ),
    Example: _Layout(
        hashed=(("id", lambda some: [r.id for r in some]), ("unit", lambda some: [r.unit for r in some]))
    ),
    Label: _Layout(hashed=(("id", lambda some: [r.example for r in some]),)),
    Activation: _Layout(hashed=(("id", lambda some: [r.decision for r in some]),)),
    Tick: _Layout(),
    Definition: _Layout(),
    Phase: _Layout(),
}


def _write(groups: _Groups, rows: Rows, columns: Columns, actions: Dictionary, names: Dictionary) -> None:
    """Writes records into the columns at `rows`, a type at a time."""
    columns.kind[rows] = np.frombuffer(groups.kinds, np.int8)
    columns.time[rows] = np.frombuffer(array("q", groups.times), np.int64)
    hashed = _Hashed()
    for kind, (some, chosen) in groups.of.items():
        at = rows[chosen]
        if kind is Definition:
            columns.markers.update(zip(at.tolist(), some, strict=True))
        elif kind is Phase:
            columns.phases.update(zip(at.tolist(), some, strict=True))
        elif kind is Example:
            columns.examples.objects.update(zip(at.tolist(), some, strict=True))
        elif kind is Label:
            columns.labels.objects.update(zip(at.tolist(), some, strict=True))
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

    def add(self, texts: list[str | None], column: npt.NDArray[np.uint64], rows: Rows) -> None:
        absent = texts.count(None)
        if absent == len(texts):
            return
        # The hash of nothing is zero, as a column holds it where an id is absent.
        self.texts.extend([text or "" for text in texts] if absent else texts)  # type: ignore[arg-type]  # None only where absent
        self.targets.append((column, rows))

    def write(self) -> None:
        if not self.texts:
            return
        data = "\n".join(self.texts).encode()
        starts, ends = spans_of(data)
        if len(starts) != len(self.texts):
            starts, ends = _spans_with_newlines(self.texts)
        out = np.empty((len(starts), 2), np.uint64)
        hash_spans(np.frombuffer(data, np.uint8), starts, ends, out)
        place = 0
        for column, rows in self.targets:
            column[rows] = out[place : place + len(rows)]
            place += len(rows)


def _spans_with_newlines(texts: list[str]) -> tuple[Rows, Rows]:
    """Start and end of each text among all, joined by newlines, where texts hold newlines themselves."""
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.int64)
    ends = np.cumsum(sizes + 1) - 1
    return ends - sizes, ends
