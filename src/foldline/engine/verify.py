"""Verifying decisions and outcomes against the bundles they name, many of one bundle at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from xxhash import xxh3_64_intdigest

from foldline.engine.findings import Finding, FindingKind
from foldline.engine.shelf import Shelf
from foldline.errors import InputError
from foldline.loops.bundle import Bundle
from foldline.loops.deciding import ACTION, Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.policies.protocol import WHOLE
from foldline.records.hashing import partition_of
from foldline.records.types import AnyRecord, Decision, Outcome

FALLBACK: Final = "fallback"
"""What a decision names, with definition 0, that an edge client made before any bundle had reached it."""

CHECKERS: Final = 64
"""Bundles kept ready to check with; one that is not takes about 50 us for 20 actions."""

Decided = Decision | Outcome


@dataclass(slots=True)
class DecisionTally:
    """What was read.

    Attributes:
        decisions: decision records.
        outcomes: outcome records.
        fallback: those of both decided before any bundle came.
        unchecked: those of both whose bundle could not be recomputed.
    """

    decisions: int = 0
    outcomes: int = 0
    fallback: int = 0
    unchecked: int = 0


class Checker:
    """A recomputed bundle as a table, to decide again for many ids at once.

    Attributes:
        bundle: the bundle; a header where it could not be recomputed.
        is_ready: whether it was recomputed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.is_ready = bundle.parameters is not None
        if self.is_ready:
            self._compiled = Decider(bundle).compiled
            self._cumulative = np.cumsum(self._compiled.weights)
            self._propensities = self._compiled.weights / WHOLE
            self._prefix = f"{bundle.salt}\x1f{ACTION}\x1f".encode()

    def decide(self, some: Sequence[Decided]) -> list[tuple[str, float] | InputError]:
        """Action and propensity of each, or the error where its mask leaves nothing to choose from.

        What has neither mask nor context is looked up in the one table all at once: the draw is
        `records.hashing.draw`, its place that of `Compiled.choose`.
        """
        prefix, actions = self._prefix, self._compiled.actions
        draws = np.array(
            [xxh3_64_intdigest(prefix + one.id.encode()) for one in some], np.uint64
        ) >> np.uint64(11)
        places = self._cumulative.searchsorted(draws.view(np.int64), side="right")
        propensities = self._propensities[places].tolist()
        answers: list[tuple[str, float] | InputError] = [
            (actions[place], propensity)
            for place, propensity in zip(places.tolist(), propensities, strict=True)
        ]
        for i, one in enumerate(some):
            if one.available is not None or one.context is not None:
                answers[i] = self._decide_apart(one, int(draws[i]))
        return answers

    def _decide_apart(self, one: Decided, draw: int) -> tuple[str, float] | InputError:
        try:
            return self._compiled.decide(one.context, draw, one.available)
        except InputError as error:
            if error.code not in {"input.unknown_action", "input.no_action"}:
                raise
            return error


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

    def verify(self, partition: int, offset: int, records: Sequence[AnyRecord | None]) -> list[Finding]:
        """What is wrong with consecutive records of a partition, the first at an offset; in no order."""
        found: list[Finding] = []
        groups: dict[str, tuple[list[int], list[Decided]]] = {}
        for place, record in enumerate(records, start=offset):
            if isinstance(record, Decision):
                self.tally.decisions += 1
            elif isinstance(record, Outcome):
                self.tally.outcomes += 1
            else:
                continue
            if record.bundle == FALLBACK and record.definition == 0:
                self.tally.fallback += 1
                found += self._check_fallback(partition, place, record)
                continue
            places, some = groups.setdefault(record.bundle, ([], []))
            places.append(place)
            some.append(record)
        for name, (places, some) in groups.items():
            found += self._check_ids(partition, places, some)
            found += self._check_group(self._checker(name), partition, places, some)
        return found

    def _check_fallback(self, partition: int, place: int, one: Decided) -> list[Finding]:
        found = []
        if one.action not in self._actions:
            found.append(
                self._finding(
                    "action_differs",
                    partition,
                    place,
                    one,
                    one.action,
                    None,
                    "no version of the loop has had this action",
                )
            )
        if one.propensity != 1.0:
            found.append(self._finding("propensity_differs", partition, place, one, one.propensity, 1.0))
        return found

    def _check_ids(self, partition: int, places: list[int], some: list[Decided]) -> list[Finding]:
        """Ids that do not begin as those of this partition do, and units that belong elsewhere."""
        here, count = f"{self._generation}.{partition}.", self._partitions
        found = []
        for place, one in zip(places, some, strict=True):
            home = partition_of(one.unit, count) if count > 1 else 0
            if home == partition and one.id.startswith(here) and len(one.id) > len(here):
                continue
            prefix = f"{self._generation}.{home}."
            if not one.id.startswith(prefix) or len(one.id) == len(prefix):
                expected = prefix + one.id.split(".", 2)[-1]
                found.append(self._finding("id_differs", partition, place, one, one.id, expected))
            else:
                found.append(self._finding("misplaced", partition, place, one, partition, home))
        return found

    def _check_group(
        self, checker: Checker | None, partition: int, places: list[int], some: list[Decided]
    ) -> list[Finding]:
        """Decisions that name one bundle."""
        if checker is None:
            if self._headers_lost:
                self.tally.unchecked += len(some)
                return []
            return [
                self._finding("unknown_bundle", partition, place, one, one.bundle, None)
                for place, one in zip(places, some, strict=True)
            ]
        bundle = checker.bundle
        found = []
        if partition < len(bundle.cut) and places[0] < bundle.cut[partition]:
            note = f"its bundle {bundle.hash} covers this partition up to offset {bundle.cut[partition]}"
            found += [
                self._finding("bundle_ahead", partition, place, one, one.bundle, None, note)
                for place, one in zip(places, some, strict=True)
                if place < bundle.cut[partition]
            ]
        found += [
            self._finding("definition_differs", partition, place, one, one.definition, bundle.definition)
            for place, one in zip(places, some, strict=True)
            if one.definition != bundle.definition
        ]
        if checker.is_ready:
            return found + self._check_choices(checker, partition, places, some)
        self.tally.unchecked += len(some)
        return found

    def _check_choices(
        self, checker: Checker, partition: int, places: list[int], some: list[Decided]
    ) -> list[Finding]:
        found = []
        for place, one, answer in zip(places, some, checker.decide(some), strict=True):
            if answer == (one.action, one.propensity):
                continue
            if isinstance(answer, InputError):
                found.append(
                    self._finding(
                        "available_unknown",
                        partition,
                        place,
                        one,
                        one.available,
                        list(checker.bundle.actions),
                        answer.args[0],
                    )
                )
                continue
            action, propensity = answer
            if one.action != action:
                found.append(self._finding("action_differs", partition, place, one, one.action, action))
            if one.propensity != propensity:
                found.append(
                    self._finding("propensity_differs", partition, place, one, one.propensity, propensity)
                )
        return found

    def _finding(
        self, kind: FindingKind, partition: int, offset: int, one: Decided, logged: Any, recomputed: Any,
        note: str = "",
    ) -> Finding:  # fmt: skip
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
