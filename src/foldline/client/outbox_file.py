"""The outbox's file: its tables, and how it is opened safely.

`outbox` is one row. Events have positions that count from 0 over the file's life and are never used twice; the service
is told numbers that count from 0 over the life of the outbox's *name*, which begins at position `base`. `first` is the
first position not yet answered, `sent` a bound on those that were ever sent.
"""

import secrets
import time
from pathlib import Path
from typing import Final, Literal

import apsw

from foldline.errors import LogError, RequestError

Durability = Literal["durable", "fast"]

MEMORY: Final = ":memory:"
APPLICATION_ID: Final = 0x464C444F
"""`FLDO`, in the header of every outbox file."""

FORMAT: Final = 1
BUSY_MS: Final = 10_000
LEAST_SQLITE: Final = (3, 51, 3)
"""Older releases can lose commits where several processes write one file (sqlite.org/wal.html, the WAL-reset bug)."""

_TABLES = (
    """CREATE TABLE outbox (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        loop TEXT NOT NULL,
        name TEXT NOT NULL,
        base INTEGER NOT NULL,
        first INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        delivered INTEGER NOT NULL,
        refused INTEGER NOT NULL,
        renamed INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE events (position INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT",
    """CREATE TABLE refused (
        position INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        code TEXT NOT NULL,
        message TEXT NOT NULL,
        line BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE bundle (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        heard INTEGER NOT NULL,
        payload BLOB NOT NULL
    ) STRICT""",
)


def new_name() -> str:
    """A random name for an outbox, as the service takes it."""
    return secrets.token_hex(16)


def open_file(path: str, loop: str, durability: Durability) -> apsw.Connection:
    """A connection to the outbox of a loop; makes the file one if it is new.

    Args:
        path: of the file, or `MEMORY`.
        loop: whose events it holds.
        durability: `durable` syncs every commit, `fast` leaves that to the operating system.

    Raises:
        RequestError: `edge.not_an_outbox`, `edge.unavailable`, `edge.full`.
        LogError: `log.unsafe_sqlite`.
    """
    _check_library()
    if path != MEMORY and not Path(path).parent.is_dir():
        raise RequestError(
            "edge.unavailable",
            f"the folder of {path} does not exist; create it, or give another path",
            field="outbox",
        )
    connection: apsw.Connection | None = None
    try:
        connection = apsw.Connection(path)
        connection.set_busy_timeout(BUSY_MS)
        _prepare(connection, path, loop)
        connection.pragma("synchronous", "FULL" if durability == "durable" else "NORMAL")
        connection.pragma("journal_size_limit", 4 << 20)
    except apsw.Error as error:
        if connection is not None:
            connection.close(True)
        raise fault(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close(True)
        raise
    return connection


def fault(path: str, error: apsw.Error) -> RequestError:
    """The error to raise in place of SQLite's."""
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, apsw.NotADBError):
        return RequestError(
            "edge.not_an_outbox", f"{path} is no SQLite file ({detail}); give another path", field="outbox"
        )
    if isinstance(error, apsw.FullError):
        return RequestError("edge.full", f"{path}: no space left ({detail}); nothing was written, free space")
    return RequestError(
        "edge.unavailable", f"{path} cannot be read or written now ({detail})", field="outbox"
    )


def _check_library() -> None:
    found = apsw.sqlite_lib_version()
    if tuple(int(part) for part in found.split(".")[:3]) < LEAST_SQLITE:
        raise LogError(
            "log.unsafe_sqlite", f"SQLite {found} has the WAL-reset bug; run: pip install --upgrade apsw"
        )


def _prepare(connection: apsw.Connection, path: str, loop: str) -> None:
    """Check that the file is this loop's outbox, or make it one if it is empty."""
    application = connection.pragma("application_id")
    if application == 0 and not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall():
        _go_to_wal(connection, path)
        _create(connection, loop)
        application = connection.pragma("application_id")
    elif application == APPLICATION_ID:
        _go_to_wal(connection, path)
    version = connection.pragma("user_version")
    if application != APPLICATION_ID or version > FORMAT:
        raise RequestError(
            "edge.not_an_outbox",
            f"{path} is an SQLite file with application id {application:#x} and format {version}, an outbox has "
            f"{APPLICATION_ID:#x} and {FORMAT}; give another path",
            field="outbox",
        )
    found = connection.execute("SELECT loop FROM outbox").fetchall()[0][0]
    if found != loop:
        raise RequestError(
            "edge.not_an_outbox",
            f"{path} is the outbox of loop {found!r}, not of {loop!r}; give each loop a file of its own",
            field="outbox",
            value=found,
            expected=loop,
        )


def _create(connection: apsw.Connection, loop: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been faster.
        if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall():
            for table in _TABLES:
                connection.execute(table)
            connection.execute("INSERT INTO outbox VALUES (1, ?, ?, 0, 0, 0, 0, 0, 0)", (loop, new_name()))
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", FORMAT)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _go_to_wal(connection: apsw.Connection, path: str) -> None:
    """Two processes that open a new file at once may block each other; SQLite then says busy without waiting."""
    deadline = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            mode = connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
            continue
        if mode != "wal" and path != MEMORY:
            raise RequestError(
                "edge.unavailable",
                f"{path}: SQLite keeps journal mode {mode!r} and refuses 'wal'; put the file on a local disk",
                field="outbox",
            )
        return
