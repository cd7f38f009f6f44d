"""Lines to columns by msgspec: the plain way, which judges every line, and the law the scanner must equal."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

from foldline.records.columns import Columns, Dead, Kind
from foldline.records.hashing import hash_spans
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

MAX_DEPTH: Final = 64
"""Brackets open at once in a line; deeper ones are dead, wherever the interpreter's own limit stands."""

Rows = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]

DECODER = msgspec.json.Decoder(AnyRecord)
_RAW_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KINDS: Final = {
    Decision: Kind.DECISION,
    Reward: Kind.REWARD,
    Outcome: Kind.OUTCOME,
    Activation: Kind.ACTIVATION,
    Tick: Kind.TICK,
    Definition: Kind.DEFINITION,
    Observation: Kind.OBSERVATION,
}
_KIND_CODES: Final = {kind: int(code) for kind, code in _KINDS.items()}


@dataclass(slots=True)
class Words:
    """The dictionary of one string column, gathered from several parts of a batch.

    Each part is (rows, their indexes into its texts, its texts by first appearance).
    """

    parts: list[tuple[Rows, npt.NDArray[np.int32], list[str]]] = field(default_factory=list)

    def add(self, rows: Rows, texts: Sequence[str]) -> None:
        """A part given by the text of each row."""
        known = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        codes = np.array([known[text] for text in texts], dtype=np.int32)
        self.parts.append((rows, codes, list(known)))

    def write(self, column: npt.NDArray[np.int32]) -> list[str]:
        """Writes every part's indexes into the column; the texts of all, by first appearance."""
        parts = [part for part in self.parts if len(part[0])]
        if len(parts) == 1:
            rows, codes, texts = parts[0]
            column[rows] = codes
            return texts
        first: dict[str, int] = {}
        for rows, codes, texts in parts:
            _, places = np.unique(codes, return_index=True)
            for text, row in zip(texts, rows[places].tolist(), strict=True):
                first[text] = min(row, first.get(text, row))
        merged = {text: index for index, text in enumerate(sorted(first, key=first.__getitem__))}
        for rows, codes, texts in parts:
            column[rows] = np.array([merged[text] for text in texts], dtype=np.int32)[codes]
        return list(merged)


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


def read_lines(data: bytes, rows: Rows, spans: Spans, columns: Columns, actions: Words, names: Words) -> None:
    """Decodes lines of `data` into the columns; lines that cannot be used become `Dead`.

    Args:
        data: newline-joined lines.
        rows: (k,) rows of the columns, ascending.
        spans: (k, 2) start and end of each row's line in `data`.
        columns: written at `rows`, which must be blank.
        actions: given the actions of these rows.
        names: given the names of these rows.
    """
    whole = len(rows) == len(columns)
    records = _decode_together(data if whole else b"\n".join(_cut(data, spans)), len(rows))
    if records is None:
        records, rows = _decode_apart(_cut(data, spans), rows, columns.dead)
    _write(records, rows, columns, actions, names)


def _cut(data: bytes, spans: Spans) -> list[bytes]:
    return [data[start:end] for start, end in spans.tolist()]


@njit(cache=True)
def _plain(buffer: Any, count: int, deepest: int) -> bool:
    """Whether the buffer is `count` lines, each from `{` to `}`, with at most `deepest` opening brackets."""
    lines, opened, before = 1, 0, 10
    for byte in buffer:
        if byte == 10:
            if before != 125:
                return False
            lines += 1
            opened = 0
        elif before == 10 and byte != 123:
            return False
        opened += byte == 123 or byte == 91
        if opened > deepest:
            return False
        before = byte
    return before == 125 and lines == count


