"""The host: one thread that runs what this process does for its loops: learn, publish, follow.

In a round every policy is learnt and published first; the other folds come after, so that no bundle waits for them.
`round` is one deterministic turn over everything; the thread repeats it and sleeps in the log's `wait` between.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from foldline.engine import experimenting
from foldline.engine.defining import follow_catalogue, topics_needed
from foldline.engine.experimenting import create_experiments, follow_experiments
from foldline.engine.learner import Learner, Pace
from foldline.engine.publisher import Publisher
from foldline.engine.reading import Readings, read_batch
from foldline.engine.replica import Replica
from foldline.engine.standing_topics import examine_topics
from foldline.engine.trial import Trial
from foldline.engine.worker import Read
from foldline.errors import FoldError, LeaseLost, LogError
from foldline.experiments.catalogue import EXPERIMENTS, ExperimentCatalogue
from foldline.experiments.reasons import Reason
from foldline.log.protocol import Log, Share, Topic
from foldline.log.shares import FirstCome
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.folds import TIMELINE, AttachedFold, attached_folds
from foldline.loops.topics import CATALOGUE, topics_of

_logger = logging.getLogger("foldline.engine")

CLEAN_EVERY_MS = 30_000
IDLE_S = 0.1
RETRY_S = 0.5

_IDLE = {"paused": Reason.EXPERIMENT_PAUSED, "ended": Reason.EXPERIMENT_ENDED}
"""Why nobody is assigned; of an experiment that ended until nothing of it can count any more."""


@dataclass(slots=True)
class Hosted:
    """What this process runs for one loop; without `learn` only the replica. `attached` are the further folds."""

    definition: LoopDefinition
    replica: Replica
    learner: Learner | None = None
    publisher: Publisher | None = None
    attached: dict[str, Learner] = field(default_factory=dict)
    share: Share = field(default_factory=FirstCome)
    trials: dict[str, Trial] = field(default_factory=dict)
    read: Read = read_batch

    @property
    def learners(self) -> list[Learner]:
        """Those of every fold, the policy's first."""
        return [*([] if self.learner is None else [self.learner]), *self.attached.values()]


