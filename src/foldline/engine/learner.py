"""The learner: leases a loop's partitions and drives a worker of one of its folds over each.

A loop has several folds; the policy's leads, which appends ticks and dead letters for all of them.
Several processes may run a learner for the same loop; each partition has one owner, which holds its lease. Where the
log has groups, their share says whose turn it is: who loses a partition writes a last root and gives the lease up.
`step` is one deterministic round, so tests drive it by hand; `app` runs it in a thread.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

from foldline.engine.identity import identity_of
from foldline.engine.publisher import Publisher
from foldline.engine.reading import read_batch
from foldline.engine.worker import Read, Worker, WorkerTopics
from foldline.errors import FoldError, LeaseLost, LogError
from foldline.fold.protocol import Fold
from foldline.log.protocol import Batch, Lease, Log, Share, Topic
from foldline.log.shares import FirstCome
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import LoopTopics, topics_of

_logger = logging.getLogger("foldline.engine")

Result = TypeVar("Result")

DUMPING_SHARE = 0.02
"""Of the time, for dumping large states such as a forest's."""

CATCHING_UP = 10
"""How many times longer the leading fold's roots wait after a round in which a partition gave a whole micro-batch: it
is behind then, what it knows is old whenever it is told, and a restart folds again what was folded in that time."""

AWAITED_MS = 200
"""How often a lease is asked for that its holder is about to give up."""


