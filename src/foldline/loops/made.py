"""A decision made elsewhere."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

FALLBACK = "fallback"
"""The bundle named by a decision that an edge client made before any bundle came."""

EXTERNAL = "external"
"""The bundle named by an outcome whose decision was not made with one of ours."""


class Made(NamedTuple):
    """A decision made elsewhere, as it is reported.

    Attributes:
        local: local part of its id.
        unit: who or what was decided for.
        action: what was chosen.
        propensity: above 0, at most 1.
        bundle: hash of the bundle decided with, `FALLBACK` or `EXTERNAL`.
        definition: version of the loop decided under; None for the newest.
        available: the actions allowed, where fewer than all.
        context: features.
        occurred: when, by the client's clock, milliseconds.
        trial: where an experiment stood on the loop: account, reason, experiment, variant and probability, as the
            record has them.
    """

    local: str
    unit: str
    action: str
    propensity: float
    bundle: str = EXTERNAL
    definition: int | None = None
    available: list[str] | None = None
    context: dict[str, Any] | None = None
    occurred: int | None = None
    trial: Mapping[str, Any] = MappingProxyType({})