def _decode_together(data: bytes, count: int) -> list[AnyRecord] | None:
    """The records of all lines, or None where any of them is not plainly good.

    msgspec skips blank lines and lets a value span lines, or one line hold two: hence the look at both ends
    of each line, and at the number of records.
    """
    if not _plain(np.frombuffer(data, np.uint8), count, MAX_DEPTH):
        return None
    try:
        if not data.isascii():
            data.decode()
        records: list[AnyRecord] = DECODER.decode_lines(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if len(records) != count:
        return None
    for record in records:
        if type(record) is Reward and (record.decision is None) == (record.unit is None):
            return None
    return records


def _decode_apart(
    lines: list[bytes], rows: Rows, dead: list[Dead]
) -> tuple[list[AnyRecord], Rows]:  # fmt: skip
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


def judge(line: bytes) -> AnyRecord | tuple[str, str]:
    """The record of one line, or the code and message of why it cannot be used."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return "record.undecodable", f"line {_shown(line)} is not UTF-8: {error.reason} at byte {error.start}"
    if _depth(line) > MAX_DEPTH:
        return "record.undecodable", f"line {_shown(line)} is nested deeper than {MAX_DEPTH}"
    try:
        record: AnyRecord = DECODER.decode(line)
    except msgspec.ValidationError as error:
        return _explain(line, str(error))
    except msgspec.DecodeError as error:
        return "record.undecodable", f"line {_shown(line)} is not a JSON object: {error}"
    if isinstance(record, Reward) and (record.decision is None) == (record.unit is None):
        given = "neither" if record.unit is None else f"decision {record.decision!r} and unit {record.unit!r}"
        return "record.schema", f"a reward names its decision or its unit, exactly one; given {given}"
    return record


def _depth(line: bytes) -> int:
    """Greatest number of brackets open at once, not counting those in strings."""
    if line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    quoted = escaped = False
    for byte in line:
        if quoted:
            quoted = escaped or byte != ord('"')
            escaped = not escaped and byte == ord("\\")
        elif byte == ord('"'):
            quoted = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _shown(line: bytes) -> str:
    return repr(line if len(line) <= 80 else line[:77] + b"...")


def _explain(line: bytes, reason: str) -> tuple[str, str]:
    """Code and message of a line that is JSON but not a record, with the value at fault."""
    expected, _, path = reason.partition(" - at `$.")
    name = path.rstrip("`")
    try:
        fields = _RAW_FIELDS.decode(line)
    except msgspec.MsgspecError:
        return "record.undecodable", f"line {_shown(line)} is not a JSON object of a record: {reason}"
    known = msgspec.convert(_type_of(fields), str, strict=False)
    if "type" not in fields or known not in _TAGS:
        given = bytes(fields["type"])[:80].decode(errors="replace") if "type" in fields else "nothing"
        return "record.undecodable", f"field 'type' is {given}, expected one of {', '.join(sorted(_TAGS))}"
    if not path:
        return "record.schema", f"{known} record: {expected}; given {_shown(line)}"
    value = fields.get(name.partition(".")[0].partition("[")[0], msgspec.Raw(b"nothing"))
    shown = _shown(bytes(value))[1:]
    return "record.schema", f"field {name!r} of a {known} record is {shown}: {expected[0].lower()}{expected[1:]}"


_TAGS: Final = {kind.__name__.lower() for kind in _KINDS}


def _type_of(fields: dict[str, msgspec.Raw]) -> str:
    try:
        return msgspec.json.decode(fields.get("type", b'""'), type=str)
    except msgspec.MsgspecError:
        return ""


def _write(
    records: list[AnyRecord], rows: Rows, columns: Columns, actions: Words, names: Words
) -> None:
    """Writes records into the columns at `rows`, a type at a time."""
    if not records:
        return
    columns.kind[rows] = np.array([_KIND_CODES[type(record)] for record in records], dtype=np.int8)
    columns.time[rows] = np.frombuffer(array("q", [record.time for record in records]), np.int64)
    hashed = _Hashed()
    for kind in np.unique(columns.kind[rows]).tolist():
        chosen = np.flatnonzero(columns.kind[rows] == kind)
        at = rows if len(chosen) == len(rows) else rows[chosen]
        some: Any = records if at is rows else [records[place] for place in chosen.tolist()]
        _WRITERS[kind](some, at, columns, hashed, actions, names)
    hashed.write()


@dataclass(slots=True)
class _Hashed:
    """Ids to be hashed all at once, and where their hashes go."""

    texts: list[str] = field(default_factory=list)
    targets: list[tuple[npt.NDArray[np.uint64], Rows]] = field(default_factory=list)

    def add(self, texts: Iterable[str], column: npt.NDArray[np.uint64], rows: Rows) -> None:
        self.texts.extend(texts)
        self.targets.append((column, rows))

    def write(self) -> None:
        if not self.texts:
            return
        joined = "".join(self.texts)
        data = joined.encode()
        plain = len(data) == len(joined)
        sizes = list(map(len, self.texts if plain else [text.encode() for text in self.texts]))
        ends = np.cumsum(np.frombuffer(array("q", sizes), np.int64))
        starts = ends - np.frombuffer(array("q", sizes), np.int64)
        out = np.empty((len(ends), 2), np.uint64)
        hash_spans(np.frombuffer(data, np.uint8), starts, ends, out)
        place = 0
        for column, rows in self.targets:
            column[rows] = out[place : place + len(rows)]
            place += len(rows)


def _floats(values: list[float]) -> npt.NDArray[np.float64]:
    return np.frombuffer(array("d", values), np.float64)


def _write_decisions(
    some: list[Decision], at: Rows, columns: Columns, hashed: _Hashed, actions: Words, _names: Words
) -> None:
    hashed.add([record.id for record in some], columns.id, at)
    hashed.add([record.unit for record in some], columns.unit, at)
    actions.add(at, [record.action for record in some])
    columns.propensity[at] = _floats([record.propensity for record in some])


def _write_outcomes(
    some: list[Outcome], at: Rows, columns: Columns, hashed: _Hashed, actions: Words, _names: Words
) -> None:
    hashed.add([record.id for record in some], columns.id, at)
    hashed.add([record.unit for record in some], columns.unit, at)
    actions.add(at, [record.action for record in some])
    columns.propensity[at] = _floats([record.propensity for record in some])
    columns.value[at] = _floats([record.reward for record in some])


def _write_rewards(
    some: list[Reward], at: Rows, columns: Columns, hashed: _Hashed, _actions: Words, names: Words
) -> None:
    hashed.add([record.id for record in some], columns.reward_id, at)
    # The hash of nothing is zero, as the column wants where an id is absent.
    hashed.add([record.decision or "" for record in some], columns.id, at)
    hashed.add([record.unit or "" for record in some], columns.unit, at)
    names.add(at, [record.name for record in some])
    columns.value[at] = _floats([record.value for record in some])


def _write_observations(
    some: list[Observation], at: Rows, columns: Columns, hashed: _Hashed, _actions: Words, names: Words
) -> None:
    hashed.add([record.id for record in some], columns.id, at)
    hashed.add([record.unit for record in some], columns.unit, at)
    names.add(at, [record.name for record in some])
    columns.value[at] = _floats([record.value for record in some])


def _write_activations(
    some: list[Activation], at: Rows, columns: Columns, hashed: _Hashed, _actions: Words, _names: Words
) -> None:
    hashed.add([record.decision for record in some], columns.id, at)


def _write_markers(
    some: list[Definition], at: Rows, columns: Columns, _hashed: _Hashed, _actions: Words, _names: Words
) -> None:
    columns.markers.update(zip(at.tolist(), some, strict=True))


def _write_ticks(
    some: list[Tick], at: Rows, columns: Columns, _hashed: _Hashed, _actions: Words, _names: Words
) -> None:
    """A tick is its time, which is written already."""


_WRITERS: Final[dict[int, Any]] = {
    Kind.DECISION: _write_decisions,
    Kind.REWARD: _write_rewards,
    Kind.OUTCOME: _write_outcomes,
    Kind.ACTIVATION: _write_activations,
    Kind.TICK: _write_ticks,
    Kind.DEFINITION: _write_markers,
    Kind.OBSERVATION: _write_observations,
}
