"""A loop as the service shows it."""

from typing import Any

import msgspec

from foldline.loops.definition import LoopDefinition


class ShownBundle(msgspec.Struct, frozen=True):
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


class ShownEstimate(msgspec.Struct, frozen=True):
    """What is known of an action.

    Attributes:
        action: its name.
        pulls: how many of its decisions were learnt.
        mean: average reward, None where nothing was learnt.
        share: probability the newest bundle gives it, None before the first.
    """

    action: str
    pulls: int
    mean: float | None
    share: float | None


class ShownLoop(msgspec.Struct, frozen=True):
    """A loop: what it is, and what was learnt.

    Attributes:
        name: of the loop.
        definition: the newest version.
        bundle: the newest, None before a learner has published one.
        estimates: of each action, in the definition's order.
        counts: how many decisions, rewards … were folded, and what became of them.
    """

    name: str
    definition: LoopDefinition
    bundle: ShownBundle | None
    estimates: list[ShownEstimate]
    counts: dict[str, float]


class ListedLoop(msgspec.Struct, frozen=True):
    """A loop in a list."""

    name: str
    version: int
    actions: int
    policy: str


class LoopList(msgspec.Struct, frozen=True):
    """Every loop, by name."""

    loops: list[ListedLoop]


class DecisionAnswer(msgspec.Struct, frozen=True):
    """A decision made by the service."""

    decision: str
    action: str
    propensity: float
    bundle: str
    variant: str | None = None


class RewardAnswer(msgspec.Struct, frozen=True):
    """A reward taken in."""

    reward_id: str


class OutcomeAnswer(msgspec.Struct, frozen=True):
    """An outcome taken in."""

    decision: str


class EventFault(msgspec.Struct, frozen=True):
    """An event that cannot be used."""

    index: int
    error: dict[str, Any]


class EventsAnswer(msgspec.Struct, frozen=True):
    """What became of events: see docs/http-api.md."""

    accepted: int
    repeated: int
    next: int
    errors: list[EventFault]
