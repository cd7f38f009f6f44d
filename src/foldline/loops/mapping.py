"""From a message of another program to a record of a loop, by a mapping that is data (`mapping_settings`)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from foldline.errors import DefinitionError, InputError
from foldline.experiments.conditions import matches
from foldline.loops.made import EXTERNAL, Made
from foldline.loops.mapping_settings import REQUIRED, Constant, Form, MappingSettings, check_mapping
from foldline.loops.reports import Placed, Reports
from foldline.records.types import Activation, AnyRecord, Decision, Observation, Outcome, Reward

TEXTS: Final = frozenset({"unit", "decision", "name", "action", "reward_id", "observation_id", "bundle"})
"""Fields that are text; a number there is taken for one, since keys of other systems often are numbers."""


class Message(NamedTuple):
    """One record of a source topic.

    Attributes:
        value: its bytes.
        key: its key.
        headers: names and values.
        time: its timestamp, milliseconds.
        id: of its place: topic, partition, offset, index.
    """

    value: bytes
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    time: int
    id: str


LATEST: Final = 1 << 53
"""The greatest time a record can claim, milliseconds."""

Decode = Callable[[bytes], Any]
"""From a message's bytes to its JSON value."""

_Source = Callable[[Mapping[str, Any], Message], Any]


class RecordMapping:
    """A mapping, compiled. O(fields) a message.

    Args:
        settings: the mapping.
        decode: reads a message's bytes; JSON by default.

    Raises:
        DefinitionError: `definition.incoherent`: a field the form does not have, one missing, a bad condition.

    Example:
        >>> from foldline.loops.definition import LoopDefinition
        >>> fields = {"unit": "who.id", "value": "total"}
        >>> mapping = RecordMapping(MappingSettings(topic="orders", loop="news", type="reward", fields=fields))
        >>> loop = LoopDefinition(name="news", version=1, time=0, actions=("a",), policy={"kind": "random"}, salt="")
        >>> message = Message(b'{"who":{"id":17},"total":0.5}', None, (), 900, "orders/0/8.0")
        >>> mapping.place(message, Reports(loop), now=1000).record
        Reward(time=1000, id='orders/0/8.0', decision=None, unit='17', name='reward', value=0.5, occurred=900)
    """

    def __init__(self, settings: MappingSettings, decode: Decode = msgspec.json.decode) -> None:
        check_mapping(settings)
        self.settings = settings
        self._decode = decode
        self._where = settings.where
        self._sources: list[tuple[str, bool, _Source]] = [
            (name, name in TEXTS, _source(source)) for name, source in settings.fields.items()
        ]
        self._make = _MAKERS[settings.type]

    def place(self, message: Message, reports: Reports, *, now: int) -> Placed | None:
        """The record of a message and its partition; None where the condition passes it over.

        Args:
            message: of the source.
            reports: of the loop, as it is defined now.
            now: the record's time, milliseconds. The message's is what it claims, `occurred`.

        Raises:
            InputError: the message is no JSON object, lacks a field, or the loop cannot take the record.
        """
        try:
            value = self._decode(message.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InputError("input.unreadable", f"the message is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise InputError("input.invalid", f"the message is {value!r:.80}, expected a JSON object")
        if self._where is not None and not matches(self._where, value):
            return None
        if self._make is None:
            return _replace(value, message, reports, now)
        given: dict[str, Any] = {"occurred": _claimed(message)}
        for name, is_text, source in self._sources:
            found = source(value, message)
            if found is None:
                continue
            is_number = is_text and isinstance(found, int) and not isinstance(found, bool)
            given[name] = str(found) if is_number else found
        return self._make(given, message, reports, now)


def _source(source: str | Constant) -> _Source:
    if isinstance(source, Constant):
        constant = source.constant
        return lambda _, __: constant
    if source == "@key":
        return lambda _, message: None if message.key is None else _text(message.key, source)
    if source == "@time":
        return lambda _, message: message.time
    if source.startswith("@header."):
        wanted = source.removeprefix("@header.")
        return lambda _, message: next(
            (_text(data, source) for name, data in message.headers if name == wanted), None
        )
    if source.startswith("@"):
        raise DefinitionError(
            "definition.incoherent",
            f"source {source!r}: expected a path, @key, @time or @header.NAME",
            field="fields",
            value=source,
        )
    if "." not in source:
        return lambda value, _: value.get(source)
    steps = source.split(".")

    def at_path(value: Any, _: Message) -> Any:
        for step in steps:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    return at_path


def _text(data: bytes, source: str) -> str:
    """Never with characters replaced: two units would become one."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            "input.invalid",
            f"{source} of the message is {data[:40]!r}, which is no UTF-8 text; take the field from its value",
            field="fields",
        ) from error


def _claimed(message: Message) -> int | None:
    """When the message says it was written; None where it has no time, or one that no record can claim."""
    return message.time if 0 < message.time <= LATEST else None


class _Given(msgspec.Struct, kw_only=True):
    """What fields may be, whatever the form; each form says which it needs."""

    unit: str | None = None
    decision: str | None = None
    name: str | None = None
    value: float | None = None
    reward_id: str | None = None
    observation_id: str | None = None
    action: str | None = None
    propensity: float | None = None
    reward: float | None = None
    bundle: str | None = None
    definition: int | None = None
    available: list[str] | None = None
    context: dict[str, Any] | None = None
    occurred: int | datetime | None = None


def _typed(given: dict[str, Any], form: Form) -> Any:
    for name in REQUIRED[form]:
        if given.get(name) is None:
            raise InputError("input.invalid", f"the message has no {name}, which a {form} needs", field=name)
    try:
        # Numbers that other systems wrote as texts are numbers.
        typed = msgspec.convert(given, _Given, strict=False)
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"the message as a {form}: {error}") from error
    if isinstance(typed.occurred, datetime):
        at = typed.occurred if typed.occurred.tzinfo is not None else typed.occurred.replace(tzinfo=UTC)
        typed.occurred = round(at.timestamp() * 1000)
    if typed.occurred is not None and not 0 <= typed.occurred <= LATEST:
        raise InputError(
            "input.invalid",
            f"occurred is {typed.occurred!r:.80}, expected milliseconds since 1970, or ISO 8601",
            field="occurred",
            value=typed.occurred,
        )
    return typed


def _reward(given: dict[str, Any], message: Message, reports: Reports, now: int) -> Placed:
    typed = _typed(given, "reward")
    return reports.reward(
        typed.decision,
        typed.value,
        id=typed.reward_id or message.id,
        time=now,
        unit=typed.unit,
        name=typed.name,
        occurred=typed.occurred,
    )


def _made(typed: Any, message: Message) -> Made:
    return Made(
        typed.decision or message.id,
        typed.unit,
        typed.action,
        typed.propensity,
        typed.bundle or EXTERNAL,
        typed.definition,
        typed.available,
        typed.context,
        typed.occurred,
    )


def _outcome(given: dict[str, Any], message: Message, reports: Reports, now: int) -> Placed:
    typed = _typed(given, "outcome")
    return reports.outcome(_made(typed, message), typed.reward, time=now)


def _decision(given: dict[str, Any], message: Message, reports: Reports, now: int) -> Placed:
    return reports.made(_made(_typed(given, "decision"), message), time=now)


def _activation(given: dict[str, Any], _: Message, reports: Reports, now: int) -> Placed:
    typed = _typed(given, "activation")
    return reports.activation(typed.decision, time=now, unit=typed.unit)


def _observation(given: dict[str, Any], message: Message, reports: Reports, now: int) -> Placed:
    typed = _typed(given, "observation")
    return reports.observation(
        typed.unit,
        typed.name,
        typed.value,
        id=typed.observation_id or message.id,
        time=now,
        occurred=typed.occurred,
    )


_Maker = Callable[[dict[str, Any], Message, Reports, int], Placed]

_MAKERS: Final[dict[Form, _Maker | None]] = {
    "record": None,
    "reward": _reward,
    "outcome": _outcome,
    "decision": _decision,
    "activation": _activation,
    "observation": _observation,
}


def _replace(value: dict[str, Any], message: Message, reports: Reports, now: int) -> Placed:
    """A record in Foldline's own form, checked and placed as one reported over HTTP; its time is what it claims."""
    claimed = _claimed(message)
    says_when = "time" in value or claimed is not None
    value.setdefault("time", now if claimed is None else claimed)
    if value.get("type") != "activation":
        value.setdefault("id", message.id)
    for name, filled in (("bundle", EXTERNAL), ("definition", reports.definition.version)):
        if value.get("type") in ("decision", "outcome"):
            value.setdefault(name, filled)
    try:
        record: Any = msgspec.convert(value, AnyRecord)
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"the message as a record: {error}") from error
    occurred = getattr(record, "occurred", None)
    occurred = record.time if occurred is None and says_when else occurred
    match record:
        case Reward():
            return reports.reward(
                record.decision,
                record.value,
                id=record.id,
                time=now,
                unit=record.unit,
                name=record.name,
                occurred=occurred,
            )
        case Decision() | Outcome():
            made = Made(
                reports.local_id(record.id, record.unit),
                record.unit,
                record.action,
                record.propensity,
                record.bundle,
                record.definition,
                record.available,
                record.context,
                occurred,
            )
            if isinstance(record, Outcome):
                return reports.outcome(made, record.reward, time=now)
            placed = reports.made(made, time=now)
            tried = {
                name: getattr(record, name)
                for name in ("account", "reason", "experiment", "variant", "probability")
            }
            return placed._replace(record=msgspec.structs.replace(placed.record, **tried))
        case Activation():
            return reports.activation(record.decision, time=now)
        case Observation():
            return reports.observation(
                record.unit, record.name, record.value, id=record.id, time=now, occurred=occurred
            )
        case _:
            raise InputError(
                "input.invalid",
                f"a record of type {value.get('type')!r} is not taken from other topics: only the log's own programs "
                "write it",
                field="type",
                value=value.get("type"),
            )
