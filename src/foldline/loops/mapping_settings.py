"""What a mapping from messages of another program to records of a loop is given: data, checked before it is used.

    [ingest.orders]
    topic = "shop.orders"
    loop = "news"
    type = "reward"
    where = { status = "paid" }

    [ingest.orders.fields]
    unit = "customer.id"
    value = "total"
    name = { constant = "purchase" }

A field's source is a path into the message's JSON object, with dots; `@key`, `@time` or `@header.NAME` of the message;
or a constant. Messages already in Foldline's own form need no fields: `type = "record"`.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError
from foldline.experiments.conditions import check_condition
from foldline.loops.definition import LoopName

Form = Literal["record", "reward", "outcome", "decision", "activation", "observation"]

_MADE: Final = (
    "unit",
    "action",
    "propensity",
    "decision",
    "bundle",
    "definition",
    "available",
    "context",
    "occurred",
)

FIELDS: Final[dict[Form, tuple[str, ...]]] = {
    "record": (),
    "reward": ("decision", "unit", "name", "value", "reward_id", "occurred"),
    "outcome": (*_MADE, "reward"),
    "decision": _MADE,
    "activation": ("decision", "unit"),
    "observation": ("unit", "name", "value", "observation_id", "occurred"),
}
"""What each form can be given; as the HTTP service calls it."""

REQUIRED: Final[dict[Form, tuple[str, ...]]] = {
    "record": (),
    "reward": ("value",),
    "outcome": ("unit", "action", "propensity", "reward"),
    "decision": ("unit", "action", "propensity"),
    "activation": ("decision",),
    "observation": ("unit", "name", "value"),
}
"""What each form must be given."""


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same value for every message."""

    constant: Any


class MappingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How messages of a topic become records of a loop.

    Attributes:
        topic: the source topic, as its log calls it.
        loop: whose event topic takes the copies.
        type: what a message is; `record` where it is one of Foldline's records already.
        source: URL of the log the topic stands on; None for the log of the loop.
        where: a condition on the message's JSON object; others are passed over and counted.
        fields: where each field of the record comes from.
        start: where a new ingest begins.
    """

    topic: Annotated[str, Meta(min_length=1)]
    loop: LoopName
    type: Form = "record"
    source: str | None = None
    where: dict[str, Any] | None = None
    fields: dict[str, str | Constant] = {}
    start: Literal["earliest", "latest"] = "earliest"


def check_mapping(settings: MappingSettings) -> None:
    """Refuse a mapping that could not work.

    Raises:
        DefinitionError: `definition.incoherent`.
    """
    known, needed = FIELDS[settings.type], REQUIRED[settings.type]
    unknown = sorted(settings.fields.keys() - set(known))
    missing = [name for name in needed if name not in settings.fields]
    fault = ""
    if unknown:
        fault = f"has no fields {unknown!r}; expected of {list(known)!r}"
    elif missing:
        fault = f"needs the fields {missing!r}: say where they stand in the message"
    elif settings.type == "reward" and not {"unit", "decision"} & settings.fields.keys():
        fault = "needs a field 'unit' or 'decision': what it is for"
    if fault:
        raise DefinitionError(
            "definition.incoherent",
            f"mapping topic {settings.topic!r}: a {settings.type} {fault}",
            field="fields",
            value=dict(settings.fields),
        )
    if settings.where is not None:
        check_condition(settings.where)
