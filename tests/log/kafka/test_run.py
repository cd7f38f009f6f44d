"""`make kafka`: a cluster for as long as the command runs."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.kafka.jars import missing


def _run(folder: Path, port: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tools.kafka", "run", "--port", str(port)],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.timeout(180)
def test_it_has_a_folder_a_port_and_notices_the_end_of_its_node(tmp_path: Path) -> None:
    """A second one of the same port is refused and does the first no harm; a node that dies ends the command."""
    lacking = missing()
    if lacking is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lacking)
        pytest.skip(lacking)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    first = _run(tmp_path, port)
    assert first.stdout is not None
    folder = tmp_path / f"foldline-kafka-{port}"
    assert str(folder) in first.stdout.readline()
    assert re.match(rf"kafka://127\.0\.0\.1:{port} ", first.stdout.readline())
    second = _run(tmp_path, port)
    assert "by another command; give another port" in second.communicate(timeout=60)[0]
    assert (second.returncode, first.poll()) == (1, None)
    os.kill(int((folder / "node0.pid").read_text()), signal.SIGKILL)
    assert "node 0 has ended; its last words: " in first.communicate(timeout=60)[0]
    assert (first.returncode, folder.exists()) == (1, False)
