"""Fetching Kafka's jars, once a checkout, from Maven Central by the coordinates in `pom.xml`."""

import fcntl
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
PROPERTY = "kafka.version"
TOOLS = Path(__file__).resolve().parents[2] / ".tools"


class MissingTool(Exception):
    """What a broker needs is not on this machine; the message says what."""


def version() -> str:
    """The version of Kafka that `KAFKA_VERSION` in the environment names, else the pom."""
    if asked := os.environ.get("KAFKA_VERSION"):
        return asked
    found = ET.parse(POM).getroot().findtext(f"{{*}}properties/{{*}}{PROPERTY}")  # noqa: S314 - a file of this checkout
    if found is None:
        raise MissingTool(f"{POM} names no version")
    return found


def missing() -> str | None:
    """What this machine lacks to start a broker, in one line; None if nothing."""
    lacking = [name for name in ("java", "mvn") if shutil.which(name) is None]
    if not lacking:
        return None
    return f"needs {' and '.join(lacking)} on the path to start Apache Kafka (Java 17 or newer, Maven 3)"


def fetch(wanted: str | None = None) -> Path:
    """The folder with the jars, fetched if it is not there; processes that ask at once wait for one.

    Args:
        wanted: the version; `version()` where it is None.

    Raises:
        MissingTool: java or mvn is missing, or Maven cannot fetch.
    """
    wanted = wanted or version()
    folder = TOOLS / f"kafka-{wanted}"
    lacking = missing()
    if lacking is not None:
        raise MissingTool(lacking)
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / "kafka.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download(folder, wanted)
    return folder


def _download(folder: Path, wanted: str) -> None:
    partly = folder.with_suffix(".part")
    shutil.rmtree(partly, ignore_errors=True)
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(POM),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={partly}",
        f"-D{PROPERTY}={wanted}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MissingTool(
            f"Maven could not fetch Kafka {wanted}: {(done.stdout + done.stderr).strip()[:500]}"
        )
    partly.rename(folder)
