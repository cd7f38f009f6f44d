"""Loops as feature flags, by the OpenFeature Remote Evaluation Protocol (OFREP 0.2): any OpenFeature SDK can decide.

A flag is a loop, its value the action. The value is a boolean where all the loop's actions are `true` and `false`, a
number where all are numbers, else text. Evaluating one flag is a decision, logged as any other; its id stands in the
answer's metadata, for the reward. Evaluating all flags at once, as SDKs in browsers do on start, logs nothing: nobody
knows yet which of them will be shown.
"""

import hashlib
from typing import Any, Final

import msgspec

from foldline.errors import FoldlineError, InputError
from foldline.experiments.reasons import AssignmentError, reason_of
from foldline.loops.definition import LoopDefinition
from foldline.records.codec import encode
from foldline.records.types import Decision
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.fresh_ids import fresh_id
from foldline.serving.service import Served, Service


class FlagRequest(msgspec.Struct, frozen=True):
    """The context to evaluate in; `targetingKey` is the unit, `anonymousKey` its id before it logged in, if any."""

    context: dict[str, Any] = {}


class FlagAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An evaluation, or why there is none: then with `errorCode` and `errorDetails` in the place of a value."""

    key: str | None = None
    value: Any = None
    reason: str | None = None
    variant: str | None = None
    metadata: dict[str, Any] = {}
    error_code: str | None = None
    error_details: str | None = None


class FlagList(msgspec.Struct, frozen=True):
    """Every flag's evaluation, or why there is none."""

    flags: list[FlagAnswer]


class FlagError(Exception):
    """A flag that cannot be evaluated, in the protocol's words; and what was wrong with the unit, if it was that."""

    def __init__(
        self, status: int, code: str, details: str, about_unit: AssignmentError | None = None
    ) -> None:
        super().__init__(details)
        self.status, self.code, self.details, self.about_unit = status, code, details, about_unit


_DECODE: Final = msgspec.json.Decoder(FlagRequest).decode


async def evaluate_flag(service: Service, call: Call) -> Answer:
    """Decide for a unit, log it, and answer the action as the flag's value."""
    try:
        unit, context, anonymous = _target(call.body)
        served = _flag(service, call.name)
        local, now = fresh_id(), service.clock()
        placed = served.reports.decide(
            served.decider(), unit, local, now, context=context, anonymous=anonymous
        )
        made: Any = placed.record
        service.counts.decided(call.name, reason_of(made).value)
        group = service.appender.put(served.topic, placed.partition, now, encode(placed.record))
        evaluated = _evaluated(service, served.definition, placed.record)
    except (FlagError, FoldlineError) as error:
        fault = _fault(error)
        if fault.about_unit is not None and service.host.catalogue.get(call.name) is not None:
            service.counts.refused_unit(call.name, fault.about_unit)
        return answer(
            FlagAnswer(key=call.name, error_code=fault.code, error_details=fault.details), fault.status
        )
    if service.durable(call):
        await group.landed
    return answer(evaluated)


async def evaluate_flags(service: Service, call: Call) -> Answer:
    """Decide in every loop for a unit, and log none; 304 where nothing changed since the tag the caller has."""
    try:
        unit, context, anonymous = _target(call.body)
    except FlagError as error:
        return answer(FlagAnswer(error_code=error.code, error_details=error.details), error.status)
    names = [
        each for each in service.host.catalogue.names() if call.key is None or call.key.loop in (None, each)
    ]
    flags = [_look(service, name, unit, context, anonymous) for name in names]
    body = msgspec.json.encode(FlagList(flags))
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if call.header(b"if-none-match") == tag:
        return Answer(304, b"", ((b"etag", tag.encode()),))
    return Answer(200, body, ((b"etag", tag.encode()),))


def _look(
    service: Service, name: str, unit: str, context: dict[str, Any] | None, anonymous: str | None
) -> FlagAnswer:
    """A flag's value without a decision; the same for a unit until the bundle changes."""
    try:
        served = _flag(service, name)
        decider = served.decider()
        local = f"flag-{hashlib.sha256(f'{decider.bundle.hash} {unit}'.encode()).hexdigest()[:24]}"
        placed = served.reports.choose(decider, unit, local, 0, context=context, anonymous=anonymous)
        looked = _evaluated(service, served.definition, placed.record)
    except (FlagError, FoldlineError) as error:
        fault = _fault(error)
        return FlagAnswer(key=name, error_code=fault.code, error_details=fault.details)
    metadata = {name: value for name, value in looked.metadata.items() if name != "decision"}
    return msgspec.structs.replace(looked, metadata=metadata | {"logged": False})


def _target(body: bytes) -> tuple[str, dict[str, Any] | None, str | None]:
    """Unit, context and anonymous id of a request."""
    try:
        context = dict(_DECODE(body).context)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise FlagError(400, "INVALID_CONTEXT", str(error)) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise FlagError(400, "PARSE_ERROR", f"the body is not JSON: {error}") from error
    unit = context.pop("targetingKey", None)
    if unit is None or unit == "":
        raise FlagError(
            400,
            "TARGETING_KEY_MISSING",
            "context.targetingKey is empty: it names who is decided for",
            AssignmentError.TARGETING_KEY_MISSING,
        )
    if not isinstance(unit, str):
        text = f"context.targetingKey is {unit!r:.80}, expected text"
        raise FlagError(400, "INVALID_CONTEXT", text, AssignmentError.INVALID_CONTEXT)
    anonymous = context.pop("anonymousKey", None)
    if anonymous is not None and not isinstance(anonymous, str):
        raise FlagError(400, "INVALID_CONTEXT", f"context.anonymousKey is {anonymous!r:.80}, expected text")
    return unit, context or None, anonymous


def _flag(service: Service, name: str) -> Served:
    try:
        return service.served(name)
    except InputError as error:
        raise FlagError(404, "FLAG_NOT_FOUND", str(error.args[0])) from error


def _fault(error: FlagError | FoldlineError) -> FlagError:
    if isinstance(error, FlagError):
        return error
    if isinstance(error, InputError):
        about = AssignmentError.INVALID_CONTEXT if error.field == "unit" else None
        return FlagError(400, "INVALID_CONTEXT", str(error.args[0]), about)
    return FlagError(503, "PROVIDER_NOT_READY", str(error.args[0]))


def _evaluated(service: Service, definition: LoopDefinition, record: Any) -> FlagAnswer:
    made: Decision = record
    why = reason_of(made)
    metadata: dict[str, Any] = {
        "decision": made.id,
        "reason": why.value,
        "propensity": made.propensity,
        "bundle": made.bundle,
        "definition": made.definition,
    }
    if made.experiment is not None:
        metadata["experiment"] = made.experiment
    return FlagAnswer(
        key=definition.name,
        value=_value(definition.actions, made.action),
        reason="STALE" if service.is_stale else why.openfeature,
        variant=made.variant or made.action,
        metadata=metadata,
    )


def _value(actions: tuple[str, ...], action: str) -> Any:
    if set(actions) <= {"true", "false"}:
        return action == "true"
    numbers = {each: _number(each) for each in actions}
    return action if None in numbers.values() else numbers[action]


def _number(text: str) -> int | float | None:
    try:
        number = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return number if isinstance(number, int | float) and not isinstance(number, bool) else None
