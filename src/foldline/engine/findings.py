"""What an audit finds: each disagreement with its place, what is logged there and what was recomputed."""

from typing import Any, Final, Literal

import msgspec

FindingKind = Literal[
    "uncomputable",
    "bundle_differs",
    "unknown_bundle",
    "bundle_ahead",
    "id_differs",
    "misplaced",
    "definition_differs",
    "available_unknown",
    "action_differs",
    "propensity_differs",
]

MEANINGS: Final[dict[FindingKind, str]] = {
    "uncomputable": "the log no longer begins at offset 0, so what follows from its beginning cannot be recomputed",
    "bundle_differs": "a published bundle is not what its cut gives",
    "unknown_bundle": "a decision names a bundle that was never published",
    "bundle_ahead": "a decision stands before the cut of its bundle, so it was not made with it",
    "id_differs": "the partition or generation in a decision's id is not that of its unit",
    "misplaced": "a decision stands on another partition than its unit's",
    "definition_differs": "a decision names another definition version than its bundle",
    "available_unknown": "a decision's mask names an action its bundle lacks, or allows none",
    "action_differs": "a decision's action is not the one its bundle and id give",
    "propensity_differs": "a decision's propensity is not the one its bundle gives",
}
"""Every kind of finding, in the order in which those of one record are listed."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One disagreement.

    Attributes:
        kind: what disagrees; see `MEANINGS`.
        topic: where the record stands.
        partition: where the record stands.
        offset: where the record stands.
        subject: the decision's id, or the bundle's hash.
        logged: what the record says.
        recomputed: what follows from the log, None where nothing does.
        note: why nothing does, where that is so.
    """

    kind: FindingKind
    topic: str
    partition: int
    offset: int
    subject: str
    logged: Any
    recomputed: Any
    note: str = ""


class Findings:
    """Counts every finding and keeps the first.

    Attributes:
        counts: findings of each kind.
        first: the first findings added, at most `keep`.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.counts: dict[FindingKind, int] = dict.fromkeys(MEANINGS, 0)
        self.first: list[Finding] = []

    def add(self, found: list[Finding]) -> None:
        """Add findings of one or several records, in any order; they are put in order of place, then kind."""
        order = list(MEANINGS)
        for finding in sorted(found, key=lambda f: (f.topic, f.partition, f.offset, order.index(f.kind))):
            self.counts[finding.kind] += 1
            if len(self.first) < self._keep:
                self.first.append(finding)
