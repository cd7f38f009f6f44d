"""Several processes with one edge client: side by side, ended without closing it, forked."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from foldline.client.edge import Edge
from tests.client.conftest import APP, Service, decisions


def test_two_processes_share_an_outbox(service: Service, loop: str, tmp_path: Path) -> None:
    """Two apps append to one file, one of them delivers; when it is killed, the other goes on."""
    outbox = str(tmp_path / "app.db")
    with Edge(service.url, loop=loop, outbox=outbox) as edge:
        with subprocess.Popen(
            [sys.executable, str(APP), service.url, loop, outbox], stdout=subprocess.PIPE, text=True
        ) as app:
            assert app.stdout is not None
            for _ in range(20):
                assert app.stdout.readline()
                edge.decide("mine")
            app.kill()
        assert edge.flush(20)
    counts = Counter(d.id for d in decisions(service.records(loop)))
    assert set(counts.values()) == {1}
    assert len([d for d in decisions(service.records(loop)) if d.unit == "mine"]) == 20


LEAVING = """
import sys
import foldline as fl
url, loop, outbox = sys.argv[1:]
edge = fl.Edge(url, loop=loop, outbox=outbox)
for _ in range(50):
    edge.decide("u1")
"""


def test_a_program_that_does_not_close(service: Service, loop: str, tmp_path: Path) -> None:
    """It ends at once and without a word; the next one delivers what it left."""
    command = [sys.executable, "-W", "default", "-c", LEAVING, service.url, loop, str(tmp_path / "app.db")]
    ended = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert ended.stderr == ""
    with Edge(service.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        assert edge.flush(20)
    counts = Counter(d.id for d in decisions(service.records(loop)))
    assert len(counts) == counts.total() == 50


FORKING = """
import os, sys
import foldline as fl
url, loop, outbox = sys.argv[1:]
with fl.Edge(url, loop=loop, outbox=outbox or None) as edge:
    edge.decide("parent")
    child = os.fork()
    if not child:
        for _ in range(5):
            edge.decide("child")
        kept = edge.flush(20)
        edge.close()
        os._exit(0 if kept else 1)
    edge.decide("parent")
    _, status = os.waitpid(child, 0)
    assert edge.flush(20) and status == 0, status
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="forks are the operating system's")
@pytest.mark.parametrize("kept", [True, False])
def test_a_fork_goes_on_on_both_sides(service: Service, loop: str, tmp_path: Path, kept: bool) -> None:
    """Parent and child both decide and deliver, each event once."""
    outbox = str(tmp_path / "app.db") if kept else ""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, service.url, loop, outbox]
    subprocess.run(command, check=True, timeout=60)
    found = decisions(service.records(loop))
    assert Counter(d.unit for d in found) == {"parent": 2, "child": 5}
    assert len({d.id for d in found}) == 7
