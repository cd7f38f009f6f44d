"""Requests that put records on the log: one, or an array of them."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec

from foldline.errors import FoldError, FoldlineError, RequestError
from foldline.experiments.reasons import reason_of
from foldline.loops.followed import followed
from foldline.loops.made import EXTERNAL, Made
from foldline.loops.messages import (
    ActivationAnswer,
    ActivationRequest,
    DecisionAnswer,
    DecisionRequest,
    ExampleAnswer,
    ExampleRequest,
    FaultAnswer,
    LabelAnswer,
    LabelRequest,
    ObservationAnswer,
    ObservationRequest,
    OutcomeAnswer,
    OutcomeRequest,
    RewardAnswer,
    RewardRequest,
)
from foldline.loops.reports import Placed
from foldline.records.codec import encode
from foldline.serving.appender import Group
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.fresh_ids import fresh_id
from foldline.serving.requests import fault_of, read_body
from foldline.serving.service import Served, Service

Request = TypeVar("Request")
Place = Callable[[Served, Request, int], tuple[Placed, Any]]

_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_DECISION = msgspec.json.Decoder(DecisionRequest)
_REWARD = msgspec.json.Decoder(RewardRequest)
_ACTIVATION = msgspec.json.Decoder(ActivationRequest)
_OBSERVATION = msgspec.json.Decoder(ObservationRequest)
_EXAMPLE = msgspec.json.Decoder(ExampleRequest)
_LABEL = msgspec.json.Decoder(LabelRequest)
_OUTCOME = msgspec.json.Decoder(OutcomeRequest)


class Accepted(NamedTuple):
    """What a request came to.

    Attributes:
        reply: its answer.
        group: what must be on the log before it is given; None where it may be given at once.
    """

    reply: Answer
    group: Group | None


Accept = Callable[[Service, Call], Accepted]


def accept_decision(service: Service, call: Call) -> Accepted:
    """Choose an action for a unit, or for each of several."""
    return _accept(service, call, _DECISION, _decided)


def accept_reward(service: Service, call: Call) -> Accepted:
    """Take in how decisions went."""
    return _accept(service, call, _REWARD, _rewarded)


def accept_activation(service: Service, call: Call) -> Accepted:
    """Take in which decisions were shown."""
    return _accept(service, call, _ACTIVATION, _activated)


def accept_outcome(service: Service, call: Call) -> Accepted:
    """Take in decisions made elsewhere together with their rewards."""
    return _accept(service, call, _OUTCOME, _outcome)


def accept_label(service: Service, call: Call) -> Accepted:
    """Take in what examples turned out to be."""
    return _accept(service, call, _LABEL, _labelled)


def accept_observation(service: Service, call: Call) -> Accepted:
    """Take in values of units that no decision led to."""
    return _accept(service, call, _OBSERVATION, _observed)


async def answer_example(service: Service, call: Call) -> Answer:
    """Predict examples, and take them in for the models to learn; the first one waits until the models are there."""
    await service.models_of(service.served(call.name))
    reply, group = _accept(service, call, _EXAMPLE, _predicted)
    if group is not None:
        await group.landed
    return reply


def answering(accept: Accept) -> Callable[[Service, Call], Awaitable[Answer]]:
    """The handler that accepts a request and awaits its group."""

    async def handler(service: Service, call: Call) -> Answer:
        reply, group = accept(service, call)
        if group is not None:
            await group.landed
        return reply

    return handler


def _accept(
    service: Service, call: Call, decoder: "msgspec.json.Decoder[Request]", place: Place[Request]
) -> Accepted:
    served = service.served(call.name)
    durable = service.durable(call)
    service.refuse_if_closing()
    body = call.body
    group: Group | None
    if body[:1] == b"[" or body.lstrip()[:1] == b"[":
        group, reply = _many(service, served, body, decoder, place)
    else:
        now = service.clock()
        try:
            (partition, record), reply = place(served, read_body(decoder, body), now)
        except FoldlineError as error:
            served.counts.refused(call.name, error)
            raise
        group = service.appender.put(served.topic, partition, now, encode(record))
    return Accepted(answer(reply), group if durable else None)


def _many(
    service: Service,
    served: Served,
    body: bytes,
    decoder: "msgspec.json.Decoder[Request]",
    place: Place[Request],
) -> tuple[Group | None, list[Any]]:
    """Each item for itself: one that cannot be used is answered with what is wrong, the others stand."""
    items = read_body(_RAWS, body)
    if len(items) > service.settings.max_items:
        raise RequestError(
            "http.too_large",
            f"an array of {len(items)} items, at most {service.settings.max_items} are taken at once; send it in parts",
            value=len(items),
            expected=f"at most {service.settings.max_items} items",
        )
    now = service.clock()
    records, replies = [], []
    for item in items:
        try:
            placed, reply = place(served, read_body(decoder, item), now)
            records.append((placed.partition, now, encode(placed.record)))
        except FoldlineError as error:
            if error.code == "fold.no_bundle":
                raise
            served.counts.refused(served.definition.name, error)
            reply = FaultAnswer(fault_of(error))
        replies.append(reply)
    return (service.appender.put_all(served.topic, records) if records else None), replies


def _decided(served: Served, request: DecisionRequest, now: int) -> tuple[Placed, DecisionAnswer]:
    placed = served.reports.decide(
        served.decider(),
        request.unit,
        fresh_id() if request.decision is None else request.decision,
        now,
        context=request.context,
        available=request.available,
        anonymous=request.anonymous,
    )
    made: Any = placed.record
    reason = reason_of(made).value
    served.counts.decided(served.definition.name, reason)
    return placed, DecisionAnswer(
        made.id,
        made.action,
        made.propensity,
        made.bundle,
        reason,
        made.experiment,
        made.variant,
        made.probability,
    )


def _rewarded(served: Served, request: RewardRequest, now: int) -> tuple[Placed, RewardAnswer]:
    id = fresh_id() if request.reward_id is None else request.reward_id
    placed = served.reports.reward(
        request.decision,
        request.value,
        id=id,
        time=now,
        unit=request.unit if request.unit is None else followed(request.unit, request.anonymous),
        name=request.name,
        occurred=request.occurred,
    )
    return placed, RewardAnswer(id)


def _activated(served: Served, request: ActivationRequest, now: int) -> tuple[Placed, ActivationAnswer]:
    return served.reports.activation(request.decision, time=now, unit=request.unit), ActivationAnswer()


def _observed(served: Served, request: ObservationRequest, now: int) -> tuple[Placed, ObservationAnswer]:
    id = fresh_id() if request.observation_id is None else request.observation_id
    placed = served.reports.observation(
        followed(request.unit, request.anonymous),
        request.name,
        request.value,
        id=id,
        time=now,
        occurred=request.occurred,
    )
    return placed, ObservationAnswer(id)


def _predicted(served: Served, request: ExampleRequest, now: int) -> tuple[Placed, ExampleAnswer]:
    local = fresh_id() if request.example is None else request.example
    placed = served.reports.example(
        request.unit, request.x, local, now, y=request.y, occurred=request.occurred
    )
    record: Any = placed.record
    if served.models is None:
        raise FoldError(
            "fold.no_bundle", f"loop {served.definition.name!r} was defined anew just now; try again"
        )
    return placed, ExampleAnswer(record.id, served.models.predict(request.unit, request.x))


def _labelled(served: Served, request: LabelRequest, now: int) -> tuple[Placed, LabelAnswer]:
    placed = served.reports.label(
        request.example, request.y, time=now, unit=request.unit, occurred=request.occurred
    )
    return placed, LabelAnswer()


def _outcome(served: Served, request: OutcomeRequest, now: int) -> tuple[Placed, OutcomeAnswer]:
    made = Made(
        local=fresh_id() if request.decision is None else request.decision,
        unit=request.unit,
        action=request.action,
        propensity=request.propensity,
        bundle=EXTERNAL if request.bundle is None else request.bundle,
        definition=request.definition,
        available=request.available,
        context=request.context,
        occurred=request.occurred,
    )
    placed = served.reports.outcome(made, request.reward, time=now)
    record: Any = placed.record
    return placed, OutcomeAnswer(record.id)
