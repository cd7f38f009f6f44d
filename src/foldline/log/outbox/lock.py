"""One process an outbox."""

import fcntl
from pathlib import Path
from typing import IO

from foldline.errors import LogError


def locked(path: Path) -> IO[bytes]:
    """A lock beside the outbox, held until it is closed, or the process dies.

    Raises:
        LogError: `log.unavailable` where another process holds it, or it cannot be made.
    """
    beside = path.with_name(path.name + "-lock")
    try:
        file = beside.open("ab")
    except OSError as error:
        raise LogError("log.unavailable", f"making the outbox {str(path)!r}: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise LogError(
            "log.unavailable",
            f"the outbox {str(path)!r} is used by another process; give this service another (--outbox PATH)",
        ) from error
    return file
