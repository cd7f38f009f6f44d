"""The learner: leases a loop's partitions and drives a worker over each.

Several processes may run a learner for the same loop; leases share the partitions out, one owner each. `step` is
one deterministic round, so tests drive it by hand; `app` runs it in a thread.
"""

import logging
from dataclasses import dataclass, field

from foldline.engine.identity import identity_of
from foldline.engine.worker import Worker, WorkerTopics
from foldline.errors import FoldError, LeaseLost
from foldline.fold.protocol import Fold
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of

_logger = logging.getLogger("foldline.engine")


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner spends its time.

    Attributes:
        max_records: micro-batch size.
        root_every_ms: least time between two roots of a partition.
        publish_every_ms: least time between two bundles.
        lease_s: a lease lives this long without renewal.
    """

    max_records: int = 10_000
    root_every_ms: int = 20
    publish_every_ms: int = 50
    lease_s: float = 5.0


@dataclass(slots=True)
class Learner:
    """Drives the workers of one loop that this process owns.

    Attributes:
        log: the log.
        definition: the newest version of the loop.
        holder: names this process in leases.
        pace: micro-batches, roots, leases.
        workers: by partition.
        failed: errors of partitions that cannot go on, by partition.
    """

    log: Log
    definition: LoopDefinition
    holder: str
    pace: Pace = field(default_factory=Pace)
    workers: dict[int, Worker] = field(default_factory=dict)
    failed: dict[int, FoldError] = field(default_factory=dict)
    _renewed: int = 0

    def redefine(self, definition: LoopDefinition, *, now: int) -> None:
        """Follow a new version; a changed learning parameter starts a new fold."""
        if definition.fold().parameters() != self.definition.fold().parameters():
            self.close(now=now)
        self.definition = definition

    def step(self, *, now: int) -> int:
        """One round over the owned partitions; the number of records folded, ticks included as 0."""
        if not self._renewed or now - self._renewed >= self.pace.lease_s * 1000 / 3:
            self._own(now)
        folded = 0
        for partition, worker in list(self.workers.items()):
            try:
                folded += self._step(worker, now)
            except LeaseLost:
                _logger.warning("lost %s to another owner; dropping the work in hand", worker.identity.text())
                del self.workers[partition]
            except FoldError as error:
                _logger.error("stopping %s: %s", worker.identity.text(), error)  # noqa: TRY400 - its text says all
                del self.workers[partition]
                self.failed[partition] = error
        return folded

    def close(self, *, now: int) -> None:
        """Write what is known and give every lease up."""
        for worker in self.workers.values():
            worker.close(now=now)
        self.workers.clear()
        self._renewed = 0

    def _step(self, worker: Worker, now: int) -> int:
        count = worker.step(now=now, max_records=self.pace.max_records, root_every_ms=self.pace.root_every_ms)
        if count == 0:
            worker.tick(now=now)
        return count

    def _own(self, now: int) -> None:
        """Renew the leases held and take those that are free."""
        topics = topics_of(self.definition)
        topic = self.log.topic(topics.events)
        fold: Fold[object] = self.definition.fold()  # type: ignore[assignment]  # state type differs
        for partition in range(self.definition.partitions):
            if partition in self.failed:
                continue
            identity = identity_of(fold, topic, partition)
            lease = self.log.acquire(f"fold/{identity.key()}", self.holder, self.pace.lease_s)
            worker = self.workers.get(partition)
            if lease is None or (worker is not None and worker.lease.epoch != lease.epoch):
                self.workers.pop(partition, None)
            if lease is not None and partition not in self.workers:
                outputs = WorkerTopics(topics.roots, topics.dead)
                try:
                    self.workers[partition] = Worker(self.log, fold, identity, outputs, lease, now=now)
                except FoldError as error:
                    _logger.error("cannot start %s: %s", identity.text(), error)  # noqa: TRY400 - its text says all
                    self.failed[partition] = error
        self._renewed = now
