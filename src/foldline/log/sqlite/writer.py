"""Group commit: appends of several threads share one transaction, and so one wait for the disk.

The first thread to come leads: it commits what is queued, its own first. Who comes meanwhile waits, and the
first of them leads next. A lone caller commits at once in its own thread.
"""

import threading
from collections.abc import Sequence

import apsw

from foldline.errors import FoldlineError, LeaseLost, LogError
from foldline.log.protocol import Batch, Lease
from foldline.log.sqlite.connections import Connections
from foldline.log.sqlite.fetch import fetch
from foldline.log.sqlite.packing import packed
from foldline.log.sqlite.schema import OFFSET_BITS
from foldline.log.validation import check_fits, check_partition, lease_lost, topic_missing

_LAST = (1 << OFFSET_BITS) - 1

_MOST = _LAST - (1 << 32)
"""Appends stop here: one append holds fewer records than are left, so none runs into the next partition."""

_TARGET = f"""
    SELECT t.partitions, t.cleanup, p.id << {OFFSET_BITS}, p.floor, (
        SELECT position + count FROM batches
        WHERE position BETWEEN p.id << {OFFSET_BITS} AND (p.id << {OFFSET_BITS}) + {_LAST}
        ORDER BY position DESC LIMIT 1
    )
    FROM topics t LEFT JOIN partitions p ON p.topic = t.id AND p.number = ?
    WHERE t.name = ?
"""  # noqa: S608 - only constants are put in

_OF_ALL = frozenset({"log.unavailable", "log.closed"})
"""Errors of the file, not of one append: trying each member alone would only meet them again."""

_INSERT = "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?)"

_Row = tuple[int, int, int, int, bytes | None, bytes]


class _Target:
    """A partition as this transaction sees it."""

    __slots__ = ("base", "cleanup", "end", "partitions")

    def __init__(self, partitions: int, cleanup: str, base: int, end: int) -> None:
        self.partitions = partitions
        self.cleanup = cleanup
        self.base = base
        self.end = end


class _Targets:
    """Partitions as the last commit left them, for as long as nobody else has written since.

    Looking one up costs a tenth of a small append. The data version moves when another connection commits, the
    count of changed rows when this one is used for anything but appends.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Target] = {}
        self._stamp: tuple[apsw.Connection, int, int] | None = None

    def begin(self, connection: apsw.Connection) -> None:
        """Inside the transaction: forget what may have changed."""
        if self._stamp != _stamp(connection):
            self._known.clear()

    def find(self, connection: apsw.Connection, batch: Batch) -> _Target:
        """The partition of a batch that fits it; refused as `Log.append` says."""
        place = (batch.topic, batch.partition)
        target = self._known.get(place)
        if target is None:
            target = self._known[place] = _load(connection, batch)
        check_fits(batch, target.partitions, target.cleanup)
        if target.end > _MOST:
            raise LogError(
                "log.full",
                f"{batch.topic!r} partition {batch.partition} holds {target.end} records, its most",
            )
        return target

    def end(self, connection: apsw.Connection) -> None:
        """Before the commit: what is known now holds after it."""
        self._stamp = _stamp(connection)

    def forget(self) -> None:
        """The transaction failed."""
        self._stamp = None
        self._known.clear()


def _stamp(connection: apsw.Connection) -> tuple[apsw.Connection, int, int]:
    version = fetch(connection, "PRAGMA data_version")
    return connection, version[0][0], connection.total_changes()


class _Member:
    """One caller's append."""

    __slots__ = ("batches", "done", "error", "leases", "offsets", "stored", "turn")

    def __init__(self, batches: Sequence[Batch], leases: Sequence[Lease]) -> None:
        self.batches = batches
        # By the thread that asks, before it takes its turn: nobody waits for another's compression.
        self.stored = [packed(batch.payload) for batch in batches]
        self.leases = leases
        self.offsets: list[int] = []
        self.error: FoldlineError | None = None
        self.done = False
        self.turn = _new_turn()


def _new_turn() -> threading.Lock:
    turn = threading.Lock()
    turn.acquire()
    return turn


