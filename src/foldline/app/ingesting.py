"""The role that copies foreign topics onto loops: a thread for each ingest, until stopped or until all is copied."""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.engine.defining import create_catalogue
from foldline.engine.ingest import Ingest, IngestCounts
from foldline.engine.ingest_again import AgainCounts, copy_again
from foldline.errors import FoldlineError, InputError, LogError
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.mapping import RecordMapping
from foldline.loops.mapping_settings import MappingSettings
from foldline.loops.settings import LoopSettings

_logger = logging.getLogger("foldline.app")

WAIT_S: Final = 0.2
"""How long one wait for new records lasts; between waits a stop is noticed."""

RETRY_S: Final = 0.5

LOOK_S: Final = 2.0
"""How often it is looked whether what an ingest lacks has come."""

YET: Final = frozenset({"log.topic_missing", "input.unknown_loop", "input.unreadable"})
"""What may come yet: the source's topic, the loop, the source's file."""

OWNED_S: Final = 30.0
"""How long copying all there is waits for partitions that another process holds."""

Told = Callable[[str, IngestCounts], None]
"""Called with an ingest's name and what it has come to."""


class Ingesting:
    """Runs ingests, each in a thread, from construction to `close`.

    Args:
        log: that takes the copies.
        ingests: by name.
        holder: names this process in leases.
        patient: whether an ingest whose topic or loop is not there goes on once it is.

    Attributes:
        failures: what stopped an ingest, or what it lacks, by name.
    """

    def __init__(
        self, log: Log, ingests: Mapping[str, MappingSettings], holder: str, *, patient: bool = False
    ) -> None:
        self.failures: dict[str, FoldlineError] = {}
        self._patient = patient
        self._log = log
        self._holder = holder
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run, args=(name, settings), name=f"foldline-ingest-{name}", daemon=True
            )
            for name, settings in ingests.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the threads; leases are given up and sources closed. Idempotent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, name: str, settings: MappingSettings) -> None:
        while not self._stop.is_set():
            try:
                with opened(self._log, name, settings, self._holder) as ingest:
                    self.failures.pop(name, None)
                    self._copy(ingest)
            except FoldlineError as error:
                if error.code != "log.unavailable":
                    self._fail(name, error)
                    if not self._patient or error.code not in YET:
                        return
                    self._stop.wait(LOOK_S)
                    continue
                _logger.warning("ingest %r waits for a log: %s", name, error)
                self._stop.wait(RETRY_S)
            except Exception as error:
                _logger.exception("ingest %r stopped", name)
                self.failures[name] = LogError("log.unavailable", f"ingest {name!r} stopped: {error!r}")
                return

    def _copy(self, ingest: Ingest) -> None:
        while not self._stop.is_set():
            try:
                if not ingest.step(now=wall_clock()):
                    ingest.wait(WAIT_S) if ingest.marks() else self._stop.wait(WAIT_S)
            except LogError as error:
                if error.code != "log.unavailable":
                    raise
                # It stays, in doubt of its last append, and finds out.
                _logger.warning("ingest %r waits for a log: %s", ingest.name, error)
                self._stop.wait(RETRY_S)

    def _fail(self, name: str, error: FoldlineError) -> None:
        if str(self.failures.get(name)) != str(error):
            _logger.error("ingest %r stopped: %s", name, error)
        self.failures[name] = error


@contextmanager
def opened(log: Log, name: str, settings: MappingSettings, holder: str) -> Iterator[Ingest]:
    """An ingest, and the source it needs, until the block ends.

    Raises:
        FoldlineError: its mapping, source, topic or loop is not there.
    """
    mapping = RecordMapping(settings)
    with nullcontext(log) if settings.source is None else _open_source(settings.source) as source:
        running = Ingest(log, source, name, mapping, holder)
        try:
            yield running
        finally:
            running.close()


def _open_source(url: str) -> Log:
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise InputError(
            "input.unreadable",
            f"source {url!r}: expected a log file at {str(Path(path).absolute())!r}, found none",
            field="source",
            value=url,
        )
    return open_log(url)


def ingest(
    url: str,
    ingests: Mapping[str, MappingSettings],
    *,
    loops: Mapping[str, LoopSettings] | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Copy until SIGINT or SIGTERM, or until an ingest cannot go on.

    Args:
        url: of the log that takes the copies.
        ingests: by name.
        loops: to define first.
        ready: called once it runs.

    Raises:
        FoldlineError: what stopped an ingest.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with _prepared(url, loops or {}) as log, Ingesting(log, ingests, holder_name()) as running:
        ready()
        # Python runs signal handlers between waits only, so the wait is not for ever.
        while not stop.wait(WAIT_S) and not running.failures:
            pass
        for failure in running.failures.values():
            raise failure


def ingest_once(
    url: str,
    ingests: Mapping[str, MappingSettings],
    *,
    loops: Mapping[str, LoopSettings] | None = None,
    told: Told = lambda _name, _counts: None,
) -> dict[str, IngestCounts]:
    """Copy what stands on the sources now, one ingest after another; what each has come to.

    Args:
        url: of the log that takes the copies.
        ingests: by name.
        loops: to define first.
        told: called as it goes on.

    Raises:
        FoldlineError: as `ingest`; `log.unavailable` where another process holds a source's partitions.
    """
    done: dict[str, IngestCounts] = {}
    with _prepared(url, loops or {}) as log:
        for name, settings in ingests.items():
            with opened(log, name, settings, holder_name()) as running:
                done[name] = _copy_all(running, told)
    return done


def ingest_dead(
    url: str, ingests: Mapping[str, MappingSettings], *, loops: Mapping[str, LoopSettings] | None = None
) -> dict[str, AgainCounts]:
    """Copy the dead letters of ingests again; what became of each one's.

    Raises:
        FoldlineError: as `ingest`.
    """
    with _prepared(url, loops or {}) as log:
        return {
            name: copy_again(log, name, RecordMapping(settings), now=wall_clock())
            for name, settings in ingests.items()
        }


@contextmanager
def _prepared(url: str, loops: Mapping[str, LoopSettings]) -> Iterator[Log]:
    """The log, with the loops defined as other roles do, so that it does not matter which is started first."""
    with open_log(url) as log:
        create_catalogue(log)
        for name, settings in loops.items():
            define_loop(log, name, settings, holder=holder_name(), now=wall_clock())
        yield log


def _copy_all(running: Ingest, told: Told) -> IngestCounts:
    deadline = time.monotonic() + OWNED_S
    while True:
        read = running.step(now=wall_clock())
        counts = running.counts()  # asks for the ends, so that the next step overlooks nothing
        told(running.name, counts)
        if counts.partitions < running.topic.partitions:
            if time.monotonic() > deadline:
                raise LogError(
                    "log.unavailable",
                    f"another process has held partitions of ingest {running.name!r} for {OWNED_S:g} s; stop it first",
                )
            time.sleep(WAIT_S)
        elif not read and not running.step(now=wall_clock()):
            return counts


def holder_name() -> str:
    """Names this process in leases."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
