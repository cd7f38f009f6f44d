"""The outbox: what was decided and reported, in order, until the service has it.

Appends of several threads, and of several processes that share the file, are durable when they return. What is taken
for delivery stays until `settle` says that the service answered; taken again after a crash or a lost answer, it begins
at the same number and holds at least as much, so the service recognises what it has.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import apsw

from foldline.client import forks
from foldline.client.held import Held
from foldline.client.outbox_file import MEMORY, Durability, fault, new_name, open_file
from foldline.client.refusal import Refusal
from foldline.errors import FoldlineError, RequestError

BATCH_EVENTS: Final = 500
BATCH_BYTES: Final = 800_000
"""A request holds at most so much; the service takes 1,000 events and 1 MB."""

MOST_REFUSED: Final = 10_000
"""Refused events kept, the newest."""

PLACEHOLDER: Final = b"{}"
"""Sent in the place of an event that no request can carry: it keeps the numbers, and the service refuses it."""

_APPEND = """
    INSERT INTO events SELECT coalesce((SELECT max(position) + 1 FROM events), first), ?1 FROM outbox
    WHERE coalesce((SELECT max(position) + 1 FROM events), first) - first < ?2
"""
_NEXT = "SELECT line FROM events WHERE position >= ? ORDER BY position LIMIT ?"
_END = "SELECT coalesce((SELECT max(position) + 1 FROM events), first), first FROM outbox"
_COUNTS = """
    SELECT coalesce((SELECT max(position) + 1 FROM events), first) - first, delivered, refused, renamed FROM outbox
"""


class OutboxCounts(NamedTuple):
    """What became of the events over the file's life.

    Attributes:
        waiting: not answered yet.
        delivered: on the service's log.
        refused: found unusable by the service.
        renamed: how often a new name was begun because the service's numbers contradicted ours.
    """

    waiting: int
    delivered: int
    refused: int
    renamed: int


@dataclass(slots=True, eq=False)
class _Entry:
    """One caller's append."""

    line: bytes
    done: bool = False
    error: FoldlineError | None = None


