"""Deciding while experiments run: first the variant, by the unit's hash; then the action, by the variant's policy."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from foldline.experiments.assignment import Assignment, assigner
from foldline.experiments.conditions import matches
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.promotion import Promoted, promoted_units
from foldline.experiments.reasons import Reason
from foldline.loops.bundle import Bundle
from foldline.loops.deciding import Decider
from foldline.records.types import Decision

_UNTOUCHED: Final = frozenset({Reason.FORCED, Reason.HOLDOUT, Reason.ERROR})
"""Units that no promotion reaches."""


class Chooser(Protocol):
    """What decides: a bundle alone, or one with experiments before it."""

    @property
    def bundle(self) -> Bundle:
        """The loop's own bundle."""

    def decide(
        self,
        unit: str,
        local: str,
        time: int,
        *,
        partition: int | None = None,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        occurred: int | None = None,
        account: str | None = None,
    ) -> Decision:
        """See `Decider.decide`."""


class TrialDecider:
    """One running experiment, ready to decide; immutable.

    Args:
        definition: a running version.
        deciders: of every variant, by key.
    """

    __slots__ = ("_assign", "_condition", "_is_promoted", "_promoted", "deciders", "definition")

    def __init__(self, definition: ExperimentDefinition, deciders: Mapping[str, Decider]) -> None:
        self.definition = definition
        self.deciders = dict(deciders)
        self._assign = assigner(definition.plan())
        self._condition = definition.condition
        self._promoted: Assignment | None = None
        self._is_promoted: Promoted | None = None
        if definition.promoted is not None:
            self._promoted = Assignment(definition.promoted, Reason.PROMOTED)
            self._is_promoted = promoted_units(definition.salt, definition.promoted_share)

    def assign(
        self, unit: str, context: Mapping[str, Any] | None = None, account: str | None = None
    ) -> Assignment:
        """What the unit gets: a pure function of its id, and of whether the condition holds for its context.

        An account that is on the list of forced units gets its variant whatever its unit was before.
        """
        assignment = self._assign(account if account in self.definition.forced else unit)
        if self._is_promoted is not None and self._promoted is not None:
            untouched = assignment.reason in _UNTOUCHED
            if not untouched and self._is_promoted(unit):
                assignment = self._promoted
        if self._condition is None or assignment.variant is None or assignment.reason is Reason.FORCED:
            return assignment
        if matches(self._condition, context or {}):
            return assignment
        return Assignment(None, Reason.NOT_TARGETED)


class Trying:
    """A loop's decider with the experiments that run on it. The first that has the unit decides; immutable.

    Where none has it, the decision is the loop's own, and its reason that of the first experiment asked.

    Args:
        decider: the loop's own.
        trials: running experiments, in the order in which they are asked.
        idle: the reason of decisions while none runs, where one is paused or ended.
    """

    __slots__ = ("_decider", "_idle", "trials")

    def __init__(self, decider: Decider, trials: Sequence[TrialDecider], idle: Reason | None = None) -> None:
        self._decider = decider
        self._idle = idle
        self.trials = tuple(trials)

    @property
    def bundle(self) -> Bundle:
        """The loop's own bundle."""
        return self._decider.bundle

    def decide(
        self,
        unit: str,
        local: str,
        time: int,
        *,
        partition: int | None = None,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        occurred: int | None = None,
        account: str | None = None,
    ) -> Decision:
        """See `Decider.decide`; says why, and names experiment and variant where one of its variants decided."""
        missed: Reason | None = None
        for trial in self.trials:
            variant, reason, probability, _ = trial.assign(unit, context, account)
            if variant is None:
                missed = missed or reason
                continue
            made = trial.deciders[variant].decide(
                unit,
                local,
                time,
                partition=partition,
                context=context,
                available=available,
                occurred=occurred,
                account=account,
            )
            return msgspec.structs.replace(
                made,
                reason=reason.value,
                experiment=trial.definition.name,
                variant=variant,
                probability=probability,
            )
        made = self._decider.decide(
            unit,
            local,
            time,
            partition=partition,
            context=context,
            available=available,
            occurred=occurred,
            account=account,
        )
        why = missed or self._idle
        return made if why is None else msgspec.structs.replace(made, reason=why.value)