def policy_fold(definition: LoopDefinition) -> Fold[Any]:
    """The fold that learns its policy, as the kind of definition has it."""
    return definition.fold()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a learner spends its time.

    Attributes:
        max_records: micro-batch size.
        root_every_ms: time between two roots of a partition; see `paced`. Of the leading fold, ten times that after a
            round in which a partition gave a whole micro-batch; of one that follows, more where dumping its state would
            take over a fiftieth of it, save for 0.
        publish_every_ms: time between two bundles; more where publishing would take over a third of it.
        lease_s: a lease lives this long without renewal.
        follow_records: micro-batch size of the folds that follow, where they read for themselves.
        timeline_every_ms: time between two roots of a partition's timeline, and of folds that say no other.
    """

    max_records: int = 10_000
    root_every_ms: int = 20
    publish_every_ms: int = 20
    lease_s: float = 5.0
    follow_records: int = 2_000
    timeline_every_ms: int = 1_000

    def following(self, root_every_ms: int | None = None) -> "Pace":
        """The pace of the folds that come after the policy and must not hold it up."""
        every = self.timeline_every_ms if root_every_ms is None else root_every_ms
        return replace(self, max_records=self.follow_records, root_every_ms=every)


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
        clock: what time it is when outputs go ahead of the root, milliseconds; the `now` of the round by default, which
            is some work older.
        share: says which partitions to work on.
        outputs_first: whether outputs are appended as they come, ahead of the root, and not in its commit.
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
    clock: Callable[[], int] | None = None
    share: Share = field(default_factory=FirstCome)
    outputs_first: bool = False
    workers: dict[int, Worker] = field(default_factory=dict)
    failed: dict[int, FoldError] = field(default_factory=dict)
    _renewed: int = 0
    _shared: frozenset[int] | None = None

    def redefine(
        self,
        definition: LoopDefinition,
        *,
        now: int,
        fold_of: Callable[[LoopDefinition], Fold[Any]] | None = None,
    ) -> None:
        """Follow a new version, with the fold made otherwise if so given; a changed identity starts a new fold."""
        make = fold_of or self.fold_of
        old, new = self.fold_of(self.definition), make(definition)
        if (new.name, new.version, new.parameters()) != (old.name, old.version, old.parameters()):
            self.close(now=now)
        self.definition, self.fold_of = definition, make

    def step(self, *, now: int, publisher: Publisher | None = None) -> int:
        """One round over the owned partitions; the number of records folded, ticks included as 0.

        Args:
            now: milliseconds.
            publisher: of the bundle that is appended with the roots, in one, where it is due then.
        """
        mine = self.share.partitions()
        if mine != self._shared:
            self._give_up(mine, now)
            self._shared, self._renewed = mine, 0
        if now - self._renewed >= self._look_every_ms(mine):
            self._own(mine, now)
        folded = most = 0
        for worker in list(self.workers.values()):
            count = self._guarded(worker, lambda w: self._advance(w, now))
            folded, most = folded + count, max(most, count)
        every_ms = self._root_every_ms(behind=most >= self.pace.max_records)
        due = [w for w in self.workers.values() if w.in_doubt or w.root_due(now=now, root_every_ms=every_ms)]
        self._write(due, now, every_ms, publisher)
        if self.leads:
            self.share.reached({partition: worker.n for partition, worker in self.workers.items()})
        return folded

    def close(self, *, now: int) -> None:
        """Write what is known and give every lease up."""
        self._close(list(self.workers), now)
        self._renewed = 0

    def _advance(self, worker: Worker, now: int) -> int:
        count = worker.advance(now=now, max_records=self.pace.max_records)
        if self.outputs_first:
            worker.send_outputs(now=now if self.clock is None else self.clock())
        if count == 0 and (self.leads or self.ticks):
            worker.tick(now=now if self.stamp is None else self.stamp())
        return count

    def _write(self, due: list[Worker], now: int, every_ms: int, publisher: Publisher | None) -> None:
        """The roots of a round, and the bundle made of them, in one commit; each root for itself if a lease is lost.

        Where the log does not answer, the workers stay, in doubt, and find out in the next round.
        """
        made: list[tuple[Worker, list[Batch]]] = []
        for worker in due:
            batches = self._guarded(worker, lambda w: w.root_batches(now=now, every_ms=every_ms))
            if batches:
                made.append((worker, batches))
        if not made:
            return
        everything = [batch for _, batches in made for batch in batches]
        leases = [worker.lease for worker, _ in made]
        edition = None
        if publisher is not None:
            edition = publisher.edition(everything, now=now, every_ms=self.pace.publish_every_ms)
        if edition is not None:
            everything += edition.batches
            leases.append(edition.lease)
        try:
            offsets = self.log.append(everything, lease=leases)
        except LeaseLost:
            if publisher is not None and edition is not None:
                publisher.doubt()
            for worker, batches in made:
                self._guarded(worker, partial(self._append, batches))
        else:
            for worker, batches in made:
                worker.written(offsets[: len(batches)])
                del offsets[: len(batches)]
            if publisher is not None and edition is not None:
                publisher.published(edition)

    def _append(self, batches: list[Batch], worker: Worker) -> None:
        worker.written(self.log.append(batches, lease=worker.lease))

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

    def _root_every_ms(self, *, behind: bool) -> int:
        """The pace of roots; of folds that follow, slower where dumping would take more than a share of the time.

        Only the leading one is slower where it is behind: those that follow take what it has read, however much. A pace
        of 0 is kept whatever it costs.
        """
        every_ms = self.pace.root_every_ms
        if self.leads:
            return every_ms * (CATCHING_UP if behind else 1)
        if not every_ms:
            return 0
        dumping_ms = 1_000 * sum(worker.dump_s for worker in self.workers.values())
        return max(every_ms, int(dumping_ms / DUMPING_SHARE) if dumping_ms > 1 else 0)

    def _look_every_ms(self, mine: frozenset[int] | None) -> float:
        """How often leases are renewed and asked for: more often while one is awaited that is due here."""
        awaited = mine is not None and len(mine - self.workers.keys() - self.failed.keys()) > 0
        return AWAITED_MS if awaited else self.pace.lease_s * 1000 / 3

    def _give_up(self, mine: frozenset[int] | None, now: int) -> None:
        """Leave the partitions that are another's to work on."""
        if mine is not None:
            self._close([partition for partition in self.workers if partition not in mine], now)

    def _close(self, partitions: list[int], now: int) -> None:
        """Write the last roots of these, one by one, since they are large, and give their leases up at once."""
        leases: list[Lease] = []
        for worker in map(self.workers.pop, partitions):
            try:
                worker.close(now=now)
            except LeaseLost:
                continue
            except (FoldError, LogError) as error:
                _logger.warning(
                    "no last root of %s, a restart will read more: %s", worker.identity.text(), error
                )
            else:
                leases.append(worker.lease)
        if leases:
            try:
                self.log.release(*leases)
            except LogError as error:
                _logger.warning("%d leases stay until they expire: %s", len(leases), error)

    def _own(self, mine: frozenset[int] | None, now: int) -> None:
        """Renew the leases held and take those that are free, of the partitions to work on."""
        topics = topics_of(self.definition)
        topic = self.log.topic(topics.events)
        fold = self.fold_of(self.definition)
        outputs = WorkerTopics(
            topics.roots, topics.dead if self.leads else None, self._output_topic(fold, topics)
        )
        for partition in range(self.definition.partitions):
            if partition in self.failed or (mine is not None and partition not in mine):
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

    def _output_topic(self, fold: Fold[Any], topics: LoopTopics) -> str | None:
        """Where the fold's outputs go, made if it is not there."""
        if not fold.has_outputs:
            return None
        name = topics.outputs(fold.name)
        return self.log.create(Topic(name, self.definition.partitions)).name
