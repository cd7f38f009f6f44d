"""The fraud demo: is this transaction fraud? A model predicts each example of a stream, then learns its label.

This process replays a data set onto a partitioned log. Consumers, each a process of its own, open the same log and
share its partitions out; a model in each partition predicts, puts the inference on the output topic, and learns.
"""

import contextlib
import multiprocessing
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import foldline as fl
from foldline.app.secret import VARIABLE, DeploymentSecret
from foldline.demos.fraud_data import Stream
from foldline.engine.warming import warm_up
from foldline.errors import FoldError, InputError
from foldline.log.shown_url import shown_url

LOOP = "fraud"
AT_ONCE = 200
"""Examples put on the log at once, at most."""

STEP_S = 0.05
"""How often a producer with a rate puts on the log what is due."""

START_S = 180.0
"""How long consumers may take to share the partitions out: on a new machine they compile first."""
LOOK_S = 0.2


@dataclass(frozen=True)
class Settings:
    """What to run.

    Attributes:
        model: predicts and learns.
        stream: what is replayed.
        partitions: of the log.
        consumers: processes that learn.
        rate: examples a second, 0 for as fast as it goes.
    """

    model: fl.Model
    stream: Stream
    partitions: int = 8
    consumers: int = 1
    rate: float = 0.0


@dataclass(frozen=True)
class View:
    """How far a run is.

    Attributes:
        produced: examples on the log.
        predicted: of them, those predicted, as of the newest snapshots.
        accuracy: of the models so far; None before a label.
        roc_auc: likewise.
    """

    produced: int
    predicted: int
    accuracy: float | None
    roc_auc: float | None


@dataclass(frozen=True)
class Run:
    """What came of a run.

    Attributes:
        produced: examples on the log.
        consumers: the partitions that each consumer learnt.
        seconds: from the first example to the last inference.
    """

    produced: int
    consumers: list[list[int]]
    seconds: float


def consume(url: str, stop: Path, told: Connection) -> None:
    """A consumer: learn, and tell which partitions are its own, until the stop file appears."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with fl.open(url, learn=False) as app:
        warm_up([app.loop(LOOP).definition])
    with fl.open(url) as app:
        app.loop(LOOP)
        mine: list[int] | None = None
        while not stop.exists():
            now = app.partitions(LOOP)
            if now != mine:
                told.send(now)
                mine = now
            time.sleep(LOOK_S)


def run(settings: Settings, url: str, watch: Callable[[View], None] = lambda _: None) -> Run:
    """Run the demo. Ctrl-C stops producing; what is on the log is still learnt.

    Args:
        settings: what to run.
        url: of a log that holds no loop named `fraud` yet.
        watch: called about five times a second.
    """
    with (
        _shared_secret(url),
        fl.open(url, learn=False) as app,
        TemporaryDirectory(prefix="foldline-fraud-") as folder,
    ):
        if LOOP in app.loops():
            raise InputError(
                "input.invalid",
                f"the log {shown_url(url)} holds a loop {LOOP!r} already; give another --log",
                field="log",
            )
        fraud = app.loop(LOOP, models=[settings.model], partitions=settings.partitions)
        stop = Path(folder) / "stop"
        with _consumers(settings, url, stop) as consumers:
            shares = _await_shares(consumers, settings.partitions)
            began = time.monotonic()
            produced = 0
            with contextlib.suppress(KeyboardInterrupt):
                for produced in produce(settings, fraud):
                    watch(_view(fraud, produced))
            while (view := _view(fraud, produced)).predicted < produced:
                watch(view)
                shares = _shares(consumers, shares)
                time.sleep(LOOK_S / 4)
            seconds = time.monotonic() - began
            watch(view)
            stop.touch()
        return Run(produced, shares, seconds)


@contextlib.contextmanager
def _shared_secret(url: str) -> Iterator[None]:
    """One for all consumers, for as long as they run, where the log has none of its own: on Kafka."""
    if DeploymentSecret(url)() is not None:
        yield
        return
    os.environ[VARIABLE] = secrets.token_hex(32)
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def produce(settings: Settings, fraud: fl.Loop) -> Iterator[int]:
    """Replay the stream at its rate; yields now and then how many examples are on the log."""
    rows, units, rate = settings.stream.rows, settings.stream.units, settings.rate
    began = looked = time.monotonic()
    done = 0
    while done < len(rows):
        stop = min(len(rows), done + AT_ONCE)
        if rate:
            stop = min(stop, max(done + 1, int((time.monotonic() - began) * rate)))
        with fraud.batch():
            for number in range(done, stop):
                x, y = rows[number]
                fraud.example(x, unit=units[number], y=y, id=f"row-{number}")
        done = stop
        if time.monotonic() - looked >= LOOK_S:
            looked = time.monotonic()
            yield done
        if rate and done < len(rows):
            time.sleep(max(0.0, min(STEP_S, began + (done + 1) / rate - time.monotonic())))
    yield done


@contextlib.contextmanager
def _consumers(settings: Settings, url: str, stop: Path) -> Iterator[list[tuple[BaseProcess, Connection]]]:
    spawn = multiprocessing.get_context("spawn")
    made: list[tuple[BaseProcess, Connection]] = []
    try:
        for _ in range(settings.consumers):
            here, there = spawn.Pipe(duplex=False)
            process: BaseProcess = spawn.Process(target=consume, args=(url, stop, there), daemon=True)
            process.start()
            there.close()
            made.append((process, here))
        yield made
    finally:
        stop.touch()
        for process, here in made:
            process.join()
            here.close()


def _await_shares(consumers: list[tuple[BaseProcess, Connection]], partitions: int) -> list[list[int]]:
    """Wait until every partition has its consumer, and every consumer that can have one its partitions."""
    deadline = time.monotonic() + START_S
    shares: list[list[int]] = [[] for _ in consumers]
    wanted = min(partitions, len(consumers))
    while sorted(p for share in shares for p in share) != list(range(partitions)) or (
        sum(map(bool, shares)) < wanted
    ):
        if time.monotonic() > deadline:
            raise FoldError(
                "fold.no_bundle",
                f"the consumers did not share out {partitions} partitions in {START_S:g} s: {shares}",
            )
        time.sleep(LOOK_S / 4)
        shares = _shares(consumers, shares)
    return shares


def _shares(consumers: list[tuple[BaseProcess, Connection]], before: list[list[int]]) -> list[list[int]]:
    """What the consumers have told since."""
    shares = list(before)
    for number, (process, here) in enumerate(consumers):
        try:
            while here.poll():
                shares[number] = here.recv()
        except EOFError as error:
            raise FoldError(
                "fold.no_bundle",
                f"consumer {number} ended with status {process.exitcode}; its error stands above",
            ) from error
    return shares


def _view(fraud: fl.Loop, produced: int) -> View:
    report = next(iter(fraud.models().values()))
    metrics = report.metrics
    accuracy, area = (getattr(metrics, name, None) for name in ("accuracy", "roc_auc"))
    return View(produced, report.counts["examples"], accuracy, area)
