"""An experiment's handle: start, pause, stop, see what is known."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from foldline.engine.announcer import Announcement, read_announcements
from foldline.engine.examining import AssignmentCheck, check_assignments, read_results
from foldline.engine.experimenting import (
    Change,
    change_experiment,
    drafted,
    ended,
    paused,
    ramped,
    read_experiments,
    started,
    there,
)
from foldline.engine.host import Host
from foldline.engine.promoting import promote, roll_back
from foldline.engine.segmenting import SegmentReader
from foldline.errors import FoldError, InputError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition, Learns
from foldline.experiments.goals import Mean, Proportion, Ratio
from foldline.experiments.measure import Goal
from foldline.experiments.results import Results
from foldline.experiments.segments import Segmented
from foldline.experiments.settings import ExperimentSettings, settings_of
from foldline.experiments.succession import reweighted
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.policies.protocol import Policy

READY_TIMEOUT_S = 30.0
"""Generous: the first fold on a new machine compiles its kernels."""


class Experiment:
    """A test of policies against each other. Made by `Loop.experiment`; thread-safe.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     news = app.loop("news", actions=["a", "b"])
        ...     goal = fl.Proportion("reward", baseline=0.07, effect=0.04)
        ...     test = news.experiment(
        ...         "b-or-a", control=fl.Fixed("a"), challenger=fl.Fixed("b"), goal=goal, max_days=28)
        ...     test.stop()
        ...     test.definition.state, test.results().verdict
        ('ended', None)
    """

    def __init__(self, log: Log, host: Host, loop: str, name: str, clock: Callable[[], int]) -> None:
        self._log, self._host, self._loop, self._clock = log, host, loop, clock
        self.name = name
        self._holder = f"experiment:{uuid.uuid4().hex[:8]}"

    @property
    def definition(self) -> ExperimentDefinition:
        """The newest version of the definition. Reads the log."""
        catalogue = ExperimentCatalogue()
        read_experiments(self._log, catalogue)
        return catalogue.one(self.name)

    def attach(self) -> None:
        """See that it stands on the log, on this loop.

        Raises:
            InputError: `input.unknown_experiment`; `input.invalid` where it is of another loop.
        """
        loop = self.definition.loop
        if loop != self._loop:
            raise InputError(
                "input.invalid",
                f"experiment {self.name!r} is of loop {loop!r}, not of {self._loop!r}",
                field="name",
            )

    def define(self, settings: ExperimentSettings) -> None:
        """Define it as a draft. The same settings again change nothing.

        Raises:
            InputError, DefinitionError: it is incoherent, or another experiment has this name.
        """
        salt, now = uuid.uuid4().hex, self._clock()
        self._change(drafted(settings, self.name, self._loop, salt=salt, now=now))

    def start(self) -> None:
        """Start it, or go on after a pause; returns once this process decides with it.

        Raises:
            DefinitionError: it has ended.
            FoldError: `fold.no_bundle` where no learner made the variants ready in time.
        """
        self._change(lambda old: started(there(old, self.name), self._clock()))
        self._await(self._is_decided_with, "of every variant")

    def pause(self) -> None:
        """Assign nobody for now; units keep maturing."""
        self._change(lambda old: paused(there(old, self.name)))

    def stop(self) -> None:
        """End it by hand: without a verdict before, it is inconclusive."""
        self._change(lambda old: ended(there(old, self.name), self._clock()))

    def ramp(self, coverage: float) -> None:
        """Enrol another share of the eligible units; it only rises, and moves nobody between variants.

        Raises:
            DefinitionError: it would fall.
        """
        self._change(lambda old: ramped(there(old, self.name), coverage))

    def reweight(self, weights: Sequence[int], coverage: float | None = None) -> None:
        """Give units enrolled from now on other weights; those enrolled keep their variants. A new phase is counted.

        Args:
            weights: of the variants, in their order.
            coverage: enrolled with them; by default as before, to be raised with `ramp`.

        Raises:
            InputError: not one weight for each variant.
            DefinitionError: it is not sticky, or covers every unit already.
        """
        self._change(lambda old: reweighted(there(old, self.name), weights, coverage))

    def promote(self, variant: str | None = None, share: float = 1.0) -> None:
        """Give a variant, by default the verdict's winner, to a share of the units; of all, its policy is the loop's.

        Raises:
            InputError: there is no winner and no variant is named.
            DefinitionError: it does not run, and the share is below 1; or the share would fall.
            FoldError: `fold.no_bundle` where it stands on the log, but no learner made the policy ready in time.
        """
        promote(self._log, self.name, variant=variant, share=share, holder=self._holder, now=self._clock())
        self._follow_policy()

    def roll_back(self) -> None:
        """Take a promotion back; the loop gets the policy that it had.

        Raises:
            DefinitionError: nothing is promoted, or the loop's policy was changed since.
            FoldError: `fold.no_bundle` where it stands on the log, but no learner made the policy ready in time.
        """
        roll_back(self._log, self.name, holder=self._holder, now=self._clock())
        self._follow_policy()

    def results(self, at: Cut | None = None, *, until: int | None = None) -> Results:
        """What is known of it. Reads the log.

        Args:
            at: a cut, one offset for each partition: folds the log again to there. By default the newest roots are
                read, which lag behind by a second or so.
            until: stream time to stop at, milliseconds.

        Raises:
            InputError: the cut lies beyond the log.
        """
        return read_results(
            self._log, self._host.catalogue.one(self._loop), self.definition, at=at, until=until
        )

    def by_segment(self, attribute: str, at: Cut | None = None) -> Segmented:
        """Results by a declared segment: exploratory, no part of the verdict. Reads the loop's whole log.

        Args:
            attribute: of the context; one of the `segments` of the settings.
            at: a cut, one offset for each partition; the end of the log by default.

        Raises:
            InputError: the attribute was not declared; the cut lies beyond the log.
        """
        loop = self._host.catalogue.one(self._loop)
        return SegmentReader(self._log, loop, self.definition, attribute).read(at)

    def announcements(self) -> list[Announcement]:
        """Its verdict and breaches as they stand on the log, in order. Reads the log."""
        return read_announcements(self._log, self._host.catalogue.one(self._loop), self.name)

    def check(self) -> AssignmentCheck:
        """Recompute the variant of every decision logged in it. Reads the whole log."""
        catalogue = ExperimentCatalogue()
        read_experiments(self._log, catalogue)
        return check_assignments(
            self._log, self._host.catalogue.one(self._loop), catalogue.versions(self.name)
        )

    def _change(self, change: Change) -> None:
        change_experiment(
            self._log,
            ExperimentCatalogue(),
            self._host.catalogue,
            self.name,
            change,
            holder=self._holder,
            now=self._clock(),
        )
        self._host.round()

    def _follow_policy(self) -> None:
        """Wait until this process decides with the loop's newest version."""
        self._host.round()
        newest = self._host.catalogue.one(self._loop).version
        self._await(lambda: self._decides_with(newest), f"of version {newest} of loop {self._loop!r}")

    def _await(self, ready: Callable[[], bool], what: str) -> None:
        if self._host.await_bundle(ready, READY_TIMEOUT_S):
            return
        if self._host.failure is not None:
            raise self._host.failure
        raise FoldError(
            "fold.no_bundle",
            f"experiment {self.name!r}: no bundle {what} came within {READY_TIMEOUT_S:g} s; "
            "is a learner running on this log?",
        )

    def _decides_with(self, version: int) -> bool:
        replica = self._host.replica(self._loop)
        return (
            replica is not None
            and replica.decider is not None
            and replica.decider.bundle.definition >= version
        )

    def _is_decided_with(self) -> bool:
        replica = self._host.replica(self._loop)
        return replica is not None and replica.tries(self.name)


