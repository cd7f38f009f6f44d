"""The news demo over HTTP: a service decides for the apps, or the apps decide by themselves.

`central`: every app asks the service, which has the decision on disk before it answers. `edge`: every app follows
the policy, decides without a call, and reports when it can; some are cut off for the middle third of their readers.
Either way the service is a process of its own (`foldline up`), and each app another. One step is one reader. Time is
the service's own, so a policy's half-life passes in real seconds.
"""

import json
import logging
import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import foldline as fl
from foldline.client.http import RemoteLoop
from foldline.demos.news import LOOP, PARTITIONS, READERS, Settings, View, Visits
from foldline.errors import InputError, RequestError
from foldline.log.shown_url import shown_url
from foldline.simulation.line import Line

Way = Literal["central", "edge"]

PATIENCE_S = 60.0
"""How long an app waits for its first bundle, and in the end for its last events to arrive."""


@dataclass
class Served(Visits):
    """What one app did, and how it reported.

    Attributes:
        decision: id of each decision.
        decided_offline: decisions made while the app was cut off.
        waiting: events that waited when the line was mended.
        refused: events the service found unusable.
    """

    decision: list[str] = field(default_factory=list)
    decided_offline: int = 0
    waiting: int = 0
    refused: int = 0


def reward_id(settings: Settings, step: int) -> str:
    """A reward's own id: sent again, it counts once."""
    return f"click-{settings.seed}-{step}"


def visit_centrally(settings: Settings, url: str, number: int, stop: Path) -> Served:
    """An app that asks: a few readers at a time, one request for their decisions, one for what came of them."""
    visits, world = Served(), settings.world
    index = {action: i for i, action in enumerate(world.actions)}
    mine = range(number, settings.steps, settings.apps)
    with fl.Client(url) as client:
        news, pace = client.loop(LOOP), Pace(settings)
        for start in range(0, len(mine), READERS):
            if stop.exists():
                break
            steps = mine[start : start + READERS]
            pace.keep(start + len(steps))
            choices = news.decide_many(
                [f"reader-{step}" for step in steps], ids=[f"{settings.seed}-{step}" for step in steps]
            )
            decided_ns, clicks = time.time_ns(), []
            for step, choice in zip(steps, choices, strict=True):
                if isinstance(choice, fl.FoldlineError):
                    raise choice
                action = index[choice.action]
                clicks.append((choice, world.reward(settings.salt, choice.id, step, action)))
                visits.note_decision(step, action, clicks[-1][1], choice.bundle, decided_ns)
                visits.decision.append(choice.id)
            news.reward_many(clicks, ids=[reward_id(settings, step) for step in steps])
    return visits


