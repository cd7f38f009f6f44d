"""Opening the file: which SQLite is safe, which settings must hold, and how a new file is made."""

import time
from pathlib import Path

import apsw

from foldline.errors import LogError
from foldline.log.sqlite.faults import fault
from foldline.log.sqlite.schema import check_format, create_tables, raise_format

BUSY_MS = 10_000
"""How long a statement waits for another process's lock before `log.unavailable`."""

PAGE_BYTES = 8192
"""Page size of a new file: batches of 1,000 records append an eighth faster than with SQLite's 4096."""

LEAST_BYTES = 512
"""Size of the smallest SQLite file that is not empty."""

WAL_BYTES = 16 << 20
"""The write-ahead log is cut back to this size whenever it starts over."""

_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""The release that fixed the WAL-reset bug, then the patch releases it was carried back to."""


def check_library(version: str) -> None:
    """Refuse an SQLite library that can lose acknowledged commits.

    SQLite 3.7.0 to 3.51.2 may, when several connections write and checkpoint in WAL mode, reset the log wrongly
    (sqlite.org/wal.html, "the WAL-reset bug"); 3.51.3, 3.50.7 and 3.44.6 are fixed.

    Raises:
        LogError: `log.unsafe_sqlite`.

    >>> check_library("3.51.3"), check_library("3.50.7")
    (None, None)
    """
    found = tuple(int(part) for part in version.split(".")[:3])
    first, *backports = _FIXED
    if found >= first or any(found[:2] == fixed[:2] and found >= fixed for fixed in backports):
        return
    raise LogError(
        "log.unsafe_sqlite",
        f"SQLite {version} has the WAL-reset bug and can lose acknowledged commits; install an apsw with 3.51.3 or "
        "newer (pip install --upgrade apsw), or one of the fixed 3.50.7 and 3.44.6",
    )


def open_writer(path: str, max_bytes: int | None) -> apsw.Connection:
    """A connection that may write; makes the file a log if it is new.

    Args:
        path: absolute path.
        max_bytes: quota on the database file in bytes, or None.

    Raises:
        LogError: `log.not_a_log`, `log.newer_format`, `log.unsafe_sqlite`, `log.unavailable`, `log.full`.
    """
    _check_file(Path(path))
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        if not check_format(connection, path):
            _prepare_new(connection, path)
        _configure(connection, path)
        raise_format(connection)
        if max_bytes is not None:
            _limit(connection, max_bytes)
    except apsw.Error as error:
        connection.close()
        raise fault(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: str) -> apsw.Connection:
    """A connection that only reads, to a file that `open_writer` has opened before."""
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        _set(connection, path, "query_only", 1)
    except apsw.Error as error:
        connection.close()
        raise fault(path, error) from error
    return connection


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise LogError("log.not_a_log", f"{path} is a directory; give the path of a file")
    # SQLite takes a file shorter than its least page for an empty one and would write over it. Only the size is
    # looked at: opening and closing the file here would drop the locks this process may hold on it.
    size = path.stat().st_size if path.exists() else 0
    if 0 < size < LEAST_BYTES:
        raise LogError("log.not_a_log", f"{path} holds {size} bytes and is no SQLite file; give another path")


def _connect(path: str, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(path, flags=flags)
    except apsw.Error as error:
        folder = Path(path).parent
        hint = "" if folder.is_dir() else f"; the folder {folder} does not exist, create it"
        raise LogError("log.unavailable", f"{path} cannot be opened ({error}){hint}") from error
    connection.set_busy_timeout(BUSY_MS)
    return connection


def _prepare_new(connection: apsw.Connection, path: str) -> None:
    # Only effective before the first page is written, which going to WAL does.
    connection.pragma("page_size", PAGE_BYTES)
    connection.pragma("auto_vacuum", "INCREMENTAL")
    _go_to_wal(connection)
    create_tables(connection, path)
    if connection.pragma("auto_vacuum") != 2:
        raise LogError(
            "log.unavailable", f"{path}: SQLite did not accept auto_vacuum, so space could not be given back"
        )


def _go_to_wal(connection: apsw.Connection) -> None:
    # Two processes that open a new file at once may each hold what the other needs; SQLite then says busy at
    # once instead of waiting.
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _configure(connection: apsw.Connection, path: str) -> None:
    if connection.pragma("journal_mode") != "wal":
        _go_to_wal(connection)
    mode = connection.pragma("journal_mode")
    if mode != "wal":
        raise LogError(
            "log.unsafe_sqlite",
            f"{path}: SQLite keeps journal mode {mode!r} and refuses 'wal', which needs shared memory; "
            "put the file on a local disk",
        )
    _set(connection, path, "synchronous", 2)
    _set(connection, path, "journal_size_limit", WAL_BYTES)


def _set(connection: apsw.Connection, path: str, name: str, value: int) -> None:
    connection.pragma(name, value)
    found = connection.pragma(name)
    if found != value:
        raise LogError("log.unsafe_sqlite", f"{path}: asked SQLite for {name} = {value}, it keeps {found!r}")


def _limit(connection: apsw.Connection, max_bytes: int) -> None:
    # SQLite keeps the present size where the quota is smaller: appends then wait for space, as they should.
    connection.pragma("max_page_count", max(1, max_bytes // connection.pragma("page_size")))