class Host:
    """Runs loops for one process; with `every_loop` all that the catalogue names, as they come.

    With `timeline`, those who learn keep the loops' timelines too; and run what `folds` names for a version of a loop,
    by default the folds of its definition. `stamp` is the clock of what they append for experiments, where it is not
    `clock`.

    Attributes:
        catalogue: the definitions, up to date as of the last round.
        experiments: likewise.
        failure: the error that stopped the thread, or None.
        listeners: called, in the host's thread, after a replica has swapped to a newer bundle.
    """

    def __init__(
        self,
        log: Log,
        *,
        holder: str,
        learn: bool,
        clock: Callable[[], int],
        pace: Pace | None = None,
        every_loop: bool = False,
        timeline: bool = True,
        stamp: Callable[[], int] | None = None,
        folds: Callable[[LoopDefinition], Sequence[AttachedFold]] = attached_folds,
    ) -> None:
        self._log = log
        self._holder = holder
        self._learn = learn
        self._timeline = timeline
        self._folds = folds
        self._clock = clock
        self._stamp = stamp or clock
        self._pace = pace or Pace()
        self._hosted: dict[str, Hosted] = {}
        self._turn = threading.Lock()
        self._bundle_changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cleaned_at = clock()
        self.catalogue = Catalogue()
        self.experiments = ExperimentCatalogue()
        create_experiments(log)
        self.failure: BaseException | None = None
        self.listeners: list[Callable[[], None]] = []
        self._every_loop = every_loop

    def add(self, definition: LoopDefinition) -> Replica:
        """Host a loop, or follow its new version; a turn is taken before returning."""
        with self._turn:
            hosted = self._hosted.get(definition.name)
            if hosted is None:
                hosted = self._hosted[definition.name] = self._host(definition)
            elif hosted.definition.version < definition.version:
                self._redefine(hosted, definition)
            self._round()
        return hosted.replica

    def replica(self, name: str) -> Replica | None:
        """The loop's replica in this process, if it is hosted."""
        hosted = self._hosted.get(name)
        return hosted.replica if hosted is not None else None

    def learner(self, name: str) -> Learner | None:
        """The loop's learner in this process, if any."""
        return self._hosted[name].learner

    def failed(self, name: str) -> list[FoldError]:
        """What stopped partitions of the loop's folds in this process; empty where all go on."""
        hosted = self._hosted.get(name)
        learners = [] if hosted is None else hosted.learners
        return [error for learner in learners for error in tuple(learner.failed.values())]

    def round(self) -> int:
        """One turn over every loop; the number of records folded."""
        with self._turn:
            return self._round()

    def start(self) -> None:
        """Run rounds in a thread until `close`."""
        self._thread = threading.Thread(target=self._run, name="foldline-host", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread, write last roots, give leases up. Idempotent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._turn:
            now = self._clock()
            for hosted in self._hosted.values():
                if hosted.learner is not None:
                    hosted.learner.close(now=now)
                if hosted.publisher is not None:
                    _close_publisher(hosted.publisher, now)
                for learner in hosted.attached.values():
                    learner.close(now=now)
                for trial in hosted.trials.values():
                    trial.close(now=now)
                hosted.share.close()
            self._hosted.clear()

    def await_bundle(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a replica has swapped to a bundle with which `ready` holds; False on timeout."""
        with self._bundle_changed:
            return self._bundle_changed.wait_for(lambda: ready() or self.failure is not None, timeout_s) and (
                self.failure is None
            )

    def _host(self, definition: LoopDefinition) -> Hosted:
        replica = Replica(self._log, topics_of(definition).policy)
        if not self._learn:
            return Hosted(definition, replica)
        self._examine(topics_needed(definition))
        publisher = self._publisher(definition)
        share = self._share(definition)
        # With one fold there is nobody to keep a batch for.
        read = Readings().read if self._attached(definition) else read_batch
        learner = self._learner(definition, read=read, share=share)
        hosted = Hosted(definition, replica, learner, publisher, share=share, read=read)
        self._attach(hosted, definition)
        return hosted

    def _examine(self, topics: list[Topic]) -> None:
        """Refuse to work on topics that others made or changed so that a promise would not hold; say what costs."""
        for said in examine_topics(self._log, topics):
            _logger.warning("%s", said)

    def _publisher(self, definition: LoopDefinition) -> Publisher | None:
        """None for a loop without decisions: there is nothing to compile."""
        if not definition.decides:
            return None
        return Publisher(self._log, self.catalogue, definition, self._holder, lease_s=self._pace.lease_s)

    def _attached(self, definition: LoopDefinition) -> list[AttachedFold]:
        return [*([TIMELINE] if self._timeline else []), *self._folds(definition)]

    def _attach(self, hosted: Hosted, definition: LoopDefinition) -> None:
        """Run the loop's further folds; those that are no longer among them stop."""
        if hosted.learner is None:
            return
        wanted = {fold.name: fold for fold in self._attached(definition)}
        for name in hosted.attached.keys() - wanted.keys():
            hosted.attached.pop(name).close(now=self._clock())
        for name, fold in wanted.items():
            if name in hosted.attached:
                hosted.attached[name].redefine(definition, now=self._clock(), fold_of=fold.fold_of)
                continue
            hosted.attached[name] = self._learner(
                definition,
                self._pace.following(fold.root_every_ms),
                read=hosted.learner.read,
                share=hosted.share,
                fold_of=fold.fold_of,
                leads=False,
                ticks=fold.ticks,
                outputs_first=fold.outputs_first,
                clock=self._clock,
            )

    def _share(self, definition: LoopDefinition) -> Share:
        return self._log.share(topics_of(definition).events, definition.name, self._holder)

    def _learner(self, definition: LoopDefinition, pace: Pace | None = None, **settings: Any) -> Learner:
        return Learner(self._log, definition, self._holder, pace or self._pace, **settings)

    def _redefine(self, hosted: Hosted, definition: LoopDefinition) -> None:
        if hosted.learner is not None and topics_of(hosted.definition) != topics_of(definition):
            hosted.share.close()
            hosted.share = self._share(definition)
            for learner in [
                *hosted.learners,
                *(each for trial in hosted.trials.values() for each in trial.learners),
            ]:
                learner.share = hosted.share
        if hosted.learner is not None:
            hosted.learner.redefine(definition, now=self._clock())
            self._attach(hosted, definition)
        if hosted.publisher is not None and definition.decides:
            hosted.publisher.redefine(definition)
        elif hosted.learner is not None:
            hosted.publisher = self._publisher(definition)
        hosted.definition = definition

    def _round(self) -> int:
        folded, now = 0, self._clock()
        follow_catalogue(self._log, self.catalogue)
        follow_experiments(self._log, self.experiments)
        swapped = False
        if self._every_loop:
            for name in self.catalogue.names():
                if name not in self._hosted:
                    self._hosted[name] = self._host(self.catalogue.one(name))
        for name, hosted in self._hosted.items():
            newest = self.catalogue.one(name)
            if newest.version > hosted.definition.version:
                self._redefine(hosted, newest)
            mine = hosted.share.partitions()
            publisher = hosted.publisher if mine is None or 0 in mine else None
            if hosted.learner is not None:
                folded += hosted.learner.step(now=now, publisher=publisher)
            if publisher is not None:
                self._publish(publisher, now)
            elif hosted.publisher is not None and hosted.publisher.publishes:
                _close_publisher(hosted.publisher, now)
            swapped |= hosted.replica.step()
            learnt, changed = self._try_out(name, hosted, now)
            folded += learnt
            swapped |= changed
        if swapped:
            with self._bundle_changed:
                self._bundle_changed.notify_all()
            for listener in tuple(self.listeners):
                listener()
        for hosted in self._hosted.values():
            for learner in hosted.attached.values():
                folded += learner.step(now=now)
        if self._learn and now - self._cleaned_at >= CLEAN_EVERY_MS:
            self._cleaned_at = now
            self._log.clean()
        return folded

    def _try_out(self, name: str, hosted: Hosted, now: int) -> tuple[int, bool]:
        """One round of a loop's experiments: how many records were folded, and whether deciding changes."""
        folded, running, states = 0, [], set()
        for one in self.experiments.in_order(name):
            trial = hosted.trials.get(one.name)
            if trial is None and one.state != "draft":
                if self._learn:
                    self._examine(experimenting.topics_needed(one, hosted.definition))
                trial = hosted.trials[one.name] = Trial(
                    self._log, self.catalogue, hosted.definition, one,
                    holder=self._holder, pace=self._pace, learn=self._learn, read=hosted.read, stamp=self._stamp,
                    share=hosted.share,
                )  # fmt: skip
            if trial is None:
                continue
            trial.redefine(hosted.definition, one, now=now)
            if one.state == "ended" and trial.is_over(self._stamp()):
                trial.close(now=now)
                continue
            states.add(one.state)
            folded += trial.learn(now=now, every_ms=self._pace.publish_every_ms)
            trial.follow()
            decider = trial.decider()
            running += [decider] if decider is not None else []
        idle = [reason for state, reason in _IDLE.items() if state in states]
        return folded, hosted.replica.try_out(running, idle[0] if idle else None)

    def _publish(self, publisher: Publisher, now: int) -> None:
        try:
            # By the time of the roots: where both have one pace, a bundle is due in every round in which roots were.
            publisher.step(now=now, every_ms=self._pace.publish_every_ms)
        except LeaseLost as error:
            _logger.warning("lost the publishing lease: %s", error)

    def _run(self) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                if self.round() == 0:
                    self._log.wait(self._ends(), self._idle_s())
                if told:
                    _logger.info("the log answers again")
                    told = ""
            except LogError as error:
                if error.code == "log.closed":
                    return
                # Once, not with every try of a long outage.
                if str(error) != told:
                    _logger.error("the log failed, trying again every %s s: %s", RETRY_S, error)  # noqa: TRY400 - its text says all
                    told = str(error)
                self._stop.wait(RETRY_S)
            except Exception as error:
                self.failure = error
                _logger.exception("the host thread stopped")
                with self._bundle_changed:
                    self._bundle_changed.notify_all()
                return

    def _idle_s(self) -> float:
        """Sleep less while a root or a bundle is held back by its pace."""
        for hosted in self._hosted.values():
            if hosted.learner is not None and any(w.behind for w in hosted.learner.workers.values()):
                return self._pace.root_every_ms / 1000
            if hosted.publisher is not None and hosted.publisher.held_back:
                return self._pace.publish_every_ms / 1000
        return IDLE_S

    def _ends(self) -> dict[tuple[str, int], int]:
        """The positions up to which everything is read."""
        ends = {(CATALOGUE, 0): self.catalogue.offset, (EXPERIMENTS, 0): self.experiments.offset}
        for hosted in list(self._hosted.values()):
            topics = topics_of(hosted.definition)
            ends[topics.policy, 0] = hosted.replica.offset
            for learner in hosted.learners:
                for partition, worker in learner.workers.items():
                    ends[topics.events, partition] = min(
                        worker.n, ends.get((topics.events, partition), worker.n)
                    )
            if hosted.publisher is not None and hosted.publisher.publishes:
                for partition, offset in enumerate(hosted.publisher.known.offsets):
                    ends[topics.roots, partition] = offset
        return ends


def _close_publisher(publisher: Publisher, now: int) -> None:
    """Publish what is known and give the lease up; a log that fails, or a lease lost, keeps nobody from stopping."""
    try:
        publisher.step(now=now, every_ms=0)
        publisher.close()
    except LogError as error:
        _logger.warning("no last bundle, the next publisher makes it: %s", error)
