"""The policies that learn, by kind, and how one of a kind is made of plain values."""

import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from foldline.errors import InputError
from foldline.policies.constant_step import ConstantStep
from foldline.policies.discounted import Discounted
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.policies.gaussian_thompson import GaussianThompson
from foldline.policies.kl_ucb import KlUcb
from foldline.policies.protocol import Policy, field_types
from foldline.policies.thompson import Thompson
from foldline.policies.ucb1 import Ucb1

BANDITS: tuple[type[Policy], ...] = (
    EpsilonGreedy,
    ConstantStep,
    Discounted,
    Thompson,
    GaussianThompson,
    Ucb1,
    KlUcb,
)
"""Every policy that learns and can be mixed, in the order of listings."""

Kinds = Mapping[str, type[Policy]]


def by_kind(policies: tuple[type[Policy], ...]) -> dict[str, type[Policy]]:
    """The classes by their kind."""
    return {str(policy.__struct_config__.tag): policy for policy in policies}


def class_among(kinds: Kinds, kind: str) -> type[Policy]:
    """The class of a kind.

    Raises:
        InputError: `input.unknown_policy`, with the nearest name.
    """
    if kind in kinds:
        return kinds[kind]
    raise InputError(
        "input.unknown_policy",
        f"policy {kind!r} is not known{nearest(kind, kinds)}; expected one of {', '.join(kinds)}",
        field="kind",
    )


def made_of(kinds: Kinds, source: Mapping[str, Any]) -> Policy:
    """The policy of plain values, `kind` among them.

    Raises:
        InputError: `input.unknown_policy`, or `input.invalid` for an unknown or missing parameter, a wrong type or
            a value outside its range.
    """
    fields = dict(source)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str):
        raise InputError("input.invalid", f"a policy needs a kind, got {source!r}", field="kind")
    policy = class_among(kinds, kind)
    known = field_types(policy)
    for name in fields:
        if name not in known:
            raise InputError(
                "input.invalid",
                f"policy {kind!r} has no parameter {name!r}{nearest(name, known)}; "
                f"expected {', '.join(known) or 'none'}",
                field=name,
            )
    missing = [
        field.name for field in msgspec.structs.fields(policy) if field.required and field.name not in fields
    ]
    if missing:
        raise InputError(
            "input.invalid", f"policy {kind!r} needs {', '.join(missing)}, got {fields!r}", field=missing[0]
        )
    return policy(**fields)


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """A guess at what was meant, or nothing."""
    near = difflib.get_close_matches(name, known, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
