"""The log of a service on a cluster that may be away.

While the cluster answers, everything goes to it. An append that it does not take in time goes into the spool, a file
on this machine, and is answered once it is on the disk there; so do all that follow, until a thread has sent the
spool, oldest first, and found it empty. So the order of what was accepted is kept. An append whose answer was lost
may stand on the cluster twice; records carry ids, by which they count once. What a service follows (definitions,
bundles, keys) is mirrored in the same file, and read from there meanwhile; everything else fails at once.

What stands in the spool has the times of when it was accepted, which stream time takes as it takes any other order.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from foldline.errors import FoldlineError, LogError
from foldline.log import validation
from foldline.log.block import Block, block_of, read_block
from foldline.log.clock import Clock, now_ms
from foldline.log.outbox.lock import locked
from foldline.log.outbox.mirror import Mirror
from foldline.log.outbox.spool import Append, Spool, joined
from foldline.log.outbox.status import OutboxStatus
from foldline.log.protocol import Batch, Counts, Lease, Log, Row, Share, Topic, leases_of
from foldline.log.sqlite.log import SqliteLog

_logger = logging.getLogger("foldline.log.outbox")

PATIENCE_S: Final = 2.0
"""How long an append may wait for the cluster before it goes into the spool."""

RETRY_S: Final = 0.5
"""Between two looks whether the cluster is back."""

FLUSH_S: Final = 1.0
"""How old the mirror on the disk may be."""

CLEAN_EVERY: Final = 60
"""The mirror's replaced rows go after this many flushes."""

SENT_TOGETHER: Final = 256
"""Appends of the spool that are sent in one."""

CLOSE_S: Final = 30.0
"""How long closing waits for a call under way."""

Got = TypeVar("Got")

_FOR_GOOD: Final = frozenset({"log.topic_missing", "input.invalid"})
"""Refusals that trying again would not change."""


