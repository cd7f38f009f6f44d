"""One cluster for several processes: the first to come starts it, and it goes when the last has let go or died."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.kafka.cluster import Cluster
from tools.kafka.jars import fetch

START_S = 120.0


@dataclass(frozen=True, slots=True)
class Shared:
    """A cluster that runs.

    Attributes:
        bootstrap: addresses of the plaintext listeners.
        bootstrap_sasl: addresses of the listeners that ask for a password.
        bootstrap_tls: addresses of those that do so over TLS.
        authority: the certificate to trust there.
    """

    bootstrap: str
    bootstrap_sasl: str
    bootstrap_tls: str
    authority: Path


@contextmanager
def shared_cluster(folder: Path, nodes: int = 1) -> Iterator[Shared]:
    """A cluster shared by all who name the same folder; this process uses it until the block ends.

    Args:
        folder: of the run; the cluster stands in a folder within.
        nodes: how many, where it is not started yet.

    Raises:
        MissingTool: the jars cannot be fetched.
        RuntimeError: it does not start.
    """
    place = folder / f"kafka-{nodes}"
    users, ready = folder / f"kafka-{nodes}.users", folder / f"kafka-{nodes}.ready"
    users.touch()
    with open(users) as mine:
        fcntl.flock(mine, fcntl.LOCK_SH)
        with open(folder / f"kafka-{nodes}.starting", "w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not ready.exists():
                fetch()
                _start(place, nodes, users, ready)
        cluster = Cluster(place)
        yield Shared(cluster.bootstrap, cluster.bootstrap_sasl, cluster.bootstrap_tls, cluster.authority)


def _start(place: Path, nodes: int, users: Path, ready: Path) -> None:
    """Start the guard, a process of its own so that no single user's end is the cluster's."""
    arguments = ["--data", str(place), "guard", "--nodes", str(nodes), "--users", str(users)]
    output = place.with_suffix(".log")
    with open(output, "wb") as out:
        guard = subprocess.Popen(
            [sys.executable, "-m", "tools.kafka", *arguments],
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_S
    while guard.poll() is None and time.monotonic() < deadline:
        if output.read_bytes().endswith(b"\n"):
            ready.touch()
            # It outlives this process on purpose, and is told through the users' file.
            guard.returncode = 0
            return
        time.sleep(0.05)
    guard.kill()
    raise RuntimeError(f"Apache Kafka did not start: {output.read_text().strip()[-500:]}")