class Outbox:
    """An outbox in a file, or in memory. Thread-safe; several processes may share a file.

    Args:
        path: of the file; None keeps events in memory, where they are lost with the process.
        loop: whose events they are.
        durability: `durable` has every append on disk, `fast` in the operating system's hands: safe against a crash
            of the process, not of the machine.
        max_events: that may wait; further appends are refused.
    """

    def __init__(
        self,
        path: str | None,
        loop: str,
        *,
        durability: Durability = "durable",
        max_events: int = 1_000_000,
    ) -> None:
        self.path = MEMORY if path is None else path
        self._loop = loop
        self._durability: Durability = durability
        self._max_events = max_events
        self._lock = threading.Lock()
        self._queue: deque[_Entry] = deque()
        self._closed = False
        self._connection: apsw.Connection | None = open_file(self.path, loop, durability)
        self.on_append: Callable[[], None] = lambda: None
        forks.watch(self)

    @property
    def durable(self) -> bool:
        """Whether events outlive the process."""
        return self.path != MEMORY

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def append(self, line: bytes) -> None:
        """Keep an event; on disk when this returns. Who waits for another's commit is in the next one.

        Raises:
            RequestError: `edge.full`, `edge.unavailable`, `edge.closed`; it is not kept.
        """
        entry = _Entry(line)
        self._queue.append(entry)
        try:
            with self._lock:
                if not entry.done:
                    self._commit_queue()
        except BaseException:
            if not entry.done and entry in self._queue:
                self._queue.remove(entry)
            raise
        if entry.error is not None:
            raise entry.error
        self.on_append()

    def next_batch(self, most_events: int = BATCH_EVENTS) -> Held | None:
        """What to deliver next, None where nothing waits."""
        with self._using() as connection:
            name, base, first = fetch(connection, "SELECT name, base, first FROM outbox")[0]
            rows = fetch(connection, _NEXT, (first, most_events))
            lines: list[bytes] = []
            size = 0
            for (line,) in rows:
                size += len(line) + 1
                if lines and size > BATCH_BYTES:
                    break
                lines.append(line)
            if not lines:
                return None
            if self._durability == "fast" and self.durable:
                _sync(connection, first + len(lines))
        return Held(name, base, first, lines)

    def settle(self, held: Held, refused: Sequence[tuple[int, str, str]] = (), *, time: int) -> bool:
        """The service has taken in all that was held: forget it.

        Args:
            held: what was sent.
            refused: index, code and message of events it found unusable.
            time: of the answer, milliseconds.

        Returns:
            Whether this was news; False where another process settled the same.
        """
        with self._writing() as connection:
            if not _current(connection, held):
                return False
            end = held.first + len(held.lines)
            connection.executemany(
                "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?)",
                [(held.first + i, time, code, message, held.lines[i]) for i, code, message in refused],
            )
            if refused:
                connection.execute(
                    "DELETE FROM refused WHERE position <= "
                    "(SELECT position FROM refused ORDER BY position DESC LIMIT 1 OFFSET ?)",
                    (MOST_REFUSED,),
                )
            connection.execute("DELETE FROM events WHERE position < ?", (end,))
            connection.execute(
                "UPDATE outbox SET first = ?, sent = max(sent, ?), delivered = delivered + ?, refused = refused + ?",
                (end, end, len(held.lines) - len(refused), len(refused)),
            )
        return True

    def begin_again(self, held: Held) -> bool:
        """Number what waits from 0 under a new name: the service's numbers contradict ours.

        Returns:
            Whether this was news.
        """
        with self._writing() as connection:
            if not _current(connection, held):
                return False
            connection.execute(
                "UPDATE outbox SET name = ?, base = first, sent = first, renamed = renamed + 1", (new_name(),)
            )
        return True

    def blank(self, held: Held, code: str, message: str, *, time: int) -> None:
        """Give up the first event held, which no request can carry; a placeholder keeps its number."""
        with self._writing() as connection:
            if _current(connection, held):
                connection.execute(
                    "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?)",
                    (held.first, time, code, message, held.lines[0]),
                )
                connection.execute("UPDATE events SET line = ? WHERE position = ?", (PLACEHOLDER, held.first))

    def counts(self) -> OutboxCounts:
        """What became of the events so far."""
        with self._using() as connection:
            return OutboxCounts(*fetch(connection, _COUNTS)[0])

    def end(self) -> tuple[int, int]:
        """Position after the last event appended, and the first not answered yet."""
        with self._using() as connection:
            end, first = fetch(connection, _END)[0]
        return end, first

    def refused(self) -> list[Refusal]:
        """The newest events the service refused, oldest first; at most 10,000 are kept."""
        with self._using() as connection:
            rows = fetch(connection, "SELECT time, code, message, line FROM refused ORDER BY position")
        return [Refusal(*row) for row in rows]

    def keep_bundle(self, payload: bytes, heard: int) -> None:
        """Keep the newest bundle for a start without network.

        Args:
            payload: of the bundle.
            heard: when the service last said that it is the newest, milliseconds.
        """
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO bundle VALUES (1, ?, ?)", (heard, payload))

    def kept_bundle(self) -> tuple[bytes, int] | None:
        """The bundle kept, and when it was last said to be the newest."""
        with self._using() as connection:
            rows = fetch(connection, "SELECT payload, heard FROM bundle")
        return (rows[0][0], rows[0][1]) if rows else None

    def close(self) -> None:
        """Close the file. Idempotent."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def before_fork(self) -> None:
        """Let go of the file."""
        self._lock.acquire()
        if self.durable and self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork(self, *, child: bool) -> None:
        """What waits in memory stays the parent's: two must not deliver it."""
        if not child:
            self._lock.release()
            return
        self._lock = threading.Lock()
        self._queue = deque()
        if not self.durable and self._connection is not None:
            self._connection = None

    def _commit_queue(self) -> None:
        """Commit all that is queued; the lock is held."""
        entries: list[_Entry] = []
        while self._queue:
            entries.append(self._queue.popleft())
        error: FoldlineError | None = None
        try:
            with self._translated():
                connection = self._connected()
                if len(entries) == 1:
                    self._insert(connection, entries[0])
                else:
                    with _transaction(connection):
                        for entry in entries:
                            self._insert(connection, entry)
        except FoldlineError as raised:
            error = raised
        except BaseException as raised:
            # Interrupted: the neighbours' events were not committed, and they must hear of it.
            error = RequestError("edge.unavailable", f"the thread that committed was interrupted: {raised!r}")
            raise
        finally:
            for entry in entries:
                entry.error = entry.error or error
                entry.done = True

    def _insert(self, connection: apsw.Connection, entry: _Entry) -> None:
        connection.execute(_APPEND, (entry.line, self._max_events))
        if connection.changes() == 0:
            entry.error = RequestError(
                "edge.full",
                f"{self.path}: {self._max_events} events wait for the service, no more may; nothing was kept",
                field="max_events",
                value=self._max_events,
            )

    def _connected(self) -> apsw.Connection:
        if self._closed:
            raise RequestError("edge.closed", f"the outbox {self.path} was closed; make another edge client")
        if self._connection is None:
            self._connection = open_file(self.path, self._loop, self._durability)
        return self._connection

    @contextmanager
    def _using(self) -> Iterator[apsw.Connection]:
        """The connection, to one thread at a time."""
        with self._lock, self._translated():
            yield self._connected()

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """The same within a transaction."""
        with self._using() as connection, _transaction(connection):
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """SQLite's errors as ours; a connection that broke is opened anew."""
        try:
            yield
        except apsw.Error as error:
            if (
                self.durable
                and isinstance(error, apsw.IOError | apsw.CorruptError)
                and self._connection is not None
            ):
                self._connection.close(True)
                self._connection = None
            raise fault(self.path, error) from error


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _current(connection: apsw.Connection, held: Held) -> bool:
    """Whether nobody has settled or renamed since it was taken."""
    found = fetch(connection, "SELECT name, first FROM outbox")[0]
    return bool(found == (held.outbox, held.first))


def _sync(connection: apsw.Connection, end: int) -> None:
    """Have everything up to an event on disk before it is sent.

    Otherwise a machine that crashed could give the number of an event the service has to another one.
    """
    if fetch(connection, "SELECT sent FROM outbox")[0][0] >= end:
        return
    connection.pragma("synchronous", "FULL")
    try:
        connection.execute("UPDATE outbox SET sent = ?", (end,))
    finally:
        connection.pragma("synchronous", "NORMAL")


def fetch(connection: apsw.Connection, statement: str, bindings: Sequence[Any] = ()) -> list[Any]:
    """Every row of a statement; drained, so that it holds no snapshot afterwards."""
    return connection.execute(statement, bindings).fetchall()
