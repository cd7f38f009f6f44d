"""Judging one line: its record, or why it cannot be used. The law of what is dead."""

from typing import Final

import msgspec

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

MAX_DEPTH: Final = 64
"""Brackets open at once in a line; deeper ones are dead, wherever the interpreter's own limit stands."""

DECODER: Final = msgspec.json.Decoder(AnyRecord)

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TYPES = {
    kind.__name__.lower(): kind
    for kind in (Activation, Decision, Definition, Example, Label, Observation, Outcome, Phase, Reward, Tick)
}


def judge(line: bytes) -> AnyRecord | tuple[str, str]:
    """The record of one line, or the error code and message of why it cannot be used.

    `record.undecodable`: not UTF-8, not a JSON object, of no known type, or nested deeper than `MAX_DEPTH`.
    `record.schema`: a field is missing, of the wrong type or out of range; a reward that does not name exactly
    one of decision and unit.
    """
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return "record.undecodable", f"line {_shown(line)} is not UTF-8: {error.reason} at byte {error.start}"
    if _depth(line) > MAX_DEPTH:
        return (
            "record.undecodable",
            f"line {_shown(line)} is nested deeper than {MAX_DEPTH}, the most expected",
        )
    try:
        record: AnyRecord = DECODER.decode(line)
    except msgspec.ValidationError as error:
        return _explain(line, str(error))
    except msgspec.DecodeError as error:
        return "record.undecodable", f"line {_shown(line)} is not JSON: {error}; expected one JSON object"
    if isinstance(record, Reward) and not names_one(record):
        given = f"decision {record.decision!r:.80} and unit {record.unit!r:.80}"
        return "record.schema", f"a reward record gives {given}, expected exactly one of the two"
    return record


def names_one(reward: Reward) -> bool:
    """Whether the reward names its decision or its unit, and not both."""
    return (reward.decision is None) != (reward.unit is None)


def _depth(line: bytes) -> int:
    """Greatest number of brackets open at once, not counting those in strings; 0 where it cannot be great."""
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
    """A line for a message, cut to a readable length."""
    return repr(_text(line))


def _text(raw: bytes) -> str:
    """Bytes as text of a readable length; those that are none stand as in Python's literals."""
    return (raw if len(raw) <= 80 else raw[:77] + b"...").decode(errors="backslashreplace")


def _explain(line: bytes, reason: str) -> tuple[str, str]:
    """Code and message of a line that msgspec refused as `reason`, with the field and its value."""
    try:
        fields = _FIELDS.decode(line)
    except msgspec.MsgspecError:
        return "record.undecodable", f"line {_shown(line)} is not a JSON object: {reason}"
    tag = _tag(fields)
    if tag not in _TYPES:
        given = _text(bytes(fields["type"])) if "type" in fields else "missing"
        return "record.undecodable", f"field 'type' is {given}, expected one of {', '.join(_TYPES)}"
    expected, _, path = reason.partition(" - at `$")
    field = path.strip(".`")
    if not field:
        return "record.schema", f"a {tag} record {_shown(line)} cannot be used: {expected}"
    value = fields.get(field.partition(".")[0].partition("[")[0])
    given = "missing" if value is None else _text(bytes(value))
    return "record.schema", f"field {field!r} of a {tag} record is {given}: {expected}"


def _tag(fields: dict[str, msgspec.Raw]) -> str | None:
    try:
        return msgspec.json.decode(fields.get("type", b"null"), type=str | None)
    except msgspec.MsgspecError:
        return None