class OutboxLog:
    """A `Log` that takes appends while its cluster is away. Appends under leases, as learners make, it does not.

    Args:
        url: of the cluster's log.
        path: the outbox, made if it is not there; one process at a time uses it.
        open_cluster: opens the cluster's log.
        mirrored: whether a topic is to be read while the cluster is away, by its name.
        probe: topic by whose id the cluster is known again, and whose end is asked for to see whether it answers.
        needs: the last words of the topics of which the mirror must hold one to start without the cluster; None
            where it may not.
        max_bytes: of the outbox; beyond, appends are refused with `log.full`.
        patience_s: see `PATIENCE_S`.
        clock: milliseconds.

    Raises:
        LogError: `log.unavailable` where the cluster is away and the outbox knows no policy, or another process uses
            the outbox; `log.topic_conflict` where records of another cluster wait in it.
    """

    def __init__(
        self,
        url: str,
        path: str | Path,
        open_cluster: Callable[[], Log],
        *,
        mirrored: Callable[[str], bool],
        probe: str,
        needs: str | None,
        max_bytes: int | None = None,
        patience_s: float = PATIENCE_S,
        clock: Clock = now_ms,
    ) -> None:
        self.url = url
        self.counts: Counts = "messages"
        self.path = Path(path).absolute()
        self._open = open_cluster
        self._probe = probe
        self._patience_s = patience_s
        self._clock = clock
        self._lock = locked(self.path)
        self._local = SqliteLog(self.path, clock=clock, max_bytes=max_bytes)
        self._mirror = Mirror(self._local, mirrored)
        self._spool = Spool(self._local)
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._hand = ThreadPoolExecutor(1, "foldline-append")
        self._cluster: Log | None = None
        self._away_since: int | None = None
        self._sent = self._refused = 0
        self._why = ""
        try:
            self._start(needs)
        except BaseException:
            self._local.close()
            self._lock.close()
            raise
        self._direct = self._spool.waiting == 0
        if self._spool.waiting:
            _logger.warning("%d records wait in the outbox %s", self._spool.waiting, self.path)
        self._thread = threading.Thread(target=self._run, name="foldline-outbox", daemon=True)
        self._thread.start()

    @property
    def away(self) -> bool:
        """Whether the cluster does not answer."""
        return self._away_since is not None

    def status(self) -> OutboxStatus:
        """How it stands now."""
        return OutboxStatus(self._away_since, self._spool.waiting, self._sent, self._refused, self._why)

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """See `Log.append`; durable on return, here or there. Offset -1 where it waits to be sent.

        Raises:
            LogError: `log.full` where the outbox is; under a lease, `log.unavailable` while the cluster is away.
        """
        if leases_of(lease):
            return self._asked(lambda cluster: cluster.append(batches, lease=lease))
        validation.check_batches(batches, self._clock())
        with self._turn:
            if self._stop.is_set():
                raise LogError("log.closed", f"the log {self.url} was closed; open it again")
            if self._direct and not self.away:
                try:
                    return self._send(batches)
                except LogError as error:
                    if error.code != "log.unavailable":
                        raise
                    self._leave(error)
            self._direct = False
            self._spool.put(batches, now=self._clock())
        return [-1] * len(batches)

    def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 1000, end: int | None = None
    ) -> list[Row]:
        """See `Log.read`; of the mirror while the cluster is away."""
        place = (topic, partition)
        rows = self._asked(
            lambda cluster: cluster.read(topic, partition, offset, max_records=max_records, end=end),
            lambda: (
                self._mirror.read(place, offset, max_records, end) if self._mirror.covers(topic) else None
            ),
        )
        self._mirror.note(place, offset, rows)
        return rows

    def read_block(self, topic: str, partition: int, offset: int, *, max_records: int) -> Block | None:
        """See `ReadsBlocks.read_block`; what is mirrored is read as rows."""
        if self._mirror.covers(topic):
            rows = self.read(topic, partition, offset, max_records=max_records)
            return block_of(rows) if rows else None
        return self._asked(
            lambda cluster: read_block(cluster, topic, partition, offset, max_records=max_records)
        )

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """See `Log.offsets`; of the mirror while the cluster is away."""
        return self._asked(
            lambda cluster: cluster.offsets(topic, partition),
            lambda: (0, self._mirror.end((topic, partition))) if self._mirror.covers(topic) else None,
        )

    def since(self, topic: str, partition: int, time: int) -> int:
        """See `Log.since`."""
        return self._asked(lambda cluster: cluster.since(topic, partition, time))

    def size(self, topic: str) -> int | None:
        """See `Log.size`."""
        return self._asked(lambda cluster: cluster.size(topic))

    def wait(self, ends: Mapping[tuple[str, int], int], timeout_s: float) -> bool:
        """See `Log.wait`; while the cluster is away until it is back."""
        if self.away:
            with self._changed:
                return self._changed.wait_for(lambda: not self.away, timeout_s)
        return self._asked(lambda cluster: cluster.wait(ends, timeout_s))

    def create(self, topic: Topic) -> Topic:
        """See `Log.create`; while the cluster is away one that stands."""
        made = self._asked(lambda cluster: cluster.create(topic), lambda: self._mirror.topic(topic.name))
        self._mirror.note_topic(made)
        return made

    def examine(self, topic: Topic) -> list[str]:
        """See `Log.examine`."""
        return self._asked(lambda cluster: cluster.examine(topic))

    def topic(self, name: str) -> Topic:
        """See `Log.topic`; while the cluster is away as it was last seen."""
        found = self._asked(lambda cluster: cluster.topic(name), lambda: self._mirror.topic(name))
        self._mirror.note_topic(found)
        return found

    def topics(self) -> list[Topic]:
        """See `Log.topics`."""
        return self._asked(lambda cluster: cluster.topics())

    def delete(self, topic: str) -> None:
        """See `Log.delete`."""
        self._asked(lambda cluster: cluster.delete(topic))

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `Log.acquire`."""
        return self._asked(lambda cluster: cluster.acquire(name, holder, ttl_s))

    def release(self, *leases: Lease) -> None:
        """See `Log.release`."""
        self._asked(lambda cluster: cluster.release(*leases))

    def share(self, topic: str, group: str, member: str) -> Share:
        """See `Log.share`."""
        return self._asked(lambda cluster: cluster.share(topic, group, member))

    def clean(self) -> int:
        """See `Log.clean`."""
        return self._asked(lambda cluster: cluster.clean())

    def close(self) -> None:
        """See `Log.close`. What waits stays in the outbox, for the next process to send."""
        if self._stop.is_set():
            return
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join(CLOSE_S)
        self._hand.shutdown(wait=False)
        with self._turn:
            self._mirror.flush(now=self._clock())
            if self._spool.waiting:
                _logger.warning(
                    "%d records wait in the outbox %s; start the service again to send them",
                    self._spool.waiting,
                    self.path,
                )
        if self._cluster is not None:
            self._cluster.close()
        self._local.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self, needs: str | None) -> None:
        """Open the cluster, or begin without it where that can be."""
        try:
            cluster = self._open()
        except LogError as error:
            if error.code != "log.unavailable" or needs is None or not self._mirror.knows(needs):
                if error.code == "log.unavailable" and needs is not None:
                    raise LogError(
                        error.code,
                        f"{error.args[0]}; the outbox {str(self.path)!r} holds no policy to decide with meanwhile",
                    ) from error
                raise
            self._leave(error)
            for append in self._spool.all():
                for batch in append.batches:
                    self._mirror.overlay(batch)
            return
        self._recognise(cluster)
        self._cluster, self.counts = cluster, cluster.counts

    def _recognise(self, cluster: Log) -> None:
        """Refuse to send to a cluster what was meant for another."""
        known = self._mirror.topic(self._probe)
        if known is None:
            return
        try:
            same = cluster.topic(self._probe).id == known.id
        except LogError as error:
            if error.code != "log.topic_missing":
                raise
            same = False
        if same:
            return
        if self._spool.waiting:
            cluster.close()
            raise LogError(
                "log.topic_conflict",
                f"{self._spool.waiting} records of another log wait in the outbox {str(self.path)!r}; start a service "
                "on that log to send them, or give another path",
            )
        self._mirror.reset()

    def _asked(self, ask: Callable[[Log], Got], instead: Callable[[], Got | None] = lambda: None) -> Got:
        """What the cluster answers; while it is away what stands in the mirror instead.

        Raises:
            LogError: as the cluster; `log.unavailable` at once while it is away.
        """
        cluster = self._cluster
        if cluster is not None and not self.away:
            try:
                return ask(cluster)
            except LogError as error:
                if error.code != "log.unavailable":
                    raise
                self._leave(error)
        mirrored = instead()
        if mirrored is None:
            raise LogError("log.unavailable", f"the cluster is away: {self._why}")
        return mirrored

    def _send(self, batches: Sequence[Batch]) -> list[int]:
        """Append to the cluster, without waiting longer than a caller may have to."""
        cluster = self._cluster
        if cluster is None:
            raise LogError("log.unavailable", "the cluster is away")
        sending = self._hand.submit(cluster.append, batches)
        try:
            return sending.result(self._patience_s)
        except TimeoutError as error:
            # It may still come to stand there; what it appends twice counts once, by ids.
            self._hand.shutdown(wait=False)
            self._hand = ThreadPoolExecutor(1, "foldline-append")
            raise LogError("log.unavailable", f"no acknowledgement within {self._patience_s:g} s") from error

    def _leave(self, error: LogError) -> None:
        """The cluster does not answer."""
        with self._changed:
            self._why = str(error.args[0])
            if self._away_since is None:
                self._away_since = self._clock()
                _logger.error("the cluster is away, keeping what comes in %s: %s", self.path, error)

    def _run(self) -> None:
        flushed = 0
        while not self._stop.is_set():
            if not self._direct or self.away:
                self._return()
            self._stop.wait(FLUSH_S if self._direct and not self.away else RETRY_S)
            try:
                self._mirror.flush(now=self._clock())
                flushed += 1
                if flushed % CLEAN_EVERY == 0:
                    self._local.clean()
            except LogError as error:
                _logger.warning("keeping a copy of what is read in %s: %s", self.path, error)

    def _return(self) -> None:
        """Look whether the cluster answers; send what waits, and let appends go straight to it again."""
        try:
            if self._cluster is None:
                cluster = self._open()
                self._recognise(cluster)
                self._cluster = cluster
            if self.away:
                self._cluster.offsets(self._probe, 0)
                with self._changed:
                    self._away_since = None
                    self._changed.notify_all()
                _logger.info("the cluster answers; %d records wait in %s", self._spool.waiting, self.path)
            self._drain(self._cluster)
        except LogError as error:
            if error.code == "log.unavailable":
                self._leave(error)
            elif error.code != "log.closed":
                self._why = str(error)
                _logger.error("sending the outbox %s, trying again: %s", self.path, error)  # noqa: TRY400 - its text says all

    def _drain(self, cluster: Log) -> None:
        while not self._stop.is_set():
            with self._turn:
                appends = self._spool.next(SENT_TOGETHER)
                if not appends:
                    self._spool.clear(now=self._clock())
                    self._direct = True
                    return
            try:
                self._append(cluster, appends)
            except FoldlineError as error:
                if error.code not in _FOR_GOOD:
                    raise
                for append in appends:
                    self._append_or_refuse(cluster, append)

    def _append(self, cluster: Log, appends: list[Append]) -> None:
        cluster.append(joined(appends))
        with self._turn:
            self._spool.done(appends, now=self._clock())
        self._sent += sum(append.records for append in appends)

    def _append_or_refuse(self, cluster: Log, append: Append) -> None:
        """One append alone; what the cluster will never take is set aside, and blocks no other."""
        try:
            self._append(cluster, [append])
        except FoldlineError as error:
            if error.code not in _FOR_GOOD:
                raise
            _logger.error("setting aside %d records: %s", append.records, error)  # noqa: TRY400 - its text says all
            with self._turn:
                self._spool.refuse(append, now=self._clock())
            self._refused += append.records
