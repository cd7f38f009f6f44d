"""A variant's policy as a loop of its own: the same events, another policy, folded from the decisions it may learn of.

Everything that learns, publishes and follows a loop's policy does the same for a variant's; only its roots and
bundles stand on topics of their own.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec
import numpy as np

from foldline.experiments.definition import ExperimentDefinition, Learns
from foldline.fold.event_fold import EventState
from foldline.fold.protocol import Applied, Dump
from foldline.fold.rule import RewardRule
from foldline.loops.definition import LoopDefinition
from foldline.policies.fold import Known, PolicyFold
from foldline.policies.protocol import Policy
from foldline.records.columns import Columns, Kind
from foldline.records.hashing import hash128


class VariantDefinition(LoopDefinition, frozen=True, kw_only=True, tag="variant"):
    """A version of a loop with a variant's policy in the place of its own; never written to a catalogue.

    Attributes:
        experiment: its name.
        variant: the variant's key.
        learns: from which decisions its policy learns.
    """

    experiment: str
    variant: str
    learns: Learns

    @property
    def branch(self) -> str:
        """See `LoopDefinition.branch`."""
        return f".{self.experiment}.{self.variant}"

    def fold(self) -> PolicyFold:
        """The fold that learns the variant's policy."""
        return VariantFold(
            self.build_policy(),
            self.reward,
            experiment=self.experiment,
            variant=self.variant,
            learns=self.learns,
        )


def variant_definition(loop: LoopDefinition, experiment: ExperimentDefinition, key: str) -> VariantDefinition:
    """The loop as a variant decides in it.

    Raises:
        InputError: `input.invalid` where there is no such variant.
    """
    variant = experiment.variant(key)
    fields = {name: getattr(loop, name) for name in LoopDefinition.__struct_fields__}
    return VariantDefinition(
        **{**fields, "policy": variant.policy},
        experiment=experiment.name,
        variant=key,
        learns=variant.learns,
    )


class Definitions(Protocol):
    """What publishers and audits ask of a catalogue; see `loops.catalogue.Catalogue`."""

    def get(self, name: str) -> LoopDefinition | None:
        """The newest version, or None."""

    def at(self, name: str, version: int) -> LoopDefinition:
        """A version that must be there."""

    def one(self, name: str) -> LoopDefinition:
        """The newest version, which must be there."""

    def actions(self, name: str) -> Collection[str]:
        """Every action that any version has had."""


class VariantCatalogue:
    """A loop's versions, each as a variant decides in it.

    Args:
        loops: the catalogue behind.
        experiment: any version: its variants are fixed.
        key: the variant's.
    """

    def __init__(self, loops: Definitions, experiment: ExperimentDefinition, key: str) -> None:
        self._loops, self._experiment, self._key = loops, experiment, key

    def get(self, name: str) -> LoopDefinition | None:
        """See `Definitions.get`."""
        found = self._loops.get(name)
        return None if found is None else variant_definition(found, self._experiment, self._key)

    def at(self, name: str, version: int) -> LoopDefinition:
        """See `Definitions.at`."""
        return variant_definition(self._loops.at(name, version), self._experiment, self._key)

    def one(self, name: str) -> LoopDefinition:
        """See `Definitions.one`."""
        return variant_definition(self._loops.one(name), self._experiment, self._key)

    def actions(self, name: str) -> Collection[str]:
        """See `Definitions.actions`."""
        return self._loops.actions(name)


@dataclass(slots=True)
class VariantState(EventState[Known]):
    """Known and pending halves, and whether the start of the experiment has frozen the known one."""

    frozen: bool = False


class VariantFold(PolicyFold):
    """A policy fold that takes in what its variant may learn of.

    `own`: the decisions of its units alone; `shared`: all of the loop; `frozen`: all before the marker that starts
    the experiment, after which nothing is learnt any more.
    """

    def __init__(
        self, policy: Policy, rule: RewardRule, *, experiment: str, variant: str, learns: Learns
    ) -> None:
        super().__init__(policy, rule)
        self.experiment, self.variant, self.learns = experiment, variant, learns
        self._hashes = np.array([hash128(experiment), hash128(variant)], np.uint64)

    def parameters(self) -> dict[str, Any]:
        """The policy's, and whose decisions are learnt from."""
        mine = {"experiment": self.experiment, "variant": self.variant, "learns": self.learns}
        return {**super().parameters(), "variant_of": mine}

    def empty(self) -> VariantState:
        """Nothing known, nothing pending."""
        state = super().empty()
        return VariantState(state.known, state.attribution, state.vocabulary)

    def apply(self, state: EventState[Known], columns: Columns, *, muted: bool = False) -> Applied:
        """See `Fold.apply`."""
        if self.learns == "own":
            return super().apply(state, self._own(columns), muted=muted)
        if self.learns == "shared" or not isinstance(state, VariantState):
            return super().apply(state, columns, muted=muted)
        start = 0 if state.frozen else self._start(columns)
        applied = super().apply(state, columns.slice(0, start), muted=muted) if start else Applied()
        if start < len(columns):
            state.frozen = True
            super().apply(state, columns.slice(start, len(columns)), muted=True)
        return applied

    def dump(self, state: EventState[Known], *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """See `Fold.dump`."""
        dumped = super().dump(state, pending=pending, standing=standing)
        if not pending:
            return dumped
        frozen = isinstance(state, VariantState) and state.frozen
        lasting = {place + 1: name for place, name in dumped.lasting.items()}
        return Dump(dumped.known, [msgspec.json.encode(frozen), *dumped.pending], lasting)

    def load(self, dump: Dump) -> VariantState:
        """The state dumped."""
        state = super().load(Dump(dump.known, dump.pending[1:]))
        frozen = bool(dump.pending) and msgspec.json.decode(dump.pending[0], type=bool)
        return VariantState(state.known, state.attribution, state.vocabulary, frozen)

    def _start(self, columns: Columns) -> int:
        """The row of the marker that starts the experiment, or their number."""
        rows = [
            row
            for row, phase in columns.phases.items()
            if phase.experiment == self.experiment and phase.state == "running"
        ]
        return min(rows, default=len(columns))

    def _own(self, columns: Columns) -> Columns:
        """Decisions of others become ticks: they move time, and rewards that name them find nothing."""
        mine = (columns.experiment == self._hashes[0]).all(axis=1) & (columns.variant == self._hashes[1]).all(
            axis=1
        )
        others = ((columns.kind == Kind.DECISION) & ~mine) | (columns.kind == Kind.OUTCOME)
        if not others.any():
            return columns
        kind = columns.kind.copy()
        kind[others] = Kind.TICK
        return replace(columns, kind=kind)
