"""What goes over HTTP between a service and its clients: bodies of requests, the events of an outbox, answers.

Both sides use these types, so neither can mean something else. Nothing here is sent or received.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from foldline.experiments.reasons import Reason
from foldline.loops.definition import LoopDefinition
from foldline.models.inference import Prediction
from foldline.models.report import ModelReport
from foldline.records.types import Value

Unit = Annotated[str, Meta(description="who or what is decided for, 1 to 400 characters", examples=["u1"])]
Anonymous = Annotated[
    str, Meta(description="the id that the unit had before it logged in: variant, log and tally follow it")
]
Local = Annotated[str, Meta(description="the caller's own id of the decision, for retries")]
Named = Annotated[
    str, Meta(description="id of a decision as answered, or the caller's own together with unit")
]
Action = Annotated[str, Meta(min_length=1, max_length=256, description="one of the loop's actions")]
Available = Annotated[list[str], Meta(description="the actions allowed, where fewer than all")]
Context = Annotated[dict[str, Any], Meta(description="features, logged by value")]
Chosen = Annotated[float, Meta(gt=0, le=1, description="probability the action had when it was chosen")]
Occurred = Annotated[
    int, Meta(ge=0, le=1 << 53, description="the client's clock, milliseconds; data, never a clock")
]
BundleHash = Annotated[str, Meta(max_length=64, description="bundle decided with")]
Version = Annotated[int, Meta(ge=0, le=1 << 31, description="version of the loop's definition")]


class Body(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """Base of all bodies: what is None is left out, and an unknown field is a mistake, and said to be one."""


class DecisionRequest(Body, frozen=True, kw_only=True):
    """Choose an action for a unit."""

    unit: Unit
    anonymous: Anonymous | None = None
    context: Context | None = None
    available: Available | None = None
    decision: Local | None = None


class RewardRequest(Body, frozen=True, kw_only=True):
    """How a decision went; without `decision` the unit's last is credited."""

    decision: Named | None = None
    unit: Unit | None = None
    anonymous: Anonymous | None = None
    name: str | None = None
    value: float
    reward_id: str | None = None
    occurred: Occurred | None = None


class ActivationRequest(Body, frozen=True, kw_only=True):
    """A decision was shown."""

    decision: Named
    unit: Unit | None = None


class ObservationRequest(Body, frozen=True, kw_only=True):
    """A unit's value without a decision, such as revenue."""

    unit: Unit
    anonymous: Anonymous | None = None
    name: Annotated[str, Meta(min_length=1, max_length=256)]
    value: float
    observation_id: str | None = None
    occurred: Occurred | None = None


class ExampleRequest(Body, frozen=True, kw_only=True):
    """Predict an example, and learn it where its label is known."""

    unit: Unit
    x: Annotated[dict[str, Value | None], Meta(description="features by name; null for an absent one")]
    y: Annotated[Value | None, Meta(description="the label, where it is known")] = None
    example: Annotated[str | None, Meta(description="the caller's own id of the example, for retries")] = None
    occurred: Occurred | None = None


class LabelRequest(Body, frozen=True, kw_only=True):
    """What an example turned out to be."""

    example: Annotated[
        str, Meta(description="id of an example as answered, or the caller's own together with unit")
    ]
    y: Annotated[Value, Meta(description="a class, or the number that was to be predicted")]
    unit: Unit | None = None
    occurred: Occurred | None = None


class OutcomeRequest(Body, frozen=True, kw_only=True):
    """A decision made elsewhere together with its reward."""

    unit: Unit
    action: Action
    propensity: Chosen
    reward: float
    decision: Local | None = None
    bundle: BundleHash | None = None
    definition: Version | None = None
    available: Available | None = None
    context: Context | None = None
    occurred: Occurred | None = None


class DecisionEvent(Body, frozen=True, kw_only=True, tag_field="type", tag="decision"):
    """A decision an edge client made."""

    decision: Local
    unit: Unit
    account: Annotated[str, Meta(description="the id that the unit got by logging in")] | None = None
    action: Action
    propensity: Chosen
    bundle: BundleHash
    reason: Reason | None = None
    definition: Version
    experiment: Annotated[str, Meta(description="whose variant decided")] | None = None
    variant: Annotated[str, Meta(description="its key")] | None = None
    probability: Annotated[float, Meta(ge=0, le=1, description="P(variant) among the enrolled")] | None = None
    available: Available | None = None
    context: Context | None = None
    occurred: Occurred | None = None


class RewardEvent(Body, frozen=True, kw_only=True, tag_field="type", tag="reward"):
    """A reward an edge client was told of."""

    unit: Unit
    value: float
    reward_id: str
    decision: Named | None = None
    name: str | None = None
    occurred: Occurred | None = None


