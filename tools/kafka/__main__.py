"""Start, stop and hurt an Apache Kafka on loopback.

    python -m tools.kafka up [--nodes 3] [--port 9092]   prints the bootstrap addresses when every node answers
    python -m tools.kafka run [--nodes 3] [--port 9092]  the same, and stays until Ctrl-C; then the data go
    python -m tools.kafka kill N | start N               SIGKILL node N; start it again on its own data
    python -m tools.kafka down [--wipe]                  stop all nodes; --wipe removes their data

Needs Java 17 or newer and Maven; the jars (some 60 MB) are fetched once into .tools.
"""

import argparse
import fcntl
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tools.kafka.cluster import Cluster
from tools.kafka.jars import MissingTool, fetch, version

LOOK_S = 0.5
"""Between two looks whether every node still runs."""


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.kafka",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, help="its folder; by default a temporary one, of `run` one a port"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="fetch the jars")
    for name in ("up", "run", "guard"):
        command = commands.add_parser(name)
        command.add_argument("--nodes", type=int, default=1)
        command.add_argument("--port", type=int)
    command.add_argument(
        "--users", type=Path, required=True, help="stop once nobody holds a lock on this file"
    )
    for name in ("kill", "start"):
        commands.add_parser(name).add_argument("node", type=int)
    commands.add_parser("down").add_argument("--wipe", action="store_true")
    given = parser.parse_args()
    try:
        given.data = given.data or _folder_of(given)
        _run(given, Cluster(given.data))
    except (MissingTool, RuntimeError) as error:
        sys.exit(str(error))


def _folder_of(given: argparse.Namespace) -> Path:
    """Where a cluster stands that was given no folder: two that `run` at once have two."""
    apart = f"-{given.port}" if given.command == "run" and given.port is not None else ""
    return Path(tempfile.gettempdir()) / f"foldline-kafka{apart}"


def _run(given: argparse.Namespace, cluster: Cluster) -> None:
    match given.command:
        case "install":
            print(fetch())
        case "up":
            print(cluster.up(given.nodes, given.port))
        case "run":
            _run_here(cluster, given.nodes, given.port)
        case "guard":
            _guard(cluster, given.nodes, given.users)
        case "kill":
            cluster.kill(given.node)
        case "start":
            cluster.start(given.node)
        case "down":
            cluster.down()
            if given.wipe:
                shutil.rmtree(given.data, ignore_errors=True)


def _run_here(cluster: Cluster, nodes: int, port: int | None) -> None:
    """A cluster for as long as this command runs, or until its last node has ended by itself.

    Raises:
        RuntimeError: another such command has its folder; a node did not start, or the last one ended.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open(cluster.folder.with_name(f"{cluster.folder.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"Apache Kafka runs in {cluster.folder} already, by another command; give another port "
                "(make kafka PORT=19092)"
            ) from None
        try:
            print(f"starting Apache Kafka {version()} in {cluster.folder}", flush=True)
            print(f"kafka://{cluster.up(nodes, port)}    Ctrl-C stops it", flush=True)
            _watch(cluster)
        except KeyboardInterrupt:
            print("stopping")
        finally:
            cluster.down()
            shutil.rmtree(cluster.folder, ignore_errors=True)


def _watch(cluster: Cluster) -> None:
    """Say which nodes end, until none is left.

    Raises:
        RuntimeError: none is left; with the last words of the one that ended last.
    """
    known = cluster.running()
    while known:
        time.sleep(LOOK_S)
        running = cluster.running()
        for node in sorted(known - running):
            last = cluster.last_words(node)
            if not running:
                raise RuntimeError(f"node {node} has ended; its last words: {last}")
            print(f"node {node} has ended, {len(running)} are left; its last words: {last}", flush=True)
        known = running


def _guard(cluster: Cluster, nodes: int, users: Path) -> None:
    """Run a cluster for those who hold a shared lock on a file; when the last lets go, or dies, take it down."""
    try:
        print(cluster.up(nodes), flush=True)
        with open(users) as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.2)
                else:
                    return
    finally:
        cluster.down()
        shutil.rmtree(cluster.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
