"""A worker: one fold over one partition, under a lease.

`advance` reads a micro-batch and folds it; a root is due when the state has changed, and nothing is written
otherwise. Roots, outputs and dead letters go in one atomic append under the lease's epoch, so a worker that lost its
lease, even while paused, can write nothing. After an append without an answer the worker is in doubt: it folds on,
and before it writes again it finds out on the log what became of the append. It holds no threads and no clock of its
own; `Learner` drives it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from foldline.engine.identity import Identity
from foldline.engine.outputs import Numbered, number, output_batches
from foldline.engine.pacing import paced
from foldline.engine.reading import Reading, read_batch
from foldline.engine.restore import restore, rows_from
from foldline.engine.root import RootWriter
from foldline.errors import FoldError, LogError
from foldline.fold.outputs import Outputs
from foldline.fold.protocol import Applied, Dump, Fold
from foldline.log.places import place_of
from foldline.log.protocol import Batch, Lease, Log, Row
from foldline.records.codec import dead_lines, encode
from foldline.records.columns import Dead
from foldline.records.dead_letter import DeadLetter
from foldline.records.types import Tick

UNCHANGED_RECORDS = 100_000
"""A root is written after this many records that changed nothing, so that a restart need not read them all."""

LOOK_EVERY_MS = 60_000
"""How often an idle worker looks whether the log ends beyond what it has read."""

PENDING_GROWTH = 10
"""The pending half is dumped when the log has grown by this many times its last dump's bytes."""

Read = Callable[[Log, str, int, int, int], Reading | None]
"""Reads a micro-batch: log, topic, partition, offset, how many records at most."""


@dataclass(frozen=True, slots=True)
class WorkerTopics:
    """Where a worker's outputs go.

    Attributes:
        roots: its roots.
        dead: records it could not use; None where another fold of the loop writes them.
        outputs: output records; None for a fold that has none.
    """

    roots: str
    dead: str | None
    outputs: str | None = None


