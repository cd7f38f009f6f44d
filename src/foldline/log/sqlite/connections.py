"""The connections of one process to one file: one that writes, and a pool that reads.

SQLite must not be carried over a fork: a child that used, or closed, or only opened the file beside an
inherited connection would believe in locks that it does not have. So every connection is closed before a fork
and both sides open their own when they next need one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import zstandard

from foldline.errors import FoldlineError, LogError
from foldline.log.sqlite.faults import fault
from foldline.log.sqlite.opening import open_reader, open_writer
from foldline.log.sqlite.turn import Turn

IDLE = 8
"""Reading connections kept open for the next reader."""

_BROKEN = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)
"""After these a connection is opened anew: what it remembers of the file may no longer hold."""


class Connections:
    """Lends connections to threads, one thread at a time each.

    Args:
        path: absolute path of the file.
        max_bytes: quota on the database file, or None.
    """

    def __init__(self, path: str, max_bytes: int | None) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._closed = False
        self._writing = threading.Lock()
        self._pool = threading.Condition()
        self._lent = 0
        self._idle: list[apsw.Connection] = []
        self._writer: apsw.Connection | None = open_writer(path, max_bytes)
        self._turn = Turn(path + "-turn")

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """The connection that writes, to one thread at a time, outside a transaction.

        Raises:
            LogError: `log.closed`, `log.full`, `log.unavailable` in place of SQLite's errors.
        """
        with self._writing:
            self._check_open()
            if self._writer is None:
                self._writer = open_writer(self.path, self._max_bytes)
            try:
                with self._turn.taken():
                    yield self._writer
            except apsw.Error as error:
                raised = fault(self.path, error, self._writer.system_errno)
                if isinstance(error, _BROKEN):
                    self._writer.close(True)
                    self._writer = None
                raise raised from error

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """A write transaction: committed if the block ends, rolled back if it raises."""
        with self.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """A connection that reads. The block must drain its statements: what stays open holds back checkpoints."""
        connection = self._borrow()
        keep = False
        try:
            yield connection
            keep = True
        except FoldlineError:
            keep = True
            raise
        except apsw.Error as error:
            raise fault(self.path, error, connection.system_errno) from error
        except zstandard.ZstdError as error:
            raise LogError(
                "log.unavailable",
                f"{self.path} is damaged: a batch in it does not unpack ({error}); restore it from a copy",
            ) from error
        finally:
            # Interrupted, a statement may be half read and hold its snapshot; closing the connection ends it.
            self._give_back(connection, keep=keep)

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """One state of the file for several statements; over when the block ends."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def close(self) -> None:
        """Wait for the calls under way and close all. Idempotent."""
        with self._writing, self._pool:
            self._closed = True
            self._close_all()

    def hold(self) -> None:
        """Close all and let nobody in until `resume`: the process is about to fork."""
        self._writing.acquire()
        self._pool.acquire()
        self._close_all()

    def resume(self) -> None:
        """Let callers in again; connections are opened as they are needed."""
        self._pool.release()
        self._writing.release()

    def renew(self) -> None:
        """In a forked child, after `hold`: fresh locks, as the threads that waited for the old ones are not here."""
        self._writing = threading.Lock()
        self._pool = threading.Condition()

    def _close_all(self) -> None:
        while self._lent:
            self._pool.wait()
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._turn.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogError("log.closed", f"the log {self.path} was closed; open it again")

    def _borrow(self) -> apsw.Connection:
        with self._pool:
            self._check_open()
            if self._idle:
                self._lent += 1
                return self._idle.pop()
            # Opened under the lock: a fork must not find a connection half open.
            connection = open_reader(self.path)
            self._lent += 1
            return connection

    def _give_back(self, connection: apsw.Connection, *, keep: bool) -> None:
        with self._pool:
            self._lent -= 1
            if keep and len(self._idle) < IDLE:
                self._idle.append(connection)
            else:
                connection.close(True)
            if not self._lent:
                self._pool.notify_all()
