"""The tables of the embedded log, and how a file becomes one.

One row per appended batch and partition. Its key packs partition and first offset into one integer,
`(partition id << 40) + offset`, so that rows stand in the order they are read and appends go to the end of
their partition. Ids are never used twice: a topic made again meets none of its predecessor's rows.

The end offset is that of the last row, or `floor` where rows were deleted after it; every deletion raises
`floor` in the same transaction, so appends need not touch the partitions table.
"""

import apsw

from foldline.errors import LogError
from foldline.log.sqlite.fetch import fetch

APPLICATION_ID = 0x464C444C
"""`FLDL`, in the header of every log file."""

FORMAT = 2
"""Raised whenever an older Foldline could not read the file. 2: large payloads are compressed, see `packing`."""

OFFSET_BITS = 40
"""Bits of a position that hold the offset: about 1.1e12 records a partition."""

MAX_PARTITION = (1 << (63 - OFFSET_BITS)) - 1
"""Greatest partition id a position can hold: 8.4 million over the file's life."""

_TABLES = (
    """CREATE TABLE topics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        partitions INTEGER NOT NULL,
        cleanup TEXT NOT NULL,
        retention_ms INTEGER,
        making TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE partitions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        topic INTEGER NOT NULL,
        number INTEGER NOT NULL,
        floor INTEGER NOT NULL DEFAULT 0,
        UNIQUE (topic, number)
    ) STRICT""",
    """CREATE TABLE batches (
        position INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        least INTEGER NOT NULL,
        greatest INTEGER NOT NULL,
        key BLOB,
        payload BLOB NOT NULL
    ) STRICT""",
    """CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    # Partitions of deleted topics whose rows are still to go; a crash in between leaves them to the next clean.
    "CREATE TABLE doomed (partition INTEGER PRIMARY KEY) STRICT",
)


def check_format(connection: apsw.Connection, path: str) -> bool:
    """Whether the file is a log already; False where it is empty and may become one.

    Raises:
        LogError: `log.not_a_log`, `log.newer_format`; nothing was changed.
    """
    # In this order: another process may make the file a log between the two looks, and it writes tables and id at once.
    empty = not fetch(connection, "SELECT 1 FROM sqlite_schema LIMIT 1")
    application = connection.pragma("application_id")
    if application == 0 and empty:
        return False
    if application != APPLICATION_ID:
        raise LogError(
            "log.not_a_log",
            f"{path} is an SQLite file with application id {application:#x}, a log has {APPLICATION_ID:#x}; "
            "give another path",
        )
    version = connection.pragma("user_version")
    if version > FORMAT:
        raise LogError(
            "log.newer_format",
            f"{path} has format {version}, this Foldline reads up to {FORMAT}; upgrade this installation",
        )
    return True


def raise_format(connection: apsw.Connection) -> None:
    """Mark a log of an older format as one that this Foldline writes to: from now on an older one must not read it."""
    if connection.pragma("user_version") < FORMAT:
        connection.pragma("user_version", FORMAT)


def create_tables(connection: apsw.Connection, path: str) -> None:
    """Make the file a log, unless another process did so first."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not check_format(connection, path):
            for table in _TABLES:
                connection.execute(table)
            connection.pragma("application_id", APPLICATION_ID)
            connection.pragma("user_version", FORMAT)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
