"""Taking turns at the file's one write lock, among the processes that share it.

SQLite's own way to wait is to look again after ever longer sleeps, up to 100 ms: beside busy writers a learner
then waits for seconds. A lock of the operating system on a file beside the log wakes who waits at once. It keeps
nothing safe: SQLite's lock does, and who cannot have this one in time goes on to wait for that one.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform != "win32":
    import fcntl

PATIENCE_S = 2.0
"""How long to wait for the turn; a holder that long was paused or does something slow."""

STEP_S = 0.0005


class Turn:
    """One process's place in the queue for a log's write lock.

    Args:
        path: of the file to lock; made when first needed, and left behind empty.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold the turn, if it can be had in time."""
        if sys.platform == "win32":
            # No such lock: SQLite's own waiting has to do.
            yield
            return
        held = self._take()
        try:
            yield
        finally:
            if held and self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; it is opened again when next needed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> bool:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError:
                # A folder that cannot be written to, or no descriptors left: SQLite will say so better.
                return False
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(STEP_S)
            except OSError:
                return False
            else:
                return True
