"""Which decision, and whose, a report names."""

from foldline.errors import InputError
from foldline.records.ids import checked_name, parse_decision_id
from foldline.records.types import Decision


def named(decision: Decision | str | None, unit: str | None) -> tuple[str | None, str | None]:
    """The decision id and the unit that a report names.

    A decision names its unit too: one an edge client made before any bundle came is found by both.
    """
    if isinstance(decision, Decision):
        return decision.id, decision.unit
    return (
        None if decision is None else checked_name(decision, "decision"),
        None if unit is None else checked_name(unit, "unit"),
    )


def local_of(decision: Decision) -> str:
    """The local part of a decision's id; a fallback's id is its local part."""
    try:
        return parse_decision_id(decision.id).local
    except InputError:
        return checked_name(decision.id, "decision")
