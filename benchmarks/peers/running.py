"""Runs the peers on Kafka: each in a process of its own, in an environment that is no part of the project."""

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def python_of_peers() -> Path:
    """The interpreter that has the peers; made and filled once."""
    home = HERE.parent.parent / ".tools/kafka-peers"
    python = home / "bin/python"
    if not (home / "filled").exists():
        print(f"making {home} (once; a minute)", file=sys.stderr)
        venv.create(home, with_pip=True)
        for wanted in (HERE / "kafka_requirements.txt").read_text().split():
            done = subprocess.run([python, "-m", "pip", "install", "-q", wanted], check=False)
            if done.returncode:
                print(f"{wanted} does not install on Python {sys.version.split()[0]}", file=sys.stderr)
        (home / "filled").touch()
    return python


def peer(
    python: Path, name: str, servers: str, topic: str, events: int, partitions: int
) -> dict[str, float] | None:
    """One run of a peer; None where it does not run."""
    with tempfile.TemporaryDirectory() as home:
        command = [
            str(python),
            "-m",
            f"benchmarks.peers.kafka_{name}",
            servers,
            topic,
            str(events),
            home,
            str(partitions),
        ]
        done = subprocess.run(
            command, cwd=HERE.parent.parent, capture_output=True, text=True, timeout=900, check=False
        )
    lines = [text for text in done.stdout.splitlines() if text.startswith("{")]
    if not lines:
        print(f"{name} does not run: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    used: dict[str, float] = json.loads(lines[-1])
    assert used["events"] == events
    return used
