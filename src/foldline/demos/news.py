"""The news demo: twenty articles, many apps, one loop that learns which article to show.

Every app is a process of its own. It opens the same log, decides from the newest bundle it finds there, and
reports whether its reader clicked. This process learns and publishes. One step is one reader, and one simulated
second; the run begins `steps` seconds ago.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import foldline as fl
from foldline.app.appending import Position
from foldline.engine.learner import Pace
from foldline.errors import InputError
from foldline.log.shown_url import shown_url
from foldline.simulation.worlds import NewsWorld

LOOP = "news"
PARTITIONS = 4
READERS = 8
"""How many readers an app serves at a time."""


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
        lockstep: each app serves one reader at a time and waits for the bundle that covers its last reward.
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

    def note_decision(self, step: int, action: int, reward: int, bundle: str, decided_ns: int) -> None:
        """An article was shown."""
        self.step.append(step)
        self.action.append(action)
        self.reward.append(reward)
        self.bundle.append(bundle)
        self.decided_ns.append(decided_ns)

    def note_rewards(self, positions: list[Position], rewarded_ns: int) -> None:
        """Rewards became durable, in the order of their decisions."""
        for position in positions:
            self.partition.append(position.partition)
            self.offset.append(position.offset)
            self.rewarded_ns.append(rewarded_ns)


def visit(settings: Settings, url: str, number: int, start_ms: int, stop: Path) -> Visits:
    """One app: serve readers, a few at a time, until its steps are done or the stop file appears.

    What the readers before clicked and what these are shown goes to the log in one commit, and an article is
    shown only once its decision is durable.
    """
    visits, world, now = Visits(), settings.world, start_ms
    index = {action: i for i, action in enumerate(world.actions)}
    mine = range(number, settings.steps, settings.apps)
    at_once = 1 if settings.lockstep else READERS
    clicked: list[tuple[fl.Decision, int]] = []
    with fl.open(url, learn=False, clock=lambda: now) as app:
        news = app.loop(LOOP)
        report = news.outcome if settings.complete else news.reward

        def choose(step: int) -> fl.Decision:
            nonlocal now
            now = start_ms + 1000 * step
            return news.decide(f"reader-{step}", id=f"{settings.seed}-{step}", log=not settings.complete)

        began = time.monotonic()
        for i in range(0, len(mine) + at_once, at_once):
            if settings.rate:
                due = began + min(i + at_once, len(mine)) * settings.apps / settings.rate
                time.sleep(max(0.0, due - time.monotonic()))
            stopped = stop.exists()
            steps = [] if stopped else mine[i : i + at_once]
            with news.batch() as written:
                for choice, click in clicked:
                    report(choice, click)
                shown = [] if settings.lockstep else [choose(step) for step in steps]
            visits.note_rewards(written[: len(clicked)], time.time_ns())
            if settings.lockstep:
                news.catch_up()
                with news.batch():
                    shown = [choose(step) for step in steps]
            if stopped:
                break
            clicked = []
            for step, choice in zip(steps, shown, strict=True):
                action = index[choice.action]
                clicked.append((choice, world.reward(settings.salt, choice.id, step, action)))
                visits.note_decision(step, action, clicked[-1][1], choice.bundle, time.time_ns())
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
        _compile(settings)
        start_ms = time.time_ns() // 1_000_000 - 1000 * settings.steps
        with fl.open(log, pace=pace, clock=lambda: start_ms) as app:
            return _run(settings, app, log, start_ms, Path(folder) / "stop", watch)


def _run(
    settings: Settings, app: fl.Foldline, url: str, start_ms: int, stop: Path, watch: Callable[[View], None]
) -> list[Visits]:
    if LOOP in app.loops():
        raise InputError(
            "input.invalid",
            f"the log {shown_url(url)} holds a loop {LOOP!r} already; give another --log",
            field="log",
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
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        settings.apps, mp_context=spawn, initializer=_leave_interrupts_to_the_parent
    ) as pool:
        apps: list[Future[Visits]] = []
        try:
            apps += [pool.submit(visit, settings, url, n, start_ms, stop) for n in range(settings.apps)]
            _watch(apps, news, settings.world, watch)
        except KeyboardInterrupt:
            stop.touch()
        visits = [future.result() for future in apps]
    news.catch_up()
    watch(_view(news, settings.world))
    return visits


def _compile(settings: Settings) -> None:
    """Some hundred readers on a log in memory compile what this process and the apps need, before any clock runs.

    The apps then find it in the cache, and do not all compile at once.
    """
    with fl.open("memory://") as app:
        actions, complete = settings.world.actions, settings.complete
        news = app.loop(
            LOOP,
            actions=actions,
            policy=settings.policy,
            complete=complete,
            partitions=1 if settings.policy.merge_law == "none" else PARTITIONS,
        )
        report = news.outcome if complete else news.reward
        for _ in range(2):
            with news.batch():
                for reader in range(200 * PARTITIONS):
                    report(news.decide(f"reader-{reader}", log=not complete), 0)
            news.catch_up()


def _leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches the whole process group; apps finish the readers they serve and are told by the stop file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