class OutcomeEvent(Body, frozen=True, kw_only=True, tag_field="type", tag="outcome"):
    """A decision an edge client made, together with its reward."""

    decision: Local
    unit: Unit
    action: Action
    propensity: Chosen
    reward: float
    bundle: BundleHash
    definition: Version
    available: Available | None = None
    context: Context | None = None
    occurred: Occurred | None = None


class ActivationEvent(Body, frozen=True, kw_only=True, tag_field="type", tag="activation"):
    """An edge client showed a decision."""

    decision: Named
    unit: Unit
    occurred: Occurred | None = None


Event = DecisionEvent | RewardEvent | OutcomeEvent | ActivationEvent


class EventsRequest(Body, frozen=True, kw_only=True):
    """What stands in an edge client's outbox from event number `first` on."""

    outbox: Annotated[str, Meta(pattern="^[A-Za-z0-9]{1,64}$", description="names the outbox; random")]
    first: Annotated[int, Meta(ge=0, le=1 << 53, description="number of the first event sent")]
    events: list[msgspec.Raw]


class DecisionAnswer(msgspec.Struct, frozen=True, gc=False):
    """A decision made.

    Attributes:
        decision: its id.
        action: what was chosen.
        propensity: P(action | variant, available actions).
        bundle: hash of the bundle decided with.
        reason: why, in OpenFeature's words and a few more: a member of `experiments.reasons.Reason`.
        experiment: whose variant decided, or null.
        variant: its key.
        probability: P(variant) among the enrolled; null where no chance was involved.
    """

    decision: str
    action: str
    propensity: float
    bundle: str
    reason: str
    experiment: str | None = None
    variant: str | None = None
    probability: float | None = None


class RewardAnswer(msgspec.Struct, frozen=True, gc=False):
    """A reward taken in."""

    reward_id: str


class ObservationAnswer(msgspec.Struct, frozen=True, gc=False):
    """An observation taken in."""

    observation_id: str


class ExampleAnswer(msgspec.Struct, frozen=True):
    """An example taken in, and what the models say of it now; the inference of record is made where they learn."""

    example: str
    predictions: list[Prediction]


class LabelAnswer(msgspec.Struct, frozen=True, gc=False):
    """A label taken in."""


class ModelList(msgspec.Struct, frozen=True):
    """How a loop's models do."""

    models: list[ModelReport]


class OutcomeAnswer(msgspec.Struct, frozen=True, gc=False):
    """An outcome taken in."""

    decision: str


class ActivationAnswer(msgspec.Struct, frozen=True, gc=False):
    """An activation taken in."""


class EventFault(msgspec.Struct, frozen=True):
    """An event that cannot be used."""

    index: int
    error: "Fault"


class EventsAnswer(msgspec.Struct, frozen=True):
    """What became of events.

    Attributes:
        accepted: on the log now.
        repeated: had come before.
        next: number of the next event expected of this outbox.
        errors: events that cannot be used; they count as delivered.
    """

    accepted: int
    repeated: int
    next: int
    errors: list[EventFault]


class Fault(msgspec.Struct, frozen=True):
    """What was wrong; the one shape of all errors.

    Attributes:
        code: stable, one of docs/errors.md.
        message: what was given, what was expected, what to do.
        field: which part of the request.
        value: what it was given.
        expected: what it should have been.
    """

    code: str
    message: str
    field: str | None = None
    value: Any = None
    expected: str | None = None


class FaultAnswer(msgspec.Struct, frozen=True):
    """An error as it is answered."""

    error: Fault


class BundleView(msgspec.Struct, frozen=True):
    """A bundle without its parameters.

    Attributes:
        hash: names it.
        cut: what it covers, written `0:1500,1:1498`.
        definition: version of the loop's definition.
        time: when it was published, milliseconds.
        stream_time: highest stream time within the cut, milliseconds.
    """

    hash: str
    cut: str
    definition: int
    time: int
    stream_time: int


class EstimateView(msgspec.Struct, frozen=True):
    """What is known of an action.

    Attributes:
        action: its name.
        pulls: how many of its decisions were learnt.
        mean: average reward, null where nothing was learnt.
        share: probability the newest bundle gives it, null before the first.
    """

    action: str
    pulls: int
    mean: float | None
    share: float | None


class LoopView(msgspec.Struct, frozen=True):
    """A loop: what it is, and what was learnt."""

    name: str
    definition: LoopDefinition
    bundle: BundleView | None
    estimates: list[EstimateView]
    counts: dict[str, float]


class LoopLine(msgspec.Struct, frozen=True):
    """A loop in a list."""

    name: str
    version: int
    actions: int
    policy: str


class LoopList(msgspec.Struct, frozen=True):
    """Every loop, by name."""

    loops: list[LoopLine]