class Worker:
    """One fold over one partition.

    Attributes:
        dump_s: how long the last dump of the state took, by this machine's clock; only paces the next.
    """

    def __init__(
        self,
        log: Log,
        fold: Fold[Any],
        identity: Identity,
        topics: WorkerTopics,
        lease: Lease,
        *,
        now: int,
        read: Read = read_batch,
    ) -> None:
        self.log = log
        self.fold = fold
        self.identity = identity
        self.lease = lease
        self._topics = topics
        self._reader = read
        restored = restore(log, topics.roots, fold, identity)
        self.state = restored.state
        self.n = restored.n
        self._roots = RootWriter(log, topics.roots, identity, lease.epoch)
        self._unrooted = 0
        self._pending_bytes_read = 0
        self._roots.resume(restored.root, restored.orphans)
        self._roots_end = restored.end
        self._unanswered: list[Batch] = []
        self._changed = False
        self._dead: list[Batch] = []
        self._outputs: list[Numbered] = []
        self._written_at = self._looked_at = now
        self._looked_n = self.n
        self.dump_s = 0.0

    @property
    def behind(self) -> bool:
        """Whether the state has changed since the last root."""
        return self._changed

    @property
    def in_doubt(self) -> bool:
        """Whether batches of `root_batches` were neither `written` nor settled since."""
        return bool(self._unanswered)

    def step(self, *, now: int, max_records: int = 10_000, root_every_ms: int = 0) -> int:
        """Fold what is there, up to `max_records`; the number of records folded.

        Args:
            now: milliseconds; stamps roots and ticks and paces roots, never read by the fold.
            max_records: micro-batch size; rows stay whole.
            root_every_ms: time between two roots; see `paced`.

        Raises:
            LeaseLost: another worker owns the partition; drop this one.
            FoldError: `fold.topic_replaced`, `fold.overflow`.
        """
        count = self.advance(now=now, max_records=max_records)
        if self.root_due(now=now, root_every_ms=root_every_ms):
            self.write_root(now=now, every_ms=root_every_ms)
        return count

    def advance(self, *, now: int, max_records: int) -> int:
        """Fold what is there, up to `max_records`, and write nothing; the number of records folded."""
        reading = self._read(max_records)
        if reading is None:
            if self.n != self._looked_n and now - self._looked_at >= LOOK_EVERY_MS:
                self._looked_at = now
                self._pass_unseen()
            return 0
        self._apply(reading, now)
        return len(reading.columns)

    def tick(self, *, now: int) -> bool:
        """Append a tick if something pending is due and the partition is idle; True if one was appended."""
        due, topic, partition = self.fold.due(self.state), self.identity.topic, self.identity.partition
        if due is None or due > now:
            return False
        self.log.offsets(topic, partition)  # so that what others appended is not overlooked
        if self.log.read(topic, partition, self.n, max_records=1):
            return False
        payload = encode(Tick(time=now))
        self.log.append([Batch(topic, partition, payload, 1, now, now)], lease=self.lease)
        return True

    def write_root(self, *, now: int, every_ms: int = 0, pending: bool | None = None) -> None:
        """Append the state as of n; the pending half with it when asked for, or when it has aged enough."""
        self.written(
            self.log.append(self.root_batches(now=now, every_ms=every_ms, pending=pending), lease=self.lease)
        )

    def root_batches(self, *, now: int, every_ms: int = 0, pending: bool | None = None) -> list[Batch]:
        """What `write_root` appends; the caller appends it under the lease and calls `written`.

        `every_ms` is the pace at which it was due, so that the next is in time for it too.

        Until then the worker is in doubt. What it was in doubt about before is settled first, which may block.
        """
        if self._unanswered:
            self.settle()
        if pending is None:
            pending = self._pending_bytes_read >= PENDING_GROWTH * self._roots.pending_bytes
        self._check_topic()
        began = time.perf_counter()
        dump: Dump = self.fold.dump(self.state, pending=pending, standing=self._roots.standing)
        self.dump_s = time.perf_counter() - began
        batches = self._output_batches(now) + self._dead
        batches += self._roots.batches(dump, self.n, time=now, pending=pending)
        self._dead, self._outputs = [], []
        self._changed, self._unrooted = False, 0
        self._written_at = paced(self._written_at, now, every_ms)
        if pending:
            self._pending_bytes_read = 0
        self._unanswered = batches
        return batches

    def written(self, offsets: list[int]) -> None:
        """The batches of `root_batches` stand at these offsets; empty where they were found to stand."""
        self._unanswered = []
        if offsets:
            self._roots_end = offsets[-1] + 1

    def settle(self) -> None:
        """Find out whether the append in doubt was made, and make it if not. Blocks until the log answers.

        Raises:
            LeaseLost: another worker owns the partition; drop this one.
            LogError: the log still does not answer; call it again.
        """
        self.log.append([], lease=self.lease)  # decides what becomes of an append that is under way
        root = next(batch for batch in self._unanswered if batch.key == self.identity.key().encode())
        rows = rows_from(self.log, self._topics.roots, self.identity.partition, self._roots_end)
        stands = any(row.key == root.key and row.payload == root.payload for row in rows)
        self.written([] if stands else self.log.append(self._unanswered, lease=self.lease))

    def send_outputs(self, *, now: int) -> None:
        """Append the outputs made since the last root, ahead of the next: who reads them may meet repeats.

        Where that fails they go with the root, or are sent again; a repeat has the number of the first.
        """
        batches = self._output_batches(now)
        if batches:
            self.log.append(batches)
        self._outputs = []

    def close(self, *, now: int) -> None:
        """Write a last root with both halves at n, if anything was read since; the lease is the caller's to give up.

        Raises:
            LeaseLost: another worker owns the partition; nothing was written.
        """
        self._pass_unseen()
        if self._changed or self._unrooted or self._pending_bytes_read:
            self.write_root(now=now, pending=True)
        elif self.in_doubt:
            self.settle()

    def _pass_unseen(self) -> None:
        """Go past what no reader sees at the log's end, such as the marks of transactions, and have a root say so.

        Otherwise the log might let go of it, and what starts from that root would look for it in vain.
        """
        topic, partition = self.identity.topic, self.identity.partition
        _, end = self.log.offsets(topic, partition)
        if end > self.n and not self.log.read(topic, partition, self.n, max_records=1, end=end):
            self.n, self._unrooted = end, UNCHANGED_RECORDS
        self._looked_n = self.n

    def _read(self, max_records: int) -> Reading | None:
        try:
            return self._reader(self.log, self.identity.topic, self.identity.partition, self.n, max_records)
        except LogError as error:
            if error.code in {"log.offset_out_of_range", "log.topic_missing"}:
                self._check_topic()
                raise FoldError(
                    "fold.retention_overtook",
                    f"{self.identity.text()} stands at offset {self.n}, which the log no longer holds",
                ) from error
            raise

    def _check_topic(self) -> None:
        try:
            found = self.log.topic(self.identity.topic).id
        except LogError as error:
            if error.code != "log.topic_missing":
                raise
            found = "none"
        if found != self.identity.topic_id:
            raise FoldError(
                "fold.topic_replaced",
                f"{self.identity.text()} folds the topic with id {self.identity.topic_id}; under its name "
                f"stands {found}",
            )

    def _apply(self, reading: Reading, now: int) -> None:
        columns = reading.columns
        applied: Applied = self.fold.apply(self.state, columns)
        if self._topics.dead is not None and (applied.dead or columns.dead):
            dead = sorted(columns.dead + applied.dead, key=lambda dead: dead.row)
            self._bury(self._topics.dead, reading.rows, dead, now)
        if applied.outputs is not None and len(applied.outputs):
            self._note_outputs(applied.outputs, reading)
        self._changed |= applied.changed
        self.n = reading.end
        self._unrooted += len(columns)
        self._pending_bytes_read += reading.size

    def _note_outputs(self, outputs: Outputs, reading: Reading) -> None:
        """Outputs wait for the root, as dead letters do; the root is due then even where nothing known changed."""
        outputs.check(len(reading.columns), self.identity.text())
        if self._topics.outputs is None:
            raise FoldError(
                "fold.bad_outputs", f"{self.identity.text()} returned outputs, but says it has none"
            )
        self._outputs.append(number(outputs, reading.block))
        self._changed = True

    def _output_batches(self, now: int) -> list[Batch]:
        topic = self._topics.outputs
        if topic is None or not self._outputs:
            return []
        return output_batches(self._outputs, topic, self.identity, time=now)

    def _bury(self, topic: str, rows: list[Row], dead: list[Dead], now: int) -> None:
        """Dead letters wait for the root, so that both are written or neither."""
        payloads, counts = [row.payload for row in rows], [row.count for row in rows]
        lines = dead_lines(payloads, [letter.row for letter in dead], counts=counts)
        for letter, line in zip(dead, lines, strict=True):
            row, offset, index = place_of(rows, letter.row)
            payload = msgspec.json.encode(
                DeadLetter(
                    time=now,
                    fold=self.identity.fold,
                    topic=self.identity.topic,
                    partition=self.identity.partition,
                    offset=offset,
                    index=index,
                    code=letter.code,
                    error=letter.message,
                    payload=line,
                    key=row.key,
                    headers=row.headers,
                )
            )
            self._dead.append(Batch(topic, self.identity.partition, payload, 1, now, now))

    def root_due(self, *, now: int, root_every_ms: int) -> bool:
        """Whether a root is to be written now."""
        if self._changed:
            return now - self._written_at >= root_every_ms
        return self._unrooted >= UNCHANGED_RECORDS