def settings_given(
    name: str,
    policies: Mapping[str, Policy],
    goal: Proportion | Mean | Ratio | Goal | None,
    max_days: float | None,
    learns: Learns | Mapping[str, Learns],
    others: Mapping[str, Any],
) -> ExperimentSettings:
    """What `Loop.experiment` was given, as one value.

    Args:
        name: of the experiment.
        policies: by the variant's key.
        goal: what decides.
        max_days: at most so long.
        learns: from which decisions the variants' policies learn; or by variant.
        others: further settings by name.

    Raises:
        InputError: `input.invalid` without a goal or a greatest duration, or where `learns` names no variant.
    """
    if goal is None or max_days is None:
        raise InputError(
            "input.invalid",
            f"experiment {name!r} has no {'goal' if goal is None else 'max_days'}; it is fixed before the "
            "start",
            field="goal" if goal is None else "max_days",
        )
    share = {} if isinstance(learns, str) else dict(learns)
    variants = [
        {
            "key": key,
            "policy": policy,
            "learns": learns if isinstance(learns, str) else share.pop(key, "own"),
        }
        for key, policy in policies.items()
    ]
    if share:
        raise InputError(
            "input.invalid",
            f"experiment {name!r}: learns names {sorted(share)}; its variants are {sorted(policies)}",
            field="learns",
        )
    whole = goal if isinstance(goal, Goal) else goal.goal()
    return settings_of({"variants": variants, "goal": whole, "max_days": max_days, **others})
