"""Assignment in a context: units whose id changes when they log in, and conditions on who is eligible."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from foldline.experiments.assignment import Assign, Assignment
from foldline.experiments.conditions import Groups, matches
from foldline.experiments.reasons import Reason

Past = Mapping[tuple[str, str], str]
"""Variant by (attribute, id): what was assigned before, read from the log."""


class Identified(NamedTuple):
    """An assignment with the identity it was made for.

    Attributes:
        assignment: what the unit gets.
        attribute: which attribute gave the unit's id, None where none was there.
        unit: the id.
        remember: (attribute, id) pairs to store the variant for, so that it stays when the id changes.
    """

    assignment: Assignment
    attribute: str | None
    unit: str | None
    remember: tuple[tuple[str, str], ...]


def assign_identity(
    assign: Assign,
    context: Mapping[str, Any],
    attributes: Sequence[str],
    past: Past,
    *,
    condition: Mapping[str, Any] | None = None,
    groups: Groups | None = None,
) -> Identified:
    """Assign by the first attribute that the context has; keep what any of them was assigned before.

    With a sticky plan, a visitor who logs in keeps the variant of the anonymous visit, and it is remembered for the
    account too. Where both have a past, the account's wins. Without stickiness the account is hashed anew: half of
    those who log in change sides, and are in two variants.

    Args:
        assign: of a plan, from `assigner`; sticky for the past to count.
        context: attributes of the request.
        attributes: in order of preference, such as ("user", "device"); fixed with the experiment.
        past: earlier assignments of these ids in this experiment and phase.
        condition: who is eligible (`foldline.experiments.conditions`); it is asked at every assignment, so a unit
            that no longer fulfils it leaves the experiment whatever its past. Forced units need not fulfil it.
        groups: named lists for the condition.

    Example:
        >>> from foldline.experiments.assignment import assigner
        >>> from foldline.experiments.assignment_plan import AssignmentPlan
        >>> assign = assigner(AssignmentPlan(key="ctr", weights={"a": 1, "b": 1}, sticky=True))
        >>> met = assign_identity(assign, {"user": "u7", "device": "d1"}, ("user", "device"), {("device", "d1"): "b"})
        >>> met.assignment.variant, str(met.assignment.reason), met.remember
        ('b', 'STICKY', (('user', 'u7'),))
    """
    ids = [(name, context[name]) for name in attributes if context.get(name) not in (None, "")]
    if not ids:
        return Identified(assign(None), None, None, ())
    before = [past[pair] for pair in ids if isinstance(pair[1], str) and pair in past]
    attribute, unit = ids[0]
    assignment = assign(unit, before[0] if before else None)
    if assignment.counts and condition is not None and not matches(condition, context, groups):
        assignment = Assignment(None, Reason.NOT_TARGETED)
    if not assignment.counts:
        return Identified(assignment, attribute, unit, ())
    fresh = tuple(pair for pair in ids if isinstance(pair[1], str) and pair not in past)
    return Identified(assignment, attribute, unit, fresh)
