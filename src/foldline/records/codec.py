"""Records to newline-joined canonical JSON, and back: as typed records, or as the columns folds read."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import InputError, RecordError
from foldline.kernels import is_ready
from foldline.records import lines
from foldline.records.columns import Columns, Dead
from foldline.records.dictionary import Dictionary
from foldline.records.example_scanner import scan_examples
from foldline.records.examples import Examples
from foldline.records.judge import MAX_DEPTH, judge
from foldline.records.label_scanner import scan_labels
from foldline.records.pieces import Pieces
from foldline.records.scanner import ACTIONS, CRAMPED, LEFT_ROWS, MISTOLD, NAMES, TEXTS, count_lines, scan
from foldline.records.scratch import Scratch, cleared
from foldline.records.types import AnyRecord, Decision, Outcome, Record, Reward

Payload = bytes | Sequence[bytes]

_ENCODE = msgspec.json.Encoder().encode
_GREATEST: Final = sys.float_info.max
_EXAMPLE: Final = b'{"type":"example"'
_LABEL: Final = b'{"type":"label"'
_SCRATCH: Final = Scratch()
_NOTHING_TOLD: Final = np.zeros(0, np.int64)
_SCAN_FROM: Final = 24
"""Bytes of the shortest line the scanner knows."""

_COMPILE_FROM: Final = 32 * 1024
"""Bytes of the first payload worth getting the scanner ready for: compiled anew, that takes seconds."""


def encode(record: Record) -> bytes:
    """One record as a line of canonical JSON, without newline.

    Raises:
        InputError: `input.not_finite` where a number in it is NaN or infinite (JSON has no such numbers);
            `input.invalid` where it holds what JSON cannot (a lone surrogate, an object of another type), or
            nesting deeper than 64.

    Example:
        >>> from foldline.records.types import Tick
        >>> encode(Tick(time=5))
        b'{"type":"tick","time":5}'
    """
    kind = type(record)
    # Written out for the types on the path of a decision; NaN fails every comparison.
    if kind is Decision:
        plain = 0.0 <= record.propensity <= 1.0 and record.context is None  # type: ignore[attr-defined]  # both types have it
        plain = plain and (record.probability is None or 0.0 <= record.probability <= 1.0)  # type: ignore[attr-defined]  # decisions have it
    elif kind is Reward:
        plain = -_GREATEST <= record.value <= _GREATEST  # type: ignore[attr-defined]  # both types have it
    elif kind is Outcome:
        plain = 0.0 <= record.propensity <= 1.0 and record.context is None  # type: ignore[attr-defined]  # outcomes have it
        plain = plain and -_GREATEST <= record.reward <= _GREATEST  # type: ignore[attr-defined]  # outcomes have it
    else:
        plain = False
    if not plain:
        for name in record.__struct_fields__:
            check_json(getattr(record, name), name, 2)
    try:
        return _ENCODE(record)
    except (UnicodeEncodeError, TypeError, OverflowError) as error:
        raise InputError(
            "input.invalid", f"{kind.__name__} record {record!r:.200} cannot be written as JSON: {error}"
        ) from error


def check_json(value: Any, name: str, depth: int) -> None:
    """Refuse numbers JSON does not have, and nesting that `decode` would refuse.

    Args:
        value: what will be written.
        name: of it, for the message.
        depth: at which it stands in its record; a record's fields stand at 2.

    Raises:
        InputError: `input.not_finite`, `input.invalid`.
    """
    if isinstance(value, float | int) and not -_GREATEST <= value <= _GREATEST:
        raise InputError(
            "input.not_finite", f"{name} is {value!r:.80}, expected a finite number; correct it", field=name
        )
    if not isinstance(value, dict | list | tuple):
        return
    if depth > MAX_DEPTH:
        raise InputError("input.invalid", f"{name:.200} is nested deeper than {MAX_DEPTH} levels", field=name)
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        check_json(part, f"{name}.{key}", depth + 1)


def encode_lines(records: Iterable[Record]) -> bytes:
    """Records as newline-joined lines, without a trailing newline; errors as `encode`."""
    return b"\n".join([encode(record) for record in records])


def decode_records(payload: bytes) -> list[AnyRecord]:
    """The typed records of a payload, one a line.

    Raises:
        RecordError: `record.undecodable` or `record.schema` at the first line that cannot be used; it names
            the row. `decode` goes on instead.
    """
    records: list[AnyRecord] = []
    for row, line in enumerate(payload.split(b"\n")):
        found = judge(line)
        if isinstance(found, tuple):
            raise RecordError(found[0], f"row {row}: {found[1]}")
        records.append(found)
    return records


def decode_each(
    payload: Payload, *, counts: Sequence[int] | None = None, latest: Sequence[int] | None = None
) -> list[AnyRecord | None]:
    """The typed record of each line, in order; None for a line that cannot be used, as `decode` finds it dead.

    For what columns leave out, texts above all; about three times the cost of `decode`. Arguments as `decode`.

    Example:
        >>> decode_each(b'{"type":"tick","time":5}\\nnonsense')
        [Tick(time=5), None]
    """
    parts = [payload] if isinstance(payload, bytes) else payload
    if not parts:
        return []
    records = lines.read_records(_joined(parts, counts))
    if latest is not None and counts is not None:
        times = np.array([record.time if record is not None else 0 for record in records], np.int64)
        for row in _ahead(times, counts, latest)[0].tolist():
            records[row] = None
    return records


def decode(
    payload: Payload, *, counts: Sequence[int] | None = None, latest: Sequence[int] | None = None
) -> Columns:
    """A payload as columns: one row a line, in order; never raises for what a line holds.

    A line that cannot be used, also a blank one, becomes a row of kind DEAD with its `Dead`. Costs about half
    of decoding the same bytes with msgspec where the lines are as `encode` writes them, without context.

    Args:
        payload: newline-joined records, or several such payloads, taken one after another.
        counts: records in each of several payloads, where known: a payload that counts one record is one row
            even where it holds newlines.
        latest: where `counts` is given, for each payload the latest time that its records may bear: one beyond it
            is dead (`record.time_ahead`), since it would move the clock of everybody.

    Example:
        >>> columns = decode(b'{"type":"tick","time":5}\\nnonsense')
        >>> columns.kind.tolist(), columns.dead[0].code
        ([5, 0], 'record.undecodable')
    """
    parts = [payload] if isinstance(payload, bytes) else payload
    if not parts:
        return lines.blank(0)
    data = _joined(parts, counts)
    columns = _decoded(data)
    if latest is None or counts is None:
        return columns
    rows, limits = _ahead(columns.time, counts, latest)
    return _without(data, columns, rows, limits) if len(rows) else columns


def _decoded(data: bytes) -> Columns:
    return _scanned_whole(data) if _worth_scanning(len(data)) else decode_plainly(data)


def _ahead(
    times: lines.Rows, counts: Sequence[int] | lines.Rows, latest: Sequence[int] | lines.Rows
) -> tuple[lines.Rows, lines.Rows]:
    """The rows whose times lie beyond the latest of their payloads, and those latest times."""
    of_payloads = np.asarray(latest, np.int64)
    if times.max(initial=0) <= of_payloads.min():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    limits = np.repeat(of_payloads, counts)
    rows = np.flatnonzero(times > limits)
    return rows, limits[rows]


def _without(data: bytes, columns: Columns, rows: lines.Rows, limits: lines.Rows) -> Columns:
    """The columns with some rows dead, as if their lines had never been good; they are rare, so all is read again."""
    times = columns.time[rows].tolist()
    parts = data.split(b"\n")
    for row in rows.tolist():
        parts[row] = b""
    columns = _decoded(b"\n".join(parts))
    errors = {
        row: Dead(
            row,
            "record.time_ahead",
            f"field 'time' is {time}, {time - limit} ms beyond the latest that what was written then may bear "
            f"({limit}); set the clock of who wrote it",
        )
        for row, time, limit in zip(rows.tolist(), times, limits.tolist(), strict=True)
    }
    columns.dead = [errors.get(dead.row, dead) for dead in columns.dead]
    return columns


def decode_lines(
    data: Pieces, counts: npt.NDArray[np.int64], *, latest: npt.NDArray[np.int64]
) -> Columns | None:
    """What `decode` gives for payloads that stand in memory; the cheaper as nothing is joined or counted.

    Args:
        data: records, a line each.
        counts: (n,) records of each payload; right unless `data` is told otherwise than it is.
        latest: (n,) see `decode`.

    Returns:
        None where a piece holds another number of lines than was told.
    """
    columns: Columns | None = None
    if _worth_scanning(data.size):
        columns = _scanned(data, int(counts.sum()))
    elif data.are_as_told():
        columns = decode_plainly(data.joined())
    if columns is None:
        return None
    rows, limits = _ahead(columns.time, counts, latest)
    return _without(data.joined(), columns, rows, limits) if len(rows) else columns


def _worth_scanning(size: int) -> bool:
    """Both ways give the same columns; only the time differs."""
    return size >= (_SCAN_FROM if is_ready(scan) else _COMPILE_FROM)


def _joined(parts: Sequence[bytes], counts: Sequence[int] | None) -> bytes:
    """All as one payload, those of one record as one line: a carriage return is the same to JSON as a newline."""
    data = b"\n".join(parts)
    if counts is None or 1 not in counts:
        return data
    # Looking at all of them at once costs a tenth of looking into each; no newline means nothing to mend.
    if b"\n" not in b"".join([part for part, count in zip(parts, counts, strict=True) if count == 1]):
        return data
    return b"\n".join(
        [
            part.replace(b"\n", b"\r") if count == 1 and b"\n" in part else part
            for part, count in zip(parts, counts, strict=True)
        ]
    )


def decode_plainly(data: bytes) -> Columns:
    """What `decode` gives, by msgspec alone; about twice the cost of msgspec's decoding."""
    starts, ends = lines.spans_of(data)
    columns = lines.blank(len(starts))
    actions, names = Dictionary(), Dictionary()
    lines.read_lines(data, np.arange(len(starts)), starts, ends, columns, actions, names)
    columns.actions, columns.names = actions.write(columns.action), names.write(columns.name)
    return columns


