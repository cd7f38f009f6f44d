"""Taking turns at the file's one write lock, among the processes that share it.

SQLite's own way to wait is to look again after ever longer sleeps, up to 100 ms: beside busy writers a learner
then waits for seconds. A lock of the operating system on a file beside the log wakes the waiting at once, in the
order they came. It keeps nothing safe: SQLite's lock does. A process that dies gives it up; one that is stopped
inside its few milliseconds of commit holds the others up, as SQLite's lock would too.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform != "win32":
    import fcntl


class Turn:
    """One process's place in the queue for a log's write lock; one thread at a time.

    Args:
        path: of the file to lock; made when first needed, and left behind empty.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn and hold it; where the file cannot be had, SQLite's own waiting has to do."""
        file = self._open()
        if sys.platform == "win32" or file is None:
            yield
            return
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; it is opened again when next needed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int | None:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                # A folder that cannot be written to, or no descriptors left: SQLite will say so better.
                return None
        return self._file
