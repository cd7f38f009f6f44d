"""Predictions and feedback in the shape of Seldon Core's protocol (v1), for clients written for it.

Whose token it is says which experiment, and so which loop; a key of another kind names the loop by `?loop=`. The id
of the decision is the prediction's `puid`, by which the feedback finds it.
"""

from typing import Any, Final

import msgspec

from foldline.errors import InputError
from foldline.experiments.reasons import reason_of
from foldline.records.codec import encode
from foldline.records.types import Decision
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.fresh_ids import fresh_id
from foldline.serving.requests import read_body
from foldline.serving.service import Served, Service


class SeldonMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands beside the data."""

    puid: str | None = None
    tags: dict[str, Any] = {}


class PredictionRequest(msgspec.Struct, frozen=True, rename={"json_data": "jsonData"}):
    """Whom to decide for: `jsonData` holds `unit` and, if there are any, features as `context`."""

    json_data: dict[str, Any]
    meta: SeldonMeta = SeldonMeta()


class PredictionAnswer(msgspec.Struct, frozen=True, rename={"str_data": "strData"}):
    """The action as `strData`; `meta.puid` is the decision's id."""

    meta: SeldonMeta
    str_data: str


class FeedbackResponse(msgspec.Struct, frozen=True):
    """The prediction that the feedback is for; of it only `meta.puid` is read."""

    meta: SeldonMeta = SeldonMeta()


class FeedbackRequest(msgspec.Struct, frozen=True):
    """How a prediction went."""

    response: FeedbackResponse
    reward: float
    request: dict[str, Any] | None = None
    truth: dict[str, Any] | None = None


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """The feedback was taken in; `meta.puid` is the decision's id."""

    meta: SeldonMeta


_PREDICTION: Final = msgspec.json.Decoder(PredictionRequest)
_FEEDBACK: Final = msgspec.json.Decoder(FeedbackRequest)


async def seldon_predict(service: Service, call: Call) -> Answer:
    """Decide for a unit."""
    request = read_body(_PREDICTION, call.body)
    served = _served(service, call)
    unit, context = request.json_data.get("unit"), request.json_data.get("context")
    if not isinstance(unit, str) or not isinstance(context, dict | None):
        raise InputError(
            "input.invalid",
            f"jsonData is {request.json_data!r:.120}: expected unit, a text, and context, an object, if any",
            field="jsonData",
        )
    now = service.clock()
    placed = served.reports.decide(
        served.decider(), unit, request.meta.puid or fresh_id(), now, context=context
    )
    group = service.appender.put(served.topic, placed.partition, now, encode(placed.record))
    made: Any = placed.record
    served.counts.decided(served.definition.name, reason_of(made).value)
    if service.durable(call):
        await group.landed
    return answer(PredictionAnswer(_meta(made), made.action))


async def seldon_feedback(service: Service, call: Call) -> Answer:
    """Take in how a prediction went; the same again counts once."""
    request = read_body(_FEEDBACK, call.body)
    served = _served(service, call)
    puid = request.response.meta.puid
    if puid is None:
        raise InputError(
            "input.unknown_decision",
            "response.meta.puid is not there: it is the decision's id, as the prediction's answer gave it",
            field="response.meta.puid",
        )
    now = service.clock()
    placed = served.reports.reward(puid, request.reward, id=f"feedback.{puid}"[:400], time=now)
    group = service.appender.put(served.topic, placed.partition, now, encode(placed.record))
    if service.durable(call):
        await group.landed
    return answer(FeedbackAnswer(SeldonMeta(puid=puid)))


def _served(service: Service, call: Call) -> Served:
    named = call.parameters().get("loop")
    own = call.key.loop if call.key is not None else None
    if own is None and named is None:
        raise InputError(
            "input.unknown_loop",
            "no loop is named: show an experiment's token, or give ?loop=NAME",
            field="loop",
        )
    return service.served(own or named or "")


def _meta(made: Decision) -> SeldonMeta:
    tags: dict[str, Any] = {"propensity": made.propensity, "reason": reason_of(made).value}
    if made.experiment is not None:
        tags |= {"experiment": made.experiment, "variant": made.variant}
    return SeldonMeta(puid=made.id, tags=tags)