def _scanned_whole(data: bytes) -> Columns:
    buffer = np.frombuffer(data, np.uint8)
    return cast("Columns", _scanned(Pieces.of([buffer]), count_lines(buffer), data))  # nothing was told of it


def _scanned(pieces: Pieces, count: int, data: bytes | None = None) -> Columns | None:
    """Columns by the scanner, and by msgspec where it leaves lines; None where pieces are not as told.

    Args:
        pieces: the lines.
        count: how many.
        data: the pieces joined, where that is at hand.
    """
    kind, time, action = np.empty(count, np.int8), np.empty(count, np.int64), np.empty(count, np.int32)
    hashes, numbers = np.empty((2, count, 2), np.uint64), np.empty((2, count))
    spans, texts = np.empty((2, count, 3), np.int64), np.empty(pieces.size, np.uint8)
    left, counts = np.empty((3, count), np.int64), np.empty(7, np.int64)
    before, values = np.empty((3, 2), np.int64), np.empty(2)
    room = _SCRATCH.room(count)
    tables = _SCRATCH.tables(count)
    told = _NOTHING_TOLD if pieces.told is None else pieces.told
    while (
        ended := scan(
            pieces.addresses, pieces.sizes, told, kind, time, hashes, numbers, action, room, tables, spans, texts, left,
            counts, before, values,
        )
    ) == CRAMPED:  # fmt: skip
        room = _SCRATCH.made(count)
    _SCRATCH.give_back(tables)
    if ended == MISTOLD:
        return None
    found = counts.tolist()
    known = texts[: found[TEXTS]].tobytes()
    if not len(room.name):
        # What reads the lines left writes into every column.
        room = cleared(count) if found[LEFT_ROWS] else _SCRATCH.nothing(count)
    elif not found[NAMES]:
        _SCRATCH.missed()
    columns = Columns(
        kind, time, hashes[0], hashes[1], room.hashes[0], action, room.name, numbers[0], numbers[1],
        room.hashes[1], room.hashes[2], room.probability,
        actions=_texts(known, spans[0, : found[ACTIONS]], ""),
        names=_texts(known, spans[1, : found[NAMES]], "reward"),
    )  # fmt: skip
    if found[LEFT_ROWS]:
        _read_left(pieces.joined() if data is None else data, columns, left[:, : found[LEFT_ROWS]])
    return columns


