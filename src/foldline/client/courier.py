"""Who delivers: of all processes that share an outbox file, one at a time.

The right is an exclusive SQLite lock on an empty file beside the outbox. The operating system gives it up for a
process that dies, on every platform.
"""

import threading

import apsw

from foldline.client import forks
from foldline.client.outbox_file import MEMORY


class Courier:
    """The right to deliver what an outbox holds.

    Args:
        path: of the outbox.
    """

    def __init__(self, path: str) -> None:
        self._path = path + "-courier" if path != MEMORY else None
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None
        forks.watch(self)

    def take(self) -> bool:
        """Take the right, or keep it; False while another process has it."""
        with self._lock:
            if self._path is None or self._connection is not None:
                return True
            try:
                connection = apsw.Connection(self._path)
            except apsw.Error:
                return False
            try:
                connection.pragma("journal_mode", "memory")  # nothing is written, so nothing is left behind
                connection.execute("BEGIN EXCLUSIVE")
            except apsw.Error:
                connection.close(True)
                return False
            self._connection = connection
            return True

    def give_up(self) -> None:
        """Give the right up, if it is held."""
        with self._lock:
            self._let_go()

    def before_fork(self) -> None:
        """Let go of the file; whoever delivers asks for the right again before its next delivery."""
        self._lock.acquire()
        self._let_go()

    def after_fork(self, *, child: bool) -> None:
        """Each side asks for itself."""
        if child:
            self._lock = threading.Lock()
        else:
            self._lock.release()

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close(True)
            self._connection = None
