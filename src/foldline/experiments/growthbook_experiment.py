"""One of GrowthBook's experiments evaluated for one user, sticky bucketing included.

For experiments that move here while they run: the answers are those of GrowthBook's SDKs, so that no user changes
sides. What belongs to pages rather than to users (URLs, query strings, features that depend on others) stays there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from foldline.experiments.conditions import Groups, matches
from foldline.experiments.growthbook import (
    bucket_ranges,
    choose_variation,
    growthbook_position,
    in_namespace,
    in_range,
)

Documents = Mapping[str, Mapping[str, Any]]
"""Sticky assignments by "attribute||value": attributeName, attributeValue and assignments."""


class GrowthBookResult(NamedTuple):
    """What GrowthBook answers.

    Attributes:
        in_experiment: whether the user gets a variation by this experiment.
        variation: its index; 0 where not in the experiment.
        hash_used: whether by hash, or stickily, rather than by force: only then is it an exposure.
        key: the variation's key.
        hash_attribute: whose value was hashed.
        hash_value: the value.
        position: where it hashes to; None where it was not hashed.
        sticky_used: whether an earlier assignment decided.
        documents: the sticky documents, with this assignment.
    """

    in_experiment: bool
    variation: int
    hash_used: bool
    key: str
    hash_attribute: str
    hash_value: str
    position: float | None
    sticky_used: bool
    documents: Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthBookUser:
    """Who asks, and the settings of the SDK that matter.

    Attributes:
        attributes: of the user.
        documents: sticky assignments so far; None where sticky bucketing is not in use.
        groups: saved groups by name.
        forced: variation by experiment key.
        enabled: false switches every experiment off.
        qa_mode: true runs forced variations only.
    """

    attributes: Mapping[str, Any]
    documents: Documents | None = None
    groups: Groups | None = None
    forced: Mapping[str, int] | None = None
    enabled: bool = True
    qa_mode: bool = False


def growthbook_experiment(experiment: Mapping[str, Any], user: GrowthBookUser) -> GrowthBookResult:
    """Evaluate an experiment, as its JSON has it, in the order of GrowthBook's specification."""
    variations, key = len(experiment["variations"]), experiment["key"]
    attribute, value, usable = _identity(experiment, user)
    documents = user.documents or {}
    nothing = GrowthBookResult(False, 0, False, _key(experiment, 0), attribute, value, None, False, documents)

    def forced(variation: int) -> GrowthBookResult:
        if not 0 <= variation < variations:
            return nothing
        return nothing._replace(in_experiment=True, variation=variation, key=_key(experiment, variation))

    if variations < 2 or not user.enabled:
        return nothing
    if user.forced is not None and key in user.forced:
        return forced(user.forced[key])
    if experiment.get("active", True) is False or experiment.get("status") == "draft" or not value:
        return nothing
    sticky, blocked = _sticky(experiment, documents, user) if usable else (-1, False)
    if sticky < 0 and not _eligible(experiment, user, value):
        return nothing
    position = growthbook_position(experiment.get("seed") or key, value, experiment.get("hashVersion", 1))
    if position is None or blocked:
        return nothing
    ranges = experiment.get("ranges") or bucket_ranges(
        variations, experiment.get("coverage", 1.0), experiment.get("weights")
    )
    variation = sticky if sticky >= 0 else choose_variation(position, ranges)
    if variation < 0:
        return nothing
    if "force" in experiment:
        return forced(experiment["force"])
    if user.qa_mode or experiment.get("status") == "stopped":
        return nothing
    if usable:
        documents = _remembered(experiment, documents, attribute, value, _key(experiment, variation))
    return GrowthBookResult(
        True, variation, True, _key(experiment, variation), attribute, value, position, sticky >= 0, documents
    )


def _identity(experiment: Mapping[str, Any], user: GrowthBookUser) -> tuple[str, str, bool]:
    """Hash attribute, its value, and whether sticky bucketing applies; only then is there a fallback."""
    usable = user.documents is not None and not experiment.get("disableStickyBucketing", False)
    attribute = experiment.get("hashAttribute") or "id"
    value = _text(user.attributes.get(attribute))
    fallback = experiment.get("fallbackAttribute")
    if not value and usable and fallback:
        return fallback, _text(user.attributes.get(fallback)), usable
    return attribute, value, usable


def _eligible(experiment: Mapping[str, Any], user: GrowthBookUser, value: str) -> bool:
    """Filters, or else the namespace; then the condition."""
    filters = experiment.get("filters")
    if filters:
        for chosen in filters:
            own = _text(user.attributes.get(chosen.get("attribute") or "id"))
            position = growthbook_position(chosen["seed"], own, chosen.get("hashVersion", 2)) if own else None
            if position is None or not any(in_range(position, limits) for limits in chosen["ranges"]):
                return False
    elif experiment.get("namespace") and not in_namespace(value, tuple(experiment["namespace"])):
        return False
    condition = experiment.get("condition")
    return condition is None or matches(condition, user.attributes, user.groups)


def _sticky(experiment: Mapping[str, Any], documents: Documents, user: GrowthBookUser) -> tuple[int, bool]:
    """The variation assigned before, or -1, and whether an older bucket version bars the user."""
    attributes = [experiment.get("fallbackAttribute"), experiment.get("hashAttribute") or "id"]
    before: dict[str, str] = {}
    for attribute in attributes:
        if attribute:
            document = documents.get(f"{attribute}||{_text(user.attributes.get(attribute))}")
            before.update(document["assignments"] if document else {})
    barred = range(experiment.get("minBucketVersion", 0))
    if any(f"{experiment['key']}__{version}" in before for version in barred):
        return -1, True
    key = before.get(_sticky_key(experiment))
    found = [
        i for i in range(len(experiment["variations"])) if key is not None and _key(experiment, i) == key
    ]
    return (found[0] if found else -1), False


def _remembered(
    experiment: Mapping[str, Any], documents: Documents, attribute: str, value: str, variation: str
) -> Documents:
    name = f"{attribute}||{value}"
    before = documents[name]["assignments"] if name in documents else {}
    assignments = {**before, _sticky_key(experiment): variation}
    return {
        **documents,
        name: {"attributeName": attribute, "attributeValue": value, "assignments": assignments},
    }


def _sticky_key(experiment: Mapping[str, Any]) -> str:
    return f"{experiment['key']}__{experiment.get('bucketVersion', 0)}"


def _key(experiment: Mapping[str, Any], variation: int) -> str:
    meta = experiment.get("meta") or []
    named = meta[variation].get("key") if variation < len(meta) else None
    return str(variation) if named is None else str(named)


def _text(value: Any) -> str:
    """As JavaScript would print it; nothing for null and empty."""
    if value is None or value is False or value == "":
        return ""
    if value is True:
        return "true"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
