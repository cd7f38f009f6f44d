"""The learner: leases a loop's partitions and drives a worker of one of its folds over each.

A loop has several folds; the policy's leads, which appends ticks and dead letters for all of them.
Several processes may run a learner for the same loop; leases share the partitions out, one owner each. `step` is
one deterministic round, so tests drive it by hand; `app` runs it in a thread.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from foldline.engine.identity import identity_of
from foldline.engine.reading import read_batch
from foldline.engine.worker import Read, Worker, WorkerTopics
from foldline.errors import FoldError, LeaseLost, LogError
from foldline.fold.protocol import Fold
from foldline.log.protocol import Batch, Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of

_logger = logging.getLogger("foldline.engine")

Result = TypeVar("Result")


def policy_fold(definition: LoopDefinition) -> Fold[Any]:
    """The fold that learns its policy, as the kind of definition has it."""
    return definition.fold()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner spends its time.

    Attributes:
        max_records: micro-batch size.
        root_every_ms: least time between two roots of a partition.
        publish_every_ms: least time between two bundles.
        lease_s: a lease lives this long without renewal.
        follow_records: micro-batch size of the folds that follow, where they read for themselves.
        timeline_every_ms: least time between two roots of a partition's timeline.
    """

    max_records: int = 10_000
    root_every_ms: int = 20
    publish_every_ms: int = 50
    lease_s: float = 5.0
    follow_records: int = 2_000
    timeline_every_ms: int = 1_000

    def following(self) -> "Pace":
        """The pace of the timeline, which comes after the policy and must not hold it up."""
        return replace(self, max_records=self.follow_records, root_every_ms=self.timeline_every_ms)


@dataclass(slots=True)
class Learner:
    """Drives the workers of one fold of a loop that this process owns.

    Attributes:
        log: the log.
        definition: the newest version of the loop.
        holder: names this process in leases.
        pace: micro-batches, roots, leases.
        fold_of: the fold to drive; the policy's by default.
        leads: whether it appends the loop's ticks and dead letters.
        ticks: whether it appends ticks too, for what is pending in this fold alone.
        read: reads a micro-batch.
        stamp: what time it is for ticks, milliseconds; the `now` of the round by default.
        workers: by partition.
        failed: errors of partitions that cannot go on, by partition.
    """

    log: Log
    definition: LoopDefinition
    holder: str
    pace: Pace = field(default_factory=Pace)
    fold_of: Callable[[LoopDefinition], Fold[Any]] = policy_fold
    leads: bool = True
    ticks: bool = False
    read: Read = read_batch
    stamp: Callable[[], int] | None = None
    workers: dict[int, Worker] = field(default_factory=dict)
    failed: dict[int, FoldError] = field(default_factory=dict)
    _renewed: int = 0

    def redefine(self, definition: LoopDefinition, *, now: int) -> None:
        """Follow a new version; a changed learning parameter starts a new fold."""
        if self.fold_of(definition).parameters() != self.fold_of(self.definition).parameters():
            self.close(now=now)
        self.definition = definition

    def step(self, *, now: int) -> int:
        """One round over the owned partitions; the number of records folded, ticks included as 0."""
        if not self._renewed or now - self._renewed >= self.pace.lease_s * 1000 / 3:
            self._own(now)
        folded = 0
        due: list[Worker] = []
        for worker in list(self.workers.values()):
            folded += self._guarded(worker, lambda w: self._advance(w, now))
            if worker.identity.partition in self.workers and worker.root_due(
                now=now, root_every_ms=self.pace.root_every_ms
            ):
                due.append(worker)
        self._write(due, now)
        return folded

    def close(self, *, now: int) -> None:
        """Write what is known and give every lease up."""
        for worker in self.workers.values():
            try:
                worker.close(now=now)
            except (FoldError, LogError) as error:
                _logger.warning(
                    "no last root of %s, a restart will read more: %s", worker.identity.text(), error
                )
        self.workers.clear()
        self._renewed = 0

    def _advance(self, worker: Worker, now: int) -> int:
        count = worker.advance(now=now, max_records=self.pace.max_records)
        if count == 0 and (self.leads or self.ticks):
            worker.tick(now=now if self.stamp is None else self.stamp())
        return count

    def _write(self, due: list[Worker], now: int) -> None:
        """The roots of a round in one commit; where a lease among them is lost, each for itself."""
        batches: dict[int, list[Batch]] = {}
        for worker in due:
            made = self._guarded(worker, lambda w: w.root_batches(now=now))
            if made:
                batches[worker.identity.partition] = made
        due = [worker for worker in due if worker.identity.partition in batches]
        try:
            everything = [batch for worker in due for batch in batches[worker.identity.partition]]
            if everything:
                self.log.append(everything, lease=[worker.lease for worker in due])
        except LeaseLost:
            for worker in due:
                self._guarded(worker, lambda w: self.log.append(batches[w.identity.partition], lease=w.lease))
        except BaseException:
            for worker in due:
                self.workers.pop(worker.identity.partition, None)
            self._renewed = 0
            raise

    def _guarded(self, worker: Worker, act: Callable[[Worker], Result]) -> Result | Literal[0]:
        """What `act` gives, or 0 where the worker had to be given up."""
        partition = worker.identity.partition
        try:
            return act(worker)
        except LeaseLost:
            _logger.warning("lost %s to another owner; dropping the work in hand", worker.identity.text())
        except FoldError as error:
            _logger.error("stopping %s: %s", worker.identity.text(), error)  # noqa: TRY400 - its text says all
            self.failed[partition] = error
        self.workers.pop(partition, None)
        return 0

    def _own(self, now: int) -> None:
        """Renew the leases held and take those that are free."""
        topics = topics_of(self.definition)
        topic = self.log.topic(topics.events)
        fold = self.fold_of(self.definition)
        outputs = WorkerTopics(topics.roots, topics.dead if self.leads else None)
        for partition in range(self.definition.partitions):
            if partition in self.failed:
                continue
            identity = identity_of(fold, topic, partition)
            lease = self.log.acquire(f"fold/{identity.key()}", self.holder, self.pace.lease_s)
            worker = self.workers.get(partition)
            if lease is None or (worker is not None and worker.lease.epoch != lease.epoch):
                self.workers.pop(partition, None)
            if lease is not None and partition not in self.workers:
                try:
                    self.workers[partition] = Worker(
                        self.log, fold, identity, outputs, lease, now=now, read=self.read
                    )
                except FoldError as error:
                    _logger.error("cannot start %s: %s", identity.text(), error)  # noqa: TRY400 - its text says all
                    self.failed[partition] = error
        self._renewed = now
