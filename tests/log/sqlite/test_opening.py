"""Which files and which libraries the embedded log accepts."""

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from foldline.errors import LogError
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.log.sqlite.opening import check_library, open_reader, open_writer
from foldline.log.sqlite.schema import APPLICATION_ID, FORMAT, check_format, create_tables


def refused(path: Path) -> str:
    """The code with which the path is refused."""
    with pytest.raises(LogError) as raised:
        SqliteLog(path)
    assert str(path) in str(raised.value)
    return raised.value.code


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0", "3.50.7", "3.50.9", "3.44.6"])
def test_fixed_libraries_are_accepted(version: str) -> None:
    """Releases with the fix, and its backports, pass."""
    check_library(version)
    with pytest.raises(LogError):
        check_library("3.51.2")


@pytest.mark.parametrize("version", ["3.51.2", "3.50.6", "3.44.5", "3.45.0", "3.49.9", "3.40.1", "3.7.0"])
def test_unsafe_libraries_are_refused(version: str) -> None:
    """Releases that can lose commits do not pass."""
    with pytest.raises(LogError, match=version) as raised:
        check_library(version)
    assert raised.value.code == "log.unsafe_sqlite"


def test_settings_hold(tmp_path: Path) -> None:
    """Every setting that durability and cleaning rest on is really in force."""
    path = str(tmp_path / "a.db")
    connection = open_writer(path, max_bytes=1 << 20)
    found = {
        name: connection.pragma(name)
        for name in ("journal_mode", "synchronous", "auto_vacuum", "application_id", "max_page_count")
    }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "auto_vacuum": 2,
        "application_id": APPLICATION_ID,
        "max_page_count": (1 << 20) // connection.pragma("page_size"),
    }
    reader = open_reader(path)
    assert reader.pragma("query_only") == 1
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("DELETE FROM topics")
    reader.close()
    connection.close()


@pytest.mark.parametrize("content", [b"x", b"hello, this is no database\n" * 100, b"\0" * 8192])
def test_file_that_is_not_sqlite(tmp_path: Path, content: bytes) -> None:
    """A file of something else is refused and left as it was."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert refused(path) == "log.not_a_log"
    assert path.read_bytes() == content


def test_other_sqlite_file(tmp_path: Path) -> None:
    """Another program's database is refused and left as it was."""
    path = tmp_path / "other.db"
    with apsw.Connection(str(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    assert refused(path) == "log.not_a_log"
    assert path.read_bytes() == before


def test_newer_format(tmp_path: Path) -> None:
    """A log of a newer Foldline is refused, not misread."""
    path = tmp_path / "a.db"
    SqliteLog(path).close()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", FORMAT + 1)
    connection.close()
    assert refused(path) == "log.newer_format"


def test_directory(tmp_path: Path) -> None:
    """A directory is no log."""
    assert refused(tmp_path) == "log.not_a_log"


def test_missing_folder(tmp_path: Path) -> None:
    """The error says that the folder is missing."""
    path = tmp_path / "none" / "a.db"
    with pytest.raises(LogError, match="does not exist, create it") as raised:
        SqliteLog(path)
    assert raised.value.code == "log.unavailable"


def test_place_where_nothing_can_be_written() -> None:
    """A file that cannot be made is reported, whoever runs the test."""
    assert refused(Path("/proc/foldline.db")) == "log.unavailable"


def test_empty_file_becomes_a_log(tmp_path: Path) -> None:
    """An empty file, such as mktemp makes, may become a log."""
    path = tmp_path / "a.db"
    path.touch()
    with SqliteLog(path) as log:
        assert log.topics() == []


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    """Bytes overwritten in the middle raise an error of the log, not of SQLite."""
    path = tmp_path / "a.db"
    with SqliteLog(path) as log:
        log.create(Topic("t"))
        log.append([Batch("t", 0, random.Random(1).randbytes(100_000), 1, 0, 0)])
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(LogError) as raised, SqliteLog(path) as log:
        log.read("t", 0, 0)
    assert raised.value.code == "log.unavailable"


OPEN = """
import sys
from foldline.log.open import open_log
from foldline.log.protocol import Topic
sys.stdin.readline()
with open_log(sys.argv[1]) as log:
    print(log.create(Topic("t")).id)
"""


def test_processes_may_make_the_file_at_once(tmp_path: Path) -> None:
    """Processes that open a new file at the same moment make one log and one topic."""
    url = f"sqlite:///{tmp_path}/a.db"
    command = [sys.executable, "-c", OPEN, url]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    ids = {child.communicate()[0].strip() for child in children}
    assert [child.returncode for child in children] == [0] * 6
    assert len(ids) == 1


def test_a_file_that_becomes_a_log_while_it_is_looked_at_is_one(tmp_path: Path) -> None:
    """Wherever between two statements another process makes the tables, the file is empty or a log."""
    for place in range(3):
        path = str(tmp_path / f"{place}.db")
        looking = apsw.Connection(path)
        statements: list[object] = []

        def trace(
            *given: object, seen: list[object] = statements, place: int = place, path: str = path
        ) -> bool:
            if len(seen) == place:
                with closing(apsw.Connection(path)) as other:
                    create_tables(other, path)
            seen.append(given)
            return True

        looking.exec_trace = trace
        assert check_format(looking, path) == (place < 2), statements
        assert check_format(looking, path)
