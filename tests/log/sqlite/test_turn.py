"""Turns at the write lock: waiting ends when the holder is done, or dead."""

import subprocess
import sys
import threading
from pathlib import Path

from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "rb")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_an_append_waits_for_its_turn_and_a_killed_holder_gives_it_up(tmp_path: Path) -> None:
    """While another process has the turn nothing is appended; its death lets the append through."""
    with SqliteLog(str(tmp_path / "log.db")) as log:
        log.create(Topic("t"))
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path / "log.db-turn")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        appended: list[list[int]] = []
        thread = threading.Thread(target=lambda: appended.append(log.append([Batch("t", 0, b"x", 1, 1, 1)])))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert log.offsets("t", 0) == (0, 0)
        holder.kill()
        holder.wait()
        thread.join()
        assert appended == [[0]]
        holder.stdin.close()
        holder.stdout.close()


def test_a_missing_turn_file_hinders_nothing(tmp_path: Path) -> None:
    """Where the file beside the log cannot be made, SQLite's own waiting has to do."""
    (tmp_path / "log.db-turn").mkdir()
    with SqliteLog(str(tmp_path / "log.db")) as log:
        log.create(Topic("t"))
        assert log.append([Batch("t", 0, b"x", 1, 1, 1)]) == [0]
