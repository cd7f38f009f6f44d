"""The policies by kind: what TOML, HTTP, help pages and `--policy` know of them."""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import msgspec

from foldline.errors import InputError
from foldline.policies.bandits import BANDITS, by_kind, class_among, made_of
from foldline.policies.fixed import Fixed
from foldline.policies.mixture import Mixture
from foldline.policies.protocol import Policy, field_types
from foldline.policies.random import Random
from foldline.policies.split import Split

POLICIES: tuple[type[Policy], ...] = (Random, Fixed, Split, *BANDITS, Mixture)
"""Every policy there is, in the order of listings."""

SETTLED = frozenset({"fixed", "random", "split"})
"""Kinds whose probabilities follow from their definition: nothing they learn changes how they choose."""

_BY_KIND = by_kind(POLICIES)


class Parameter(NamedTuple):
    """A policy's parameter, for help pages.

    Attributes:
        name: its name.
        default: as JSON, `required` where it must be given.
        unit: such as `s` or `rewards`; empty for a pure number.
        range: the values allowed, in words.
        doc: what it does.
        dial: whether it may be turned while the loop runs; otherwise changing it starts a new fold.
    """

    name: str
    default: str
    unit: str
    range: str
    doc: str
    dial: bool


def policy_class(kind: str) -> type[Policy]:
    """The class of a kind.

    Raises:
        InputError: `input.unknown_policy`, with the nearest name.
    """
    return class_among(_BY_KIND, kind)


def policy_from(source: Mapping[str, Any] | str | bytes) -> Policy:
    """The policy of a mapping or a JSON object such as `{"kind": "epsilon_greedy", "epsilon": 0.05}`.

    Raises:
        InputError: `input.unknown_policy`, or `input.invalid` for an unknown or missing parameter, a wrong type or
            a value outside its range.

    Example:
        >>> policy_from({"kind": "random"})
        Random()
    """
    return made_of(_BY_KIND, _decoded(source) if isinstance(source, str | bytes) else source)


def parse_policy(text: str) -> Policy:
    """The policy of `KIND` or `KIND:name=value,name=value`, as given to `--policy`.

    Values are numbers or null where they read as such, and text otherwise. For `split` the names are actions; for
    `mixture` the policy mixed is named by its kind, and has that kind's defaults.

    Raises:
        InputError: as `policy_from`.

    Example:
        >>> parse_policy("epsilon_greedy:epsilon=0.05").epsilon
        0.05
        >>> parse_policy("split:a=0.9,b=0.1").shares
        {'a': 0.9, 'b': 0.1}
    """
    kind, _, rest = text.strip().partition(":")
    policy_class(kind)
    fields: dict[str, Any] = {}
    for part in rest.split(",") if rest else []:
        name, equals, value = (side.strip() for side in part.partition("="))
        if not (name and equals):
            raise InputError(
                "input.invalid",
                f"policy {text!r}: {part!r} is not name=value; expected KIND:name=value,name=value",
            )
        if name in fields:
            raise InputError("input.invalid", f"policy {text!r}: {name!r} is given twice", field=name)
        fields[name] = _value(value, text_only=kind == "fixed")
    if kind == "split" and "shares" not in fields:
        fields = {"shares": fields}
    if kind == "mixture" and isinstance(fields.get("policy"), str):
        fields["policy"] = {"kind": fields["policy"]}
    return policy_from({"kind": kind, **fields})


def describe(kind: str) -> list[Parameter]:
    """The parameters of a kind, in order.

    Raises:
        InputError: `input.unknown_policy`.

    Example:
        >>> describe("epsilon_greedy")[0][:5]
        ('epsilon', '0.1', '', '0 to 1', 'probability of exploring among all actions')
    """
    policy = policy_class(kind)
    types = field_types(policy)
    return [
        _described(field, types[field.name], field.name in policy.dials)
        for field in msgspec.structs.fields(policy)
    ]


def _decoded(source: str | bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(source, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise InputError("input.invalid", f"a policy as JSON: {error}; got {source!r}") from error


def _value(text: str, *, text_only: bool = False) -> Any:
    for read in () if text_only else (msgspec.json.decode, float):
        with contextlib.suppress(msgspec.DecodeError, ValueError):
            return read(text)
    return text


def _described(field: msgspec.structs.FieldInfo, annotation: Any, dial: bool) -> Parameter:
    default = "required" if field.required else msgspec.json.encode(field.default).decode()
    meta = _meta(annotation)
    extra = (meta.extra if meta else None) or {}
    return Parameter(
        field.name,
        default,
        str(extra.get("unit", "")),
        str(extra.get("range") or _range(annotation, meta)),
        (meta.description if meta else None) or "",
        dial,
    )


def _meta(annotation: Any) -> msgspec.Meta | None:
    """The `Meta` of an annotation, or of the part of a union that has one."""
    for part in (annotation, *get_args(annotation)):
        for note in getattr(part, "__metadata__", ()):
            if isinstance(note, msgspec.Meta):
                return note
    return None


def _range(annotation: Any, meta: msgspec.Meta | None) -> str:
    if meta and (meta.gt is not None or meta.ge is not None):
        open_end = "at most " if meta.gt is not None else ""
        low = f"above {meta.gt:g}" if meta.gt is not None else f"{meta.ge:g}"
        high = f"below {meta.lt:g}" if meta.lt is not None else f"{open_end}{meta.le:g}"
        join = ", " if meta.gt is not None or meta.lt is not None else " to "
        none = ", or null" if type(None) in get_args(annotation) else ""
        return f"{low}{join}{high}{none}"
    choices = get_args(get_args(annotation)[0]) if get_args(annotation) else ()
    return " or ".join(map(str, choices)) if choices else "text"
