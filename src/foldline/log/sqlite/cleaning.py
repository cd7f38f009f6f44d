"""Retention, compaction and giving space back.

What may go is found by reading; it is then deleted and the file shrunk in small transactions, between which
other threads and processes append. Nothing found can become wrong in between: old rows only get older, and a
superseded row is never the newest of its key again.
"""

from collections.abc import Iterable, Iterator

import apsw

from foldline.log.sqlite.catalogue import Place
from foldline.log.sqlite.connections import Connections
from foldline.log.sqlite.fetch import fetch
from foldline.log.sqlite.opening import BUSY_MS
from foldline.log.sqlite.reading import end_offset
from foldline.log.sqlite.schema import OFFSET_BITS

CHUNK_BYTES = 4 << 20
"""Payload deleted in one transaction, at most (or one row)."""

CHUNK_ROWS = 1_000
"""Rows deleted in one transaction, at most."""

CHUNK_PAGES = 512
"""Pages given back in one transaction, at most."""

CHECKPOINT_MS = 250
"""How long a checkpoint waits for readers before it is left to a later one."""

_Found = tuple[int, int]
"""Position and payload bytes of a row that may go."""

_OLD = """
    SELECT position, length(payload), greatest FROM batches
    WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?
"""

_KEYS = "SELECT position, length(payload), key FROM batches WHERE position BETWEEN ? AND ? ORDER BY position"

_DELETE = "DELETE FROM batches WHERE position = ?"


def clean(connections: Connections, now: int) -> int:
    """Apply retention and compaction and give the space back; bytes by which the file shrinks.

    Args:
        connections: the file.
        now: the log's clock, milliseconds.
    """
    with connections.reading() as connection:
        partitions = fetch(
            connection,
            "SELECT p.id, p.id << ?, p.floor, t.cleanup, t.retention_ms "
            "FROM partitions p JOIN topics t ON t.id = p.topic",
            (OFFSET_BITS,),
        )
    for partition, base, floor, cleanup, retention_ms in partitions:
        place = Place(base, floor, cleanup)
        if cleanup == "compact":
            _delete(connections, partition, place, _superseded(connections, place))
        elif retention_ms is not None:
            _expire(connections, partition, place, now - retention_ms)
    return sweep(connections)


def sweep(connections: Connections) -> int:
    """Delete what deleted topics left and give free pages back; bytes by which the file shrinks."""
    with connections.reading() as connection:
        doomed = fetch(connection, "SELECT partition, partition << ? FROM doomed", (OFFSET_BITS,))
    for partition, base in doomed:
        place = Place(base, 0, "delete")
        while rows := _head(connections, place):
            _delete(connections, partition, place, [(position, size) for position, size, _ in rows])
        with connections.transaction() as connection:
            connection.execute("DELETE FROM doomed WHERE partition = ?", (partition,))
    freed = _shrink(connections)
    _checkpoint(connections)
    return freed


def _head(connections: Connections, place: Place) -> list[tuple[int, int, int]]:
    with connections.reading() as connection:
        return fetch(connection, _OLD, (place.base, place.last, CHUNK_ROWS))


def _expire(connections: Connections, partition: int, place: Place, cutoff: int) -> None:
    while rows := _head(connections, place):
        old = next((at for at, row in enumerate(rows) if row[2] >= cutoff), len(rows))
        _delete(connections, partition, place, [(position, size) for position, size, _ in rows[:old]])
        if old < len(rows):
            return


def _superseded(connections: Connections, place: Place) -> list[_Found]:
    with connections.reading() as connection:
        rows = fetch(connection, _KEYS, (place.base, place.last))
    oldest: dict[bytes, int] = {}
    newest: dict[bytes, int] = {}
    for position, _, key in rows:
        oldest.setdefault(key, position)
        newest[key] = position
    # A tombstone stays for as long as it superseded something, so that a reader behind may still meet it.
    return [
        (position, size)
        for position, size, key in rows
        if newest[key] != position or (size == 0 and oldest[key] == position)
    ]


def _delete(connections: Connections, partition: int, place: Place, rows: Iterable[_Found]) -> None:
    for chunk in _chunks(rows):
        with connections.transaction() as connection:
            connection.execute(
                "UPDATE partitions SET floor = max(floor, ?) WHERE id = ?",
                (end_offset(connection, place), partition),
            )
            connection.executemany(_DELETE, ((position,) for position in chunk))


def _chunks(rows: Iterable[_Found]) -> Iterator[list[int]]:
    chunk: list[int] = []
    size = 0
    for position, length in rows:
        if chunk and (size + length > CHUNK_BYTES or len(chunk) >= CHUNK_ROWS):
            yield chunk
            chunk, size = [], 0
        chunk.append(position)
        size += length
    if chunk:
        yield chunk


def _shrink(connections: Connections) -> int:
    freed = 0
    while True:
        with connections.transaction() as connection:
            before = connection.pragma("page_count")
            if not connection.pragma("freelist_count"):
                break
            # Every step of the statement frees one page; it must be run to its end.
            fetch(connection, f"PRAGMA incremental_vacuum({CHUNK_PAGES})")
            gone = (before - connection.pragma("page_count")) * connection.pragma("page_size")
        if not gone:
            break
        freed += gone
    return freed


def _checkpoint(connections: Connections) -> None:
    """Copy the write-ahead log into the file and cut both; left to a later checkpoint while readers are busy."""
    with connections.writing() as connection:
        connection.set_busy_timeout(CHECKPOINT_MS)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return
        finally:
            connection.set_busy_timeout(BUSY_MS)
