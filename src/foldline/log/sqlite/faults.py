"""What SQLite's errors mean for a log."""

import errno

import apsw

from foldline.errors import FoldlineError, InputError, LogError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def fault(path: str, error: apsw.Error, system_errno: int = 0) -> FoldlineError:
    """The error to raise in place of SQLite's.

    Args:
        path: the log's file.
        error: as raised by apsw.
        system_errno: the operating system's error number behind it, 0 if none. Out of space while growing the
            shared memory file arrives as an I/O error and is told apart by it.
    """
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, apsw.FullError) or (isinstance(error, apsw.IOError) and system_errno in _NO_SPACE):
        return LogError(
            "log.full", f"{path}: no space left ({detail}); nothing was written, free space and append again"
        )
    if isinstance(error, apsw.NotADBError):
        return LogError(
            "log.not_a_log", f"{path} is not an SQLite file; give the path of a log, or of no file yet"
        )
    if isinstance(error, apsw.BusyError):
        return LogError(
            "log.unavailable", f"{path}: another process kept the file locked ({detail}); try again"
        )
    if isinstance(error, apsw.TooBigError):
        return InputError("input.invalid", f"{path}: a batch is larger than SQLite can store ({detail})")
    return LogError("log.unavailable", f"{path} cannot be read or written now ({detail})")
