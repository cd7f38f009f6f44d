"""A trial: what one process runs for one experiment. Its tally, and a policy for each variant, learnt and followed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from foldline.engine.announcer import Announcer
from foldline.engine.learner import Learner, Pace
from foldline.engine.publisher import Publisher
from foldline.engine.replica import Replica
from foldline.engine.worker import Read
from foldline.errors import LeaseLost, LogError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.tally_fold import TallyFold
from foldline.fold.protocol import Fold
from foldline.log.protocol import Log, Share
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.loops.trying import TrialDecider
from foldline.loops.variants import Definitions, VariantCatalogue, variant_definition

_logger = logging.getLogger("foldline.engine")


@dataclass(slots=True)
class Arm:
    """One variant; without `learner` it is only followed."""

    definition: LoopDefinition
    replica: Replica
    learner: Learner | None = None
    publisher: Publisher | None = None


class Trial:
    """Runs one experiment for one process.

    Args:
        log: the log.
        loops: the loops' definitions, kept up to date by the caller.
        loop: newest version of the experiment's loop.
        experiment: newest version.
        holder: names this process in leases.
        pace: of the variants' policies.
        learn: whether this process learns.
        read: reads micro-batches; shared with the loop's other folds.
        stamp: the clock that stamps what this process appends, milliseconds.
        share: says which partitions to work on.
    """

    def __init__(
        self,
        log: Log,
        loops: Definitions,
        loop: LoopDefinition,
        experiment: ExperimentDefinition,
        *,
        holder: str,
        pace: Pace,
        learn: bool,
        read: Read,
        stamp: Callable[[], int],
        share: Share,
    ) -> None:
        self.experiment = experiment
        self._loop = loop
        self.arms: dict[str, Arm] = {}
        self.tally: Learner | None = None
        self.announcer: Announcer | None = None
        self._stamp = stamp
        self._announcer: Callable[[LoopDefinition, ExperimentDefinition], Announcer] = lambda newest, one: (
            Announcer(log, loops, newest, one, holder, lease_s=pace.lease_s)
        )
        for key in experiment.keys:
            definition = variant_definition(loop, experiment, key)
            arm = self.arms[key] = Arm(definition, Replica(log, topics_of(definition).policy))
            if learn:
                catalogue = VariantCatalogue(loops, experiment, key)
                arm.learner = Learner(log, definition, holder, pace, leads=False, read=read, share=share)
                arm.publisher = Publisher(log, catalogue, definition, holder, lease_s=pace.lease_s)
        if learn:
            self.tally = Learner(
                log,
                loop,
                holder,
                pace.following(),
                fold_of=_tally_of(experiment),
                leads=False,
                ticks=True,
                read=read,
                stamp=stamp,
                share=share,
            )
            self.announcer = self._announcer(loop, experiment)
        self._decider: TrialDecider | None = None

    @property
    def learners(self) -> list[Learner]:
        """Those of the tally and of every variant's policy that run here."""
        found = [self.tally, *(arm.learner for arm in self.arms.values())]
        return [learner for learner in found if learner is not None]

    def redefine(self, loop: LoopDefinition, experiment: ExperimentDefinition, *, now: int) -> None:
        """Follow new versions of loop and experiment."""
        if loop is not self._loop:
            for key, arm in self.arms.items():
                arm.definition = variant_definition(loop, experiment, key)
                if arm.learner is not None:
                    arm.learner.redefine(arm.definition, now=now)
                if arm.publisher is not None:
                    arm.publisher.redefine(arm.definition)
            if self.tally is not None:
                self.tally.redefine(loop, now=now)
        if experiment.phase != self.experiment.phase:
            self._begin_phase(loop, experiment, now)
        if experiment is not self.experiment:
            self._decider = None
            if experiment.state == "ended":
                self._close_arms(now)
        self._loop, self.experiment = loop, experiment

    def learn(self, *, now: int, every_ms: int) -> int:
        """One round of every variant's policy and of the tally; the number of records folded."""
        folded = 0
        for arm in self.arms.values():
            if arm.learner is not None and arm.publisher is not None:
                folded += arm.learner.step(now=now, publisher=arm.publisher)
                try:
                    arm.publisher.step(now=now, every_ms=every_ms)
                except LeaseLost as error:
                    _logger.warning("lost the publishing lease of %s: %s", arm.definition.branch, error)
        if self.tally is not None:
            folded += self.tally.step(now=now)
        if self.announcer is not None and self.tally is not None:
            try:
                self.announcer.step(
                    self.experiment, now=now, stamp=self._stamp(), every_ms=self.tally.pace.root_every_ms
                )
            except LeaseLost as error:
                _logger.warning("lost the announcing lease of %s: %s", self.experiment.name, error)
        return folded

    def follow(self) -> bool:
        """Read what has come; True if deciding changes."""
        swapped = [arm.replica.step() for arm in self.arms.values()]
        if any(swapped):
            self._decider = None
        return any(swapped)

    def decider(self) -> TrialDecider | None:
        """The experiment, ready to decide; None while it does not run, or while a variant has no bundle.

        Were a variant without one passed over, its units would be lost to the comparison.
        """
        if self.experiment.state != "running":
            return None
        if self._decider is None:
            found = {key: arm.replica.decider for key, arm in self.arms.items()}
            ready = {key: decider for key, decider in found.items() if decider is not None}
            if len(ready) < len(found):
                return None
            self._decider = TrialDecider(self.experiment, ready)
        return self._decider

    def is_over(self, now: int) -> bool:
        """Whether nothing can come any more that would count."""
        one = self.experiment
        wait = one.window_ms + one.maturity_ms + one.late_ms
        return one.state == "ended" and one.ended is not None and now > one.ended + 2 * wait + 3_600_000

    def close(self, *, now: int) -> None:
        """Write what is known and give every lease up."""
        self._close_arms(now)
        if self.tally is not None:
            self.tally.close(now=now)
            self.tally = None
        if self.announcer is not None:
            self.announcer.close()
            self.announcer = None

    def _begin_phase(self, loop: LoopDefinition, experiment: ExperimentDefinition, now: int) -> None:
        """Count anew from the phase's marker, and announce what that gives."""
        if self.tally is not None:
            self.tally.redefine(loop, now=now, fold_of=_tally_of(experiment))
        if self.announcer is not None:
            self.announcer.close()
            self.announcer = self._announcer(loop, experiment)

    def _close_arms(self, now: int) -> None:
        for arm in self.arms.values():
            if arm.learner is not None:
                arm.learner.close(now=now)
            if arm.publisher is not None:
                try:
                    arm.publisher.close()
                except LogError as error:
                    _logger.warning("keeping a publishing lease until it runs out: %s", error)
            arm.learner = arm.publisher = None


def _tally_of(experiment: ExperimentDefinition) -> Callable[[LoopDefinition], Fold[Any]]:
    fold = TallyFold(experiment)
    return lambda _loop: fold
