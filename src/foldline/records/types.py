"""The records that stand on an event topic, one typed struct each.

On the wire a record is one line of canonical JSON: compact, fields in the order written here, absent fields
left out, `type` first. Times are integer milliseconds since 1970-01-01 UTC. `time` is stamped by whoever
appends; `occurred` is what a client claims and never moves a clock.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Time = Annotated[int, Meta(ge=0, le=1 << 53, description="milliseconds since 1970-01-01 UTC")]
Id = Annotated[str, Meta(min_length=1, max_length=512)]
Name = Annotated[str, Meta(min_length=1, max_length=256)]
Value = bool | int | float | str
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


class Record(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str.lower, gc=False
):
    """Base of all records of an event topic."""

    time: Time


class Decision(Record, frozen=True, kw_only=True):
    """An action chosen for a unit, with the probability it had.

    Attributes:
        id: `generation.partition.local`; the local part may be the caller's own.
        unit: who or what is decided for; also the record's key.
        account: the id that a visitor got by logging in, where the unit is the anonymous id from before.
        action: the action chosen.
        propensity: P(action | variant, available actions), exact (an integer over 2^53).
        bundle: content hash of the bundle decided with.
        reason: why the unit got this variant, or none: a word of `experiments.reasons.Reason`; None where no
            experiment stands on the loop.
        definition: version of the loop's definition.
        experiment: the experiment that decided which policy chose, or None.
        variant: the variant whose policy chose; with `experiment`.
        probability: P(variant) among the enrolled; None where no chance was involved, as for forced units. It is
            apart from the propensity, which is P(action | variant).
        available: the actions allowed, where they were fewer than the definition's.
        context: features, by value.
        occurred: the time the client claims.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     choice = app.loop("news", actions=["a"]).decide("u1", id="order-1")
        >>> choice.action, choice.propensity, choice.id
        ('a', 1.0, '0.0.order-1')
    """

    id: Id
    unit: Id
    account: Id | None = None
    action: Name
    propensity: Probability
    bundle: str
    reason: Name | None = None
    definition: int
    experiment: Name | None = None
    variant: Name | None = None
    probability: Probability | None = None
    available: list[str] | None = None
    context: dict[str, Any] | None = None
    occurred: Time | None = None


class Reward(Record, frozen=True, kw_only=True):
    """How a decision went: names the decision, or the unit whose last decision it credits.

    Attributes:
        id: idempotency key; the same id within the joins' span counts once.
        decision: full decision id, or None.
        unit: the unit, or None when the decision is named.
        name: which reward this is; a loop learns from one name.
        value: finite, within the loop's range.
    """

    id: Id
    decision: Id | None = None
    unit: Id | None = None
    name: Name = "reward"
    value: float
    occurred: Time | None = None


class Outcome(Record, frozen=True, kw_only=True):
    """A decision and its reward in one record, as agents that know both report them. Learnt at once.

    Attributes:
        id: as of a decision.
        unit: who or what was decided for; also the record's key.
        action: the action chosen.
        propensity: P(action | available actions).
        reward: what came of it, finite, within the loop's range.
        bundle: content hash of the bundle decided with, or a name of the agent's own.
        definition: version of the loop's definition.
        available: the actions allowed, where they were fewer than the definition's.
        context: features, by value.
        occurred: the time the client claims.
    """

    id: Id
    unit: Id
    action: Name
    propensity: Probability
    reward: float
    bundle: str
    definition: int
    available: list[str] | None = None
    context: dict[str, Any] | None = None
    occurred: Time | None = None


class Activation(Record, frozen=True, kw_only=True):
    """A decision was shown; where a loop asks for activations, only such decisions count.

    Attributes:
        decision: its full id.
    """

    decision: Id


class Tick(Record, frozen=True, kw_only=True):
    """Moves stream time on an idle partition; appended by its owner only when something pending is due."""


class Observation(Record, frozen=True, kw_only=True):
    """A unit's value without a decision, such as revenue.

    Attributes:
        id: idempotency key; the same id within the joins' span counts once.
        unit: whose it is; also the record's key.
        name: of the metric.
        value: finite.
        occurred: the time the client claims.
    """

    id: Id
    unit: Id
    name: Name
    value: float
    occurred: Time | None = None


class Example(Record, frozen=True, kw_only=True):
    """Something to predict, with its label where that is known already.

    Attributes:
        id: `generation.partition.local`; the same id within the models' label window counts once.
        unit: whose it is, such as a card; also the record's key.
        x: features by name: numbers, texts, booleans; null stands for an absent one.
        y: the label: a class, or the number to be predicted.
    """

    id: Id
    unit: Id
    x: dict[str, Value | None]
    y: Value | None = None
    occurred: Time | None = None


class Label(Record, frozen=True, kw_only=True):
    """What an example turned out to be.

    Attributes:
        example: its full id.
        y: see `Example`.
    """

    example: Id
    y: Value
    occurred: Time | None = None


class Definition(Record, frozen=True, kw_only=True):
    """The marker of a definition change: applies to its partition from this record on.

    Attributes:
        loop: the loop's name.
        version: counts up from 1; a version is never overwritten.
        actions: every action allowed from here on.
        low: least reward allowed.
        high: greatest reward allowed.
    """

    loop: Name
    version: Annotated[int, Meta(ge=1)]
    actions: list[Name]
    low: float = 0.0
    high: float = 1.0


class Phase(Record, frozen=True, kw_only=True):
    """The marker of an experiment's version: applies to its partition from this record on.

    Attributes:
        experiment: its name.
        version: counts up from 1; a version is never overwritten.
        state: draft, running, paused or ended.
        by: what ended it: `hand` or `promotion`; None where it has not ended.
    """

    experiment: Name
    version: Annotated[int, Meta(ge=1)]
    state: Literal["draft", "running", "paused", "ended"]
    by: Name | None = None


AnyRecord = (
    Decision | Reward | Outcome | Activation | Tick | Observation | Definition | Phase | Example | Label
)