class Writer:
    """Appends to one file, grouped over threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._mutex = threading.Lock()
        self._queue: list[_Member] = []
        self._leading = False
        self._targets = _Targets()

    def append(self, batches: Sequence[Batch], leases: Sequence[Lease]) -> list[int]:
        """Append all batches or none; durable on return. The offset of each batch's first record."""
        member = _Member(batches, leases)
        with self._mutex:
            self._queue.append(member)
            lead, self._leading = not self._leading, True
        if not lead:
            self._await_turn(member)
        if not member.done:
            self._lead()
        if member.error is not None:
            raise member.error
        return member.offsets

    def _await_turn(self, member: _Member) -> None:
        try:
            member.turn.acquire()
        except BaseException:
            # Interrupted while waiting: an append that raised must not be committed later, and a turn that came
            # meanwhile must be passed on.
            with self._mutex:
                waiting = member in self._queue
                if waiting:
                    self._queue.remove(member)
            if waiting and not member.turn.acquire(blocking=False):
                raise
            if waiting:
                self._pass_on([])
            raise

    def _lead(self) -> None:
        group: list[_Member] = []
        try:
            with self._mutex:
                group, self._queue = self._queue, []
            self._commit_or_split(group)
        except BaseException:
            for member in group:
                if not member.done:
                    member.error = LogError(
                        "log.unavailable", "the thread that committed was interrupted; append again"
                    )
            raise
        finally:
            self._pass_on(group)

    def _pass_on(self, group: list[_Member]) -> None:
        with self._mutex:
            if self._queue:
                self._queue[0].turn.release()
            else:
                self._leading = False
        for member in group:
            member.done = True
            member.turn.release()

    def _commit_or_split(self, group: list[_Member]) -> None:
        try:
            self._commit(group)
        except FoldlineError as error:
            if len(group) == 1:
                group[0].error = error
            elif error.code in _OF_ALL:
                for member in group:
                    member.error = LogError(error.code, error.args[0])
            else:
                # One that does not fit must not take its neighbours down: each goes alone.
                for member in group:
                    self._commit_or_split([member])

    def _commit(self, group: list[_Member]) -> None:
        """Commit the group in one transaction; a member that is refused writes nothing and keeps its error."""
        with self._connections.writing() as connection:
            begun = False
            try:
                connection.execute("BEGIN IMMEDIATE")
                begun = True
                self._targets.begin(connection)
                for member in group:
                    _write(connection, member, self._targets)
                self._targets.end(connection)
                connection.execute("COMMIT")
            except BaseException as error:
                self._targets.forget()
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                elif begun and not isinstance(error, apsw.Error):
                    # Interrupted after the commit: it stands, and the neighbours may know.
                    for member in group:
                        member.done = True
                raise


def _write(connection: apsw.Connection, member: _Member, targets: _Targets) -> None:
    member.error = None
    try:
        for lease in member.leases:
            _check_lease(connection, lease)
        found = [targets.find(connection, batch) for batch in member.batches]
    except FoldlineError as error:
        member.error = error
        return
    rows: list[_Row] = []
    member.offsets = []
    for batch, stored, target in zip(member.batches, member.stored, found, strict=True):
        member.offsets.append(target.end)
        rows.append((target.base + target.end, batch.count, batch.least, batch.greatest, batch.key, stored))
        target.end += batch.count
    for row in rows:
        connection.execute(_INSERT, row)


def _load(connection: apsw.Connection, batch: Batch) -> _Target:
    found = fetch(connection, _TARGET, (batch.partition, batch.topic))
    if not found:
        raise topic_missing(batch.topic)
    partitions, cleanup, base, floor, last = found[0]
    check_partition(batch.topic, batch.partition, partitions)
    return _Target(partitions, cleanup, base, max(floor, (last or base) - base))


def _check_lease(connection: apsw.Connection, lease: Lease) -> None:
    found = fetch(connection, "SELECT epoch, holder FROM leases WHERE name = ?", (lease.name,))
    newest, holder = found[0] if found else (0, "")
    if (newest, holder) != (lease.epoch, lease.holder):
        raise LeaseLost(lease_lost(lease, newest, holder))
