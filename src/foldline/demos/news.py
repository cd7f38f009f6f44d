"""The news demo: twenty articles, many apps, one loop that learns which article to show.

Every app is a process of its own. It opens the same log, decides from the newest bundle it finds there, and
reports whether its reader clicked. This process learns and publishes. One step is one reader, and one simulated
second; the run begins `steps` seconds ago.
"""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import foldline as fl
from foldline.engine.learner import Pace
from foldline.errors import InputError
from foldline.simulation.worlds import NewsWorld

LOOP = "news"
PARTITIONS = 4


@dataclass(frozen=True)
class Settings:
    """What to run.

    Attributes:
        policy: decides and learns.
        world: articles with their click probabilities.
        steps: readers, one a simulated second.
        apps: processes that decide, each taking every `apps`-th step.
        seed: of the draws.
        rate: outcomes a second over all apps, 0 for as fast as it goes.
        lockstep: each app waits for the bundle that covers its last reward before it decides again.
        partitions: of the event topic; None for one where the policy's state does not merge, else 4.
    """

    policy: fl.Policy
    world: NewsWorld
    steps: int = 11_000
    apps: int = 8
    seed: int = 0
    rate: float = 0.0
    lockstep: bool = False
    partitions: int | None = None

    @property
    def salt(self) -> str:
        """Of the loop's draws and the readers'; one for each seed."""
        return f"news-{self.seed}"

    @property
    def complete(self) -> bool:
        """Whether apps report complete outcomes, as a policy that cannot correct needs."""
        return self.policy.correction_law != "exact"


@dataclass
class Visits:
    """What one app did, one entry a step.

    Attributes:
        step: which reader.
        action: index of the article shown.
        reward: 1 if clicked, else 0.
        bundle: hash of the bundle decided with.
        decided_ns: wall clock at the decision.
        partition: where the reward stands on the log.
        offset: where the reward stands on the log.
        rewarded_ns: wall clock when the reward was durable.
    """

    step: list[int] = field(default_factory=list)
    action: list[int] = field(default_factory=list)
    reward: list[int] = field(default_factory=list)
    bundle: list[str] = field(default_factory=list)
    decided_ns: list[int] = field(default_factory=list)
    partition: list[int] = field(default_factory=list)
    offset: list[int] = field(default_factory=list)
    rewarded_ns: list[int] = field(default_factory=list)


def visit(settings: Settings, url: str, number: int, start_ms: int, stop: Path) -> Visits:
    """One app: decide, show, report, until its steps are done or the stop file appears."""
    visits, world = Visits(), settings.world
    index = {action: i for i, action in enumerate(world.actions)}
    step = number
    with fl.open(url, learn=False, clock=lambda: start_ms + 1000 * step) as app:
        news = app.loop(LOOP)
        began = time.monotonic()
        while step < settings.steps and not (step // settings.apps % 16 == 0 and stop.exists()):
            if settings.rate:
                time.sleep(max(0.0, began + (step - number) / settings.rate - time.monotonic()))
            choice = news.decide(f"reader-{step}", id=f"{settings.seed}-{step}", log=not settings.complete)
            visits.decided_ns.append(time.time_ns())
            shown = index[choice.action]
            click = world.reward(settings.salt, choice.id, step, shown)
            report = news.outcome if settings.complete else news.reward
            position = report(choice, click)
            visits.rewarded_ns.append(time.time_ns())
            visits.step.append(step)
            visits.action.append(shown)
            visits.reward.append(click)
            visits.bundle.append(choice.bundle)
            visits.partition.append(position.partition)
            visits.offset.append(position.offset)
            if settings.lockstep:
                news.catch_up()
            step += settings.apps
    return visits


@dataclass(frozen=True)
class View:
    """What can be seen while it runs."""

    decisions: int
    reward: float
    best_share: float
    policy_age_s: float


def run(
    settings: Settings, url: str | None = None, watch: Callable[[View], None] = lambda _: None
) -> list[Visits]:
    """Run the demo; every app's visits. Ctrl-C stops early and returns what was done.

    Args:
        settings: what to run.
        url: a log that holds no loop named `news` yet; a temporary file by default.
        watch: called about five times a second.
    """
    with TemporaryDirectory(prefix="foldline-news-") as folder:
        log = url or f"sqlite:///{folder}/news.db"
        if log.startswith("memory:"):
            raise InputError(
                "input.invalid",
                "apps are processes of their own; give a log that they can share",
                field="log",
            )
        pace = Pace(root_every_ms=0, publish_every_ms=0) if settings.lockstep else None
        start_ms = time.time_ns() // 1_000_000 - 1000 * settings.steps
        with fl.open(log, pace=pace, clock=lambda: start_ms) as app:
            return _run(settings, app, log, start_ms, Path(folder) / "stop", watch)


def _run(
    settings: Settings, app: fl.Foldline, url: str, start_ms: int, stop: Path, watch: Callable[[View], None]
) -> list[Visits]:
    if LOOP in app.loops():
        raise InputError(
            "input.invalid", f"the log {url} holds a loop {LOOP!r} already; give another --log", field="log"
        )
    partitions = settings.partitions or (1 if settings.policy.merge_law == "none" else PARTITIONS)
    news = app.loop(
        LOOP,
        actions=settings.world.actions,
        policy=settings.policy,
        complete=settings.complete,
        partitions=partitions,
        salt=settings.salt,
    )
    with ProcessPoolExecutor(settings.apps, mp_context=multiprocessing.get_context("spawn")) as pool:
        apps = [pool.submit(visit, settings, url, n, start_ms, stop) for n in range(settings.apps)]
        try:
            _watch(apps, news, settings.world, watch)
        except KeyboardInterrupt:
            stop.touch()
        visits = [future.result() for future in apps]
    news.catch_up()
    watch(_view(news, settings.world))
    return visits


def _watch(
    apps: list[Future[Visits]], news: fl.Loop, world: NewsWorld, watch: Callable[[View], None]
) -> None:
    while wait(apps, timeout=0.2).not_done:
        watch(_view(news, world))
        for future in apps:
            if future.done():
                future.result()


def _view(news: fl.Loop, world: NewsWorld) -> View:
    counts, estimates = news.counts(), news.estimates()
    pulls = sum(e.pulls for e in estimates)
    best = world.actions[world.best_at(counts["learnt"])]
    best_pulls = next(e.pulls for e in estimates if e.action == best)
    age = time.time_ns() / 1e9 - news.bundle.time / 1e3
    return View(counts["learnt"], counts.reward_sum, best_pulls / pulls if pulls else 0.0, age)