def _texts(known: bytes, spans: lines.Rows, default: str) -> list[str]:
    return [known[start:end].decode() if end else default for start, end, _ in spans.tolist()]


def _read_left(data: bytes, columns: Columns, left: lines.Rows) -> None:
    """Reads the lines the scanner left: examples and labels into tables, others by msgspec; joins the dictionaries."""
    table = None
    if data.find(_EXAMPLE) >= 0:
        table, left = scan_examples(
            data, np.ascontiguousarray(left), columns.kind, columns.time, columns.id, columns.unit
        )
    columns.examples.table = table
    if left.shape[1] and data.find(_LABEL) >= 0:
        columns.labels.table, left = scan_labels(
            data, np.ascontiguousarray(left), columns.kind, columns.time, columns.id
        )
    if not left.shape[1]:
        return
    actions, names = Dictionary(), Dictionary()
    for words, column, texts in (
        (actions, columns.action, columns.actions),
        (names, columns.name, columns.names),
    ):
        rows = np.flatnonzero(column >= 0)
        words.parts.append((rows, column[rows], texts))
    lines.read_lines(data, left[0], left[1], left[2], columns, actions, names)
    columns.actions, columns.names = actions.write(columns.action), names.write(columns.name)
    if table is not None and columns.examples.objects:
        # One kind for all: those read from the table stand in their places among the others.
        objects = {**columns.examples.by_row(columns.time), **columns.examples.objects}
        columns.examples = Examples(None, dict(sorted(objects.items())))


def dead_lines(payload: Payload, rows: Iterable[int], *, counts: Sequence[int] | None = None) -> list[bytes]:
    """The raw lines of some rows, to be dead-lettered; arguments as `decode`."""
    parts = [payload] if isinstance(payload, bytes) else payload
    split: list[bytes] = []
    for part, count in zip(parts, counts or [0] * len(parts), strict=True):
        split.extend([part] if count == 1 else part.split(b"\n"))
    return [split[row] for row in rows]