def visit_at_the_edge(settings: Settings, url: str, number: int, stop: Path) -> Served:
    """An app that decides by itself; every second one is cut off for the middle third of its readers."""
    visits, world = Served(), settings.world
    index = {action: i for i, action in enumerate(world.actions)}
    mine = range(number, settings.steps, settings.apps)
    outage = range(len(mine) // 3, 2 * len(mine) // 3) if number % 2 else range(0)
    outbox = stop.with_name(f"app-{number}.db")
    with Line(url) as line, fl.Edge(line.url, loop=LOOP, outbox=outbox, wait_s=PATIENCE_S) as news:
        pace = Pace(settings)
        for i, step in enumerate(mine):
            if stop.exists():
                break
            if i == outage.start and outage:
                line.cut()
            if i == outage.stop and outage:
                visits.waiting = news.stats().waiting
                line.mend()
            pace.keep(i + 1)
            choice = news.decide(f"reader-{step}", id=f"{settings.seed}-{step}", log=not settings.complete)
            decided_ns, action = time.time_ns(), index[choice.action]
            click = world.reward(settings.salt, choice.id, step, action)
            visits.note_decision(step, action, click, choice.bundle, decided_ns)
            visits.decision.append(choice.id)
            visits.decided_offline += i in outage
            if settings.complete:
                news.outcome(choice, click)
            else:
                news.reward(choice, click, id=reward_id(settings, step))
        line.mend()
        if not news.flush(PATIENCE_S):
            raise RequestError("http.unavailable", f"app {number} could not deliver: {news.stats()}")
        visits.refused = len(news.refused())
    return visits


class Pace:
    """Keeps an app to its share of the rate."""

    def __init__(self, settings: Settings) -> None:
        self._began = time.monotonic()
        self._each_s = settings.apps / settings.rate if settings.rate else 0.0

    def keep(self, readers: int) -> None:
        """Wait until that many readers are due."""
        time.sleep(max(0.0, self._began + readers * self._each_s - time.monotonic()))


WAYS: dict[Way, Callable[[Settings, str, int, Path], Served]] = {
    "central": visit_centrally,
    "edge": visit_at_the_edge,
}


def run_served(
    settings: Settings, way: Way, log: str, watch: Callable[[View], None] = lambda _: None
) -> list[Served]:
    """Run the demo; every app's visits. Ctrl-C stops early and returns what was done.

    Args:
        settings: what to run.
        way: who decides.
        log: a log that holds no loop named `news` yet.
        watch: called about five times a second.
    """
    if way == "central" and settings.complete:
        raise InputError(
            "input.invalid",
            "this policy wants complete outcomes, and a service that decides hears of rewards later; use --edge",
            field="policy",
        )
    with TemporaryDirectory(prefix="foldline-news-") as folder, service(log) as url, fl.Client(url) as client:
        if LOOP in client.loops():
            raise InputError(
                "input.invalid",
                f"the log {shown_url(log)} holds a loop {LOOP!r} already; give another --log",
                field="log",
            )
        news = client.loop(LOOP)
        news.define(
            settings.world.actions,
            policy=settings.policy,
            complete=settings.complete,
            partitions=settings.partitions or (1 if settings.policy.merge_law == "none" else PARTITIONS),
            salt=settings.salt,
        )
        return _run(settings, way, url, news, Path(folder) / "stop", watch)


@contextmanager
def service(log: str) -> Iterator[str]:
    """A service in a process of its own, `foldline up`; its address."""
    command = [sys.executable, "-m", "foldline", "up", "--log", log, "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - our own
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise InputError(
                "input.invalid", f"the service did not start: {process.communicate()[1].strip()}", field="log"
            )
        yield json.loads(line)["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def _run(
    settings: Settings,
    way: Way,
    url: str,
    news: RemoteLoop,
    stop: Path,
    watch: Callable[[View], None],
) -> list[Served]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(settings.apps, mp_context=spawn, initializer=_settle_in) as pool:
        apps: list[Future[Served]] = []
        try:
            apps += [pool.submit(WAYS[way], settings, url, n, stop) for n in range(settings.apps)]
            _watch(apps, settings, news, watch)
        except KeyboardInterrupt:
            stop.touch()
        except BaseException:
            stop.touch()
            raise
        visits = [app.result() for app in apps]
    made = sum(len(each.step) for each in visits)
    while news.show().counts["learnt"] < made:
        time.sleep(0.02)
    watch(_view(settings, news))
    return visits


def _settle_in() -> None:
    """In each app: Ctrl-C reaches the whole process group, but apps are told by the stop file; outages are meant."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.getLogger("foldline.client").setLevel(logging.ERROR)


def _watch(
    apps: list[Future[Served]], settings: Settings, news: RemoteLoop, watch: Callable[[View], None]
) -> None:
    while wait(apps, timeout=0.2).not_done:
        watch(_view(settings, news))
        for app in apps:
            if app.done():
                app.result()


def _view(settings: Settings, news: RemoteLoop) -> View:
    shown, world = news.show(), settings.world
    learnt = int(shown.counts["learnt"])
    best = world.actions[world.best_at(learnt)]
    pulls = {estimate.action: estimate.pulls for estimate in shown.estimates}
    share = pulls.get(best, 0) / max(1, sum(pulls.values()))
    age_s = time.time() - shown.bundle.time / 1000 if shown.bundle is not None else 0.0
    return View(learnt, shown.counts["reward_sum"], share, age_s)
