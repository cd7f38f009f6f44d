"""Verifying decisions and outcomes against the bundles they name, those of one bundle together."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from foldline.engine.checker import Checker, Decided
from foldline.engine.findings import Finding, FindingKind
from foldline.engine.shelf import Shelf
from foldline.errors import InputError
from foldline.loops.bundle import Bundle
from foldline.loops.definition import LoopDefinition
from foldline.loops.made import EXTERNAL, FALLBACK
from foldline.loops.topics import topics_of
from foldline.records.hashing import partition_of
from foldline.records.types import AnyRecord, Decision, Outcome

CHECKERS: Final = 64
"""Bundles kept ready to check with; making one ready takes about 70 us for 20 actions."""

Placed = tuple[int, Decided]
"""A decision with its offset."""

Wrong = tuple[int, Decided, FindingKind, Any, Any, str]
"""Offset, decision, what is wrong with it, logged, recomputed, note; see `Finding`."""


@dataclass(slots=True)
class DecisionTally:
    """What was read.

    Attributes:
        decisions: decision records.
        outcomes: outcome records.
        fallback: those of both decided before any bundle came.
        external: those of both made by something else than a bundle, which cannot be made again.
        unchecked: those of both whose bundle could not be recomputed.
    """

    decisions: int = 0
    outcomes: int = 0
    fallback: int = 0
    external: int = 0
    unchecked: int = 0


class Verifier:
    """Verifies the decisions of one loop.

    About 1 us a decision; memory: the batch, and the tables of the last bundles named.

    Args:
        definition: any version of the loop.
        shelf: every bundle published.
        actions: every action any version of the loop has had.
        headers_lost: whether the log no longer holds every header; then a bundle not on the shelf is no finding.
    """

    def __init__(
        self, definition: LoopDefinition, shelf: Shelf, actions: Collection[str], *, headers_lost: bool
    ) -> None:
        self.tally = DecisionTally()
        self._topic = topics_of(definition).events
        self._partitions = definition.partitions
        self._generation = definition.generation
        self._actions = frozenset(actions)
        self._headers_lost = headers_lost

        def checker(name: str) -> Checker | None:
            bundle = shelf.find(name)
            return None if bundle is None else Checker(bundle)

        self._checker = lru_cache(maxsize=CHECKERS)(checker)

    def verify(
        self, partition: int, offsets: Sequence[int], records: Sequence[AnyRecord | None]
    ) -> list[Finding]:
        """What is wrong with records of a partition, each with its offset; in no order."""
        wrong: list[Wrong] = []
        groups: dict[str, list[Placed]] = {}
        for place, record in zip(offsets, records, strict=True):
            if type(record) is Decision:
                self.tally.decisions += 1
            elif type(record) is Outcome:
                self.tally.outcomes += 1
            else:
                continue
            if record.bundle == FALLBACK and record.definition == 0:
                self.tally.fallback += 1
                wrong += self._wrong_fallback(place, record)
            elif record.bundle == EXTERNAL:
                self.tally.external += 1
                wrong += self._unknown_action(place, record)
            else:
                groups.setdefault(record.bundle, []).append((place, record))
        for name, group in groups.items():
            wrong += self._wrong_ids(partition, group)
            wrong += self._wrong_of_bundle(self._checker(name), partition, group)
        return [self._finding(partition, *one) for one in wrong]

    def _wrong_fallback(self, place: int, one: Decided) -> Iterator[Wrong]:
        yield from self._unknown_action(place, one)
        if one.propensity != 1.0:
            yield place, one, "propensity_differs", one.propensity, 1.0, ""

    def _unknown_action(self, place: int, one: Decided) -> Iterator[Wrong]:
        if one.action not in self._actions:
            yield place, one, "action_differs", one.action, None, "no version of the loop has had this action"

    def _wrong_ids(self, partition: int, group: Sequence[Placed]) -> Iterator[Wrong]:
        """Ids that do not begin as those of this partition do, and units that belong elsewhere."""
        here, count = f"{self._generation}.{partition}.", self._partitions
        homes = [partition_of(one.unit, count) for _, one in group] if count > 1 else [0] * len(group)
        for (place, one), home in zip(group, homes, strict=True):
            if home == partition and one.id.startswith(here) and one.id != here:
                continue
            prefix = f"{self._generation}.{home}."
            if one.id.startswith(prefix) and one.id != prefix:
                yield place, one, "misplaced", partition, home, ""
            else:
                yield place, one, "id_differs", one.id, prefix + one.id.split(".", 2)[-1], ""

    def _wrong_of_bundle(
        self, checker: Checker | None, partition: int, group: Sequence[Placed]
    ) -> Iterator[Wrong]:
        """Decisions that name one bundle."""
        if checker is None and not self._headers_lost:
            for place, one in group:
                yield place, one, "unknown_bundle", one.bundle, None, ""
            return
        if checker is None:
            self.tally.unchecked += len(group)
            return
        yield from _wrong_places(checker.bundle, partition, group)
        if checker.is_ready:
            yield from _wrong_choices(checker, group)
        else:
            self.tally.unchecked += len(group)

    def _finding(
        self,
        partition: int,
        offset: int,
        one: Decided,
        kind: FindingKind,
        logged: Any,
        recomputed: Any,
        note: str,
    ) -> Finding:
        return Finding(
            kind=kind,
            topic=self._topic,
            partition=partition,
            offset=offset,
            subject=one.id,
            logged=logged,
            recomputed=recomputed,
            note=note,
        )


def _wrong_places(bundle: Bundle, partition: int, group: Sequence[Placed]) -> Iterator[Wrong]:
    """Decisions that stand before their bundle's cut, or name another definition version."""
    covered = bundle.cut[partition] if partition < len(bundle.cut) else 0
    note = f"its bundle {bundle.hash} covers this partition up to offset {covered}"
    version = bundle.definition
    for place, one in [each for each in group if each[0] < covered or each[1].definition != version]:
        if place < covered:
            yield place, one, "bundle_ahead", one.bundle, None, note
        if one.definition != version:
            yield place, one, "definition_differs", one.definition, version, ""


def _wrong_choices(checker: Checker, group: Sequence[Placed]) -> Iterator[Wrong]:
    """Decisions whose action or propensity the bundle does not give."""
    answers = checker.decide([one for _, one in group])
    for (place, one), answer in zip(group, answers, strict=True):
        if answer == (one.action, one.propensity):
            continue
        if isinstance(answer, InputError):
            known = list(checker.bundle.actions)
            yield place, one, "available_unknown", one.available, known, answer.args[0]
            continue
        action, propensity = answer
        if one.action != action:
            yield place, one, "action_differs", one.action, action, ""
        if one.propensity != propensity:
            yield place, one, "propensity_differs", one.propensity, propensity, ""
