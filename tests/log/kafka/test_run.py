"""`make kafka`: a cluster for as long as the command runs."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tools.kafka.cluster import PORTS_A_NODE
from tools.kafka.jars import missing
from tools.ports import free_ports

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def kafka() -> None:
    """Java and Maven; every test here starts brokers of its own."""
    lacking = missing()
    if lacking is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lacking)
        pytest.skip(lacking)


@contextmanager
def running(folder: Path, port: int) -> "Iterator[subprocess.Popen[str]]":
    """The command, its folder in another one; ended as by `kill`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tools.kafka", "run", "--port", str(port)],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
    ) as command:  # fmt: skip
        try:
            yield command
        finally:
            # Not SIGKILL: the node would outlive it.
            command.terminate()


def test_it_has_a_folder_a_port_and_notices_the_end_of_its_node(tmp_path: Path) -> None:
    """A second one of the same port is refused and does the first no harm; a node that dies ends the command."""
    port = free_ports(PORTS_A_NODE)[0]
    folder = tmp_path / f"foldline-kafka-{port}"
    with running(tmp_path, port) as first:
        assert first.stdout is not None
        assert str(folder) in first.stdout.readline()
        assert re.match(rf"kafka://127\.0\.0\.1:{port} ", first.stdout.readline())
        with running(tmp_path, port) as second:
            assert "by another command; give another port" in second.communicate(timeout=60)[0]
            assert (second.returncode, first.poll()) == (1, None)
        os.kill(int((folder / "node0.pid").read_text()), signal.SIGKILL)
        assert "node 0 has ended; its last words: " in first.communicate(timeout=60)[0]
        assert (first.returncode, folder.exists()) == (1, False)


def test_a_port_that_is_taken_ends_it(tmp_path: Path) -> None:
    """What the node said as it ended is what the command ends with, at once: it will not answer any more."""
    ports = free_ports(PORTS_A_NODE)
    with socket.create_server(("127.0.0.1", ports[1])), running(tmp_path, ports[0]) as command:
        said = command.communicate(timeout=60)[0]
        assert re.search("node 0 did not start; .*Address already in use", said)
        assert (command.returncode, (tmp_path / f"foldline-kafka-{ports[0]}").exists()) == (1, False)
