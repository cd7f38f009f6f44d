"""Events of edge clients: what stood in an outbox, taken in once."""

import asyncio
from typing import Any

import msgspec

from foldline.errors import FoldlineError, InputError, RequestError
from foldline.loops.made import Made
from foldline.loops.messages import (
    ActivationEvent,
    DecisionEvent,
    Event,
    EventFault,
    EventsAnswer,
    EventsRequest,
    OutcomeEvent,
    RewardEvent,
)
from foldline.loops.reports import Placed
from foldline.records.codec import encode
from foldline.records.ids import checked_name
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.requests import fault_of, read_body
from foldline.serving.service import Served, Service

_REQUEST = msgspec.json.Decoder(EventsRequest)
_EVENT: Any = msgspec.json.Decoder(Event)


async def take_events(service: Service, call: Call) -> Answer:
    """Append events that have not come before, and the mark of how far the outbox was received, in one commit."""
    served = service.served(call.name)
    service.refuse_if_closing()
    request = read_body(_REQUEST, call.body)
    if len(request.events) > service.settings.max_items:
        raise RequestError(
            "http.too_large",
            f"{len(request.events)} events, at most {service.settings.max_items} are taken at once; send fewer",
            field="events",
            value=len(request.events),
        )
    async with service.outboxes.turn(call.name, request.outbox):
        # Another process may have received what this one has not heard of yet.
        await asyncio.get_running_loop().run_in_executor(None, service.outboxes.read)
        return await _take(service, served, call.name, request)


async def _take(service: Service, served: Served, loop: str, request: EventsRequest) -> Answer:
    expected = service.outboxes.expected(loop, request.outbox)
    if request.first > expected:
        raise RequestError(
            "http.gap",
            f"events from {request.first} on were sent, number {expected} is the next expected of outbox "
            f"{request.outbox!r}; send from there, or begin an outbox of another name",
            field="first",
            value=request.first,
            expected=str(expected),
        )
    repeated = min(expected - request.first, len(request.events))
    now = service.clock()
    records, errors = [], []
    for index, raw in enumerate(request.events[repeated:], start=repeated):
        try:
            placed = _placed(service, served, read_body(_EVENT, raw), now)
            records.append((placed.partition, now, encode(placed.record)))
        except FoldlineError as error:
            errors.append(EventFault(index, fault_of(error)))
    following = max(expected, request.first + len(request.events))
    if following > expected:
        mark = service.outboxes.mark(loop, request.outbox, following, now=now)
        await service.appender.put_all(served.topic, records, [mark]).landed
        service.outboxes.note(loop, request.outbox, following)
    return answer(EventsAnswer(len(records), repeated, following, errors))


def _placed(service: Service, served: Served, event: Event, now: int) -> Placed:
    reports = served.reports
    if isinstance(event, RewardEvent):
        return reports.reward(
            event.decision,
            event.value,
            id=event.reward_id,
            time=now,
            unit=event.unit,
            name=event.name,
            occurred=event.occurred,
        )
    if isinstance(event, ActivationEvent):
        return reports.activation(event.decision, time=now, unit=event.unit)
    if isinstance(event, DecisionEvent):
        return reports.made(_made(event)._replace(trial=_trial(service, served, event)), time=now)
    return reports.outcome(_made(event), event.reward, time=now)


def _trial(service: Service, served: Served, event: DecisionEvent) -> dict[str, Any]:
    """What a decision says of experiments, if there is such a variant on this loop.

    Raises:
        InputError: `input.unknown_experiment`, `input.invalid`.
    """
    if event.experiment is not None:
        one = service.host.experiments.one(event.experiment)
        if one.loop != served.definition.name:
            raise InputError(
                "input.invalid",
                f"experiment {one.name!r} is of loop {one.loop!r}, not of {served.definition.name!r}",
                field="experiment",
                value=one.name,
            )
        one.variant(event.variant or "")
    elif event.variant is not None or event.probability is not None:
        raise InputError(
            "input.invalid",
            f"variant {event.variant!r} of no experiment; give both, or neither",
            field="experiment",
        )
    return {
        "account": None if event.account is None else checked_name(event.account, "account"),
        "reason": None if event.reason is None else event.reason.value,
        "experiment": event.experiment,
        "variant": event.variant,
        "probability": event.probability,
    }


def _made(event: DecisionEvent | OutcomeEvent) -> Made:
    return Made(
        local=event.decision,
        unit=event.unit,
        action=event.action,
        propensity=event.propensity,
        bundle=event.bundle,
        definition=event.definition,
        available=event.available,
        context=event.context,
        occurred=event.occurred,
    )
