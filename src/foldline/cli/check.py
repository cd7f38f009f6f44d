"""`foldline check`: whether this machine can run Foldline, and why not."""

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json
from foldline.errors import FoldlineError
from foldline.log.shown_url import shown_url

FREE_BYTES = 1 << 30
"""Less free space than this beside the log is reported."""

app = noun()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination found.

    Attributes:
        name: what was examined.
        good: whether it is as it should be.
        found: what is there and, if not good, what to do.
        costs: whether all works as it is, but could do so better.
    """

    name: str
    good: bool
    found: str
    costs: bool = False


@app.command()
def check(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Examine whether this machine can run Foldline.

    Looks at Python, SQLite, the cache of compiled code, the disk, the log and the topics of its loops; exit status 1
    if anything is amiss. What works, but could do so better, is marked `see`.

    Example: foldline check --log sqlite:///news.db
    """
    examinations: list[Callable[[], Finding]] = [
        _python,
        _sqlite,
        _cache,
        lambda: _disk(log),
        lambda: _log(log),
    ]
    findings = [examine() for examine in examinations]
    if findings[-1].good:
        findings += _topics(log)
    good = all(finding.good for finding in findings)
    if json:
        print_json({"good": good, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = "BAD" if not finding.good else "see" if finding.costs else "ok "
            print(f"{mark}  {finding.name}: {finding.found}")
    raise typer.Exit(0 if good else 1)


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("python", good, platform.python_version() + ("" if good else "; install 3.11 or newer"))


def _sqlite() -> Finding:
    """A log in memory needs no safe SQLite, so this opens one on disk."""
    import apsw

    from foldline.log.open import open_log

    version = f"{apsw.sqlite_lib_version()} (apsw {apsw.apsw_version()})"
    try:
        with tempfile.TemporaryDirectory() as folder:
            open_log(f"sqlite:///{folder}/check.db").close()
    except FoldlineError as error:
        return Finding("sqlite", False, f"{version}: {error}")
    return Finding("sqlite", True, version)


def _cache() -> Finding:
    """Numba keeps compiled code beside the source, or where NUMBA_CACHE_DIR says."""
    spec = importlib.util.find_spec("foldline")
    package = Path((spec.origin if spec else None) or __file__).parent
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or package)
    standing = next(path for path in [folder, *folder.parents] if path.exists())
    if os.access(standing, os.W_OK):
        return Finding("compiled-code cache", True, str(folder))
    remedy = "not writable, so each start compiles again; set NUMBA_CACHE_DIR to a folder that is"
    return Finding("compiled-code cache", False, f"{folder}: {remedy}")


def _disk(url: str) -> Finding:
    folder = (
        Path(url.removeprefix("sqlite:///")).absolute().parent if url.startswith("sqlite:///") else Path.cwd()
    )
    standing = next(path for path in [folder, *folder.parents] if path.exists())
    free = shutil.disk_usage(standing).free
    found = f"{free / (1 << 30):.1f} GiB free at {standing}"
    return Finding("disk", free >= FREE_BYTES, found if free >= FREE_BYTES else found + "; free some space")


def _log(url: str) -> Finding:
    from foldline.cli.logs import open_existing

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return Finding("log", True, f"{url}: not there yet; it is made when first written")
    try:
        with open_existing(url) as opened:
            return Finding("log", True, f"{shown_url(url)}: {len(opened.topics())} topics")
    except FoldlineError as error:
        return Finding("log", False, str(error))


def _topics(url: str) -> list[Finding]:
    """Whether the topics of the log's loops stand as they were made: others may have changed them on a cluster."""
    from foldline.cli.logs import open_existing
    from foldline.engine.standing_topics import examine_topics, topics_of_loops

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return []
    findings: list[Finding] = []
    try:
        with open_existing(url) as opened:
            topics = topics_of_loops(opened)
            for topic in topics:
                try:
                    findings += [
                        Finding("topic", True, said, costs=True) for said in examine_topics(opened, [topic])
                    ]
                except FoldlineError as error:
                    findings.append(Finding("topic", False, str(error)))
    except FoldlineError as error:
        return [*findings, Finding("topics", False, str(error))]
    return findings or [Finding("topics", True, f"{len(topics)} of loops, as they should be")]
