"""Large payloads stand compressed in the file, and come back as they were given."""

import random
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.errors import LogError
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.log.sqlite.packing import LARGE, packed, unpacked
from foldline.log.sqlite.schema import FORMAT
from foldline.testing.log_checks.subject import NOW

MAGIC = b"\x28\xb5\x2f\xfd"
NOISE = random.Random(1).randbytes(LARGE + 10)
LINES = b"\n".join(b'{"type":"inference","id":"row-%d/m","value":true}' % n for n in range(6_000))


def append(log: SqliteLog, payload: bytes, count: int = 1) -> None:
    """One batch."""
    log.append([Batch("t", 0, payload, count, NOW, NOW)])


@given(st.binary(max_size=64), st.sampled_from([b"", MAGIC, MAGIC[:3], packed(LINES), NOISE, LINES]))
def test_what_was_stored_comes_back(tail: bytes, head: bytes) -> None:
    """Whatever the bytes are, also where they look like something compressed."""
    payload = head + tail
    stored = packed(payload)
    assert unpacked(stored) == payload
    assert stored.startswith(MAGIC) == (payload.startswith(MAGIC) or len(stored) < len(payload))


def test_only_what_is_large_and_shrinks_is_compressed() -> None:
    """Small payloads, and large ones without repetition, stand as they are."""
    assert len(packed(LINES)) * 5 < len(LINES)
    assert packed(NOISE) == NOISE
    assert packed(LINES[: LARGE - 1]) == LINES[: LARGE - 1]


def test_a_log_reads_whole_batches_and_parts(tmp_path: Path) -> None:
    """The reader meets the records that were appended, at any offset; the topic's size is what it takes of the disk."""
    with SqliteLog(tmp_path / "a.db") as log:
        log.create(Topic("t"))
        append(log, LINES, 6_000)
        append(log, MAGIC)
        append(log, NOISE)
        assert [row.payload for row in log.read("t", 0, 0, max_records=7_000)] == [LINES, MAGIC, NOISE]
        (part,) = log.read("t", 0, 1_500, max_records=1, end=1_502)
        assert part.payload == b"\n".join(LINES.split(b"\n")[1_500:1_502])
        assert log.size("t") == sum(map(len, map(packed, (LINES, MAGIC, NOISE))))
        assert log.size("t") < len(NOISE) + len(LINES) // 5


def test_a_log_of_the_format_before_goes_on(tmp_path: Path) -> None:
    """What it holds is read, and an older Foldline is kept from misreading what is appended now."""
    path = tmp_path / "a.db"
    with SqliteLog(path) as log:
        log.create(Topic("t"))
        append(log, b"small")
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE batches SET payload = ?", (LINES,))
    connection.pragma("user_version", 1)
    connection.close()
    with SqliteLog(path) as log:
        append(log, LINES, 6_000)
        assert [row.payload for row in log.read("t", 0, 0, max_records=7_000)] == [LINES, LINES]
    connection = apsw.Connection(str(path))
    assert connection.pragma("user_version") == FORMAT
    connection.close()


def test_damage_is_an_error(tmp_path: Path) -> None:
    """A frame in which a byte changed is not given to anybody as records."""
    path = tmp_path / "a.db"
    with SqliteLog(path) as log:
        log.create(Topic("t"))
        append(log, LINES, 6_000)
    frame = bytearray(packed(LINES))
    frame[len(frame) // 2] ^= 1
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE batches SET payload = ?", (bytes(frame),))
    connection.close()
    with SqliteLog(path) as log, pytest.raises(LogError, match=r"a\.db is damaged") as raised:
        log.read("t", 0, 0)
    assert raised.value.code == "log.unavailable"
