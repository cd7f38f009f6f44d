"""A log with loops that have learnt something, and the dashboard served over it on loopback."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import uvicorn
from starlette.types import ASGIApp

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.dashboard.live import Live
from foldline.engine.examining import tallies
from foldline.engine.learner import Pace
from foldline.engine.timelines import timelines
from foldline.experiments.measure import Guardrail
from foldline.log.protocol import Batch, Log
from foldline.loops.topics import topics_of
from foldline.simulation.worlds import NewsWorld

PACE = Pace(root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)
NASTY = '<img src=x onerror="window.hacked=1">'
"""An action's name that would run in a page that does not escape."""

LIVE: dict[str, Live] = {}
"""Who listens, by the address served."""


@contextmanager
def opened(url: str, start_ms: int) -> Iterator[tuple[fl.Foldline, list[int]]]:
    """A Foldline whose clock says what stands in the list, its host's too: nobody ticks before the time has come.

    Turn it forwards only.
    """
    clock = [start_ms]
    with fl.open(url, clock=lambda: clock[0], pace=PACE) as app:
        app._host._clock = lambda: clock[0]
        yield app, clock


def learn_news(app: fl.Foldline, clock: list[int], steps: int, *, at_once: int = 60) -> fl.Loop:
    """The published news world, one reader a simulated second: epsilon-greedy finds the better articles."""
    world = NewsWorld.evenly_spaced()
    news = app.loop("news", actions=world.actions, policy=fl.EpsilonGreedy(0.1), partitions=2, salt="s")
    index = {action: i for i, action in enumerate(world.actions)}
    begin = clock[0]
    for step in range(0, steps, at_once):
        with news.batch():
            for n in range(step, min(step + at_once, steps)):
                clock[0] = begin + 1_000 * n
                choice = news.decide(f"reader-{n}", id=str(n))
                if world.reward("s", choice.id, n, index[choice.action]):
                    news.reward(choice, 1)
        news.catch_up()
    return news


def learn_payments(app: fl.Foldline, clock: list[int], count: int) -> fl.Loop:
    """A Hoeffding tree on four partitions of payments, of which some are fraud; another kind of fraud later."""
    model = fl.Model(name="tree", model="HoeffdingTree:max_depth=10", window=500, snapshot_every_s=0)
    payments = app.loop("payments", models=[model], partitions=4)
    rng = np.random.default_rng(11)
    begin = clock[0]
    for start in range(0, count, 100):
        clock[0] = begin + 10_000 * start
        with payments.batch():
            for n in range(start, min(start + 100, count)):
                amount, hour, shop = (
                    float(rng.exponential(60)),
                    float(rng.uniform(0, 24)),
                    float(rng.integers(5)),
                )
                odds = 0.02 + 0.6 * (amount > 150) + 0.3 * (hour < 5)
                if n > count * 0.6:
                    odds = 0.02 + 0.6 * (shop == 3 and amount < 40)
                payments.example(
                    {"amount": amount, "hour": hour, "shop": shop},
                    unit=f"card-{n % 97}",
                    y=bool(rng.random() < odds),
                )
        payments.catch_up()
    return payments


def learn_prices(app: fl.Foldline, clock: list[int], steps: int, *, name: str = NASTY) -> fl.Loop:
    """A loop with a reward wait, rewards of many sizes, an action of that name, and a record it cannot use."""
    actions = ["five percent off", "free shipping", name]
    shop = app.loop(
        "shop-offer", actions=actions, policy=fl.Thompson(), reward="revenue", reward_wait_s=30, high=100
    )
    begin = clock[0]
    for n in range(steps):
        clock[0] = begin + 2_000 * n
        with shop.batch():
            choice = shop.decide(f"customer-{n}", id=str(n))
            if n % 3 == 0:
                shop.reward(choice, 10.0 + 20 * actions.index(choice.action) + n % 7)
            if n % 40 == 39:
                shop.reward(f"0.0.{n - 30}", 5.0)
            if n % 50 == 49:
                shop.reward("0.0.never", 1.0)
        if n % 20 == 19:
            shop.catch_up()
    app.log.append([Batch("shop-offer.events", 0, f'{{"type":"{name}"}}'.encode(), 1, clock[0], clock[0])])
    shop.decide("last")
    shop.catch_up()
    return shop


def learn_test(
    app: fl.Foldline,
    clock: list[int],
    units: int,
    *,
    loop: str = "checkout",
    name: str = "one-page",
    rates: tuple[float, float] = (0.07, 0.11),
    every_ms: int = 3_000,
    **settings: Any,
) -> fl.Experiment:
    """A test of one page against three: a visitor every three seconds, of whom exactly the rates' shares buy."""
    front = app.loop(loop, actions=["three pages", "one page"], reward="bought", salt="s")
    given: dict[str, Any] = {
        "control": fl.Fixed("three pages"),
        "challenger": fl.Fixed("one page"),
        "goal": fl.Proportion("bought", baseline=0.07, effect=0.04),
        "power": 0.9,
        "max_days": 28,
        "window_s": 600,
        "segments": ["device"],
        "salt": "s",
    }
    test = front.experiment(name, **{**given, **settings})
    begin, seen = clock[0], {"control": 0, "challenger": 0}
    # While a batch is made the learner may append a tick, which then stands before all of it: so batches are short.
    for start in range(0, units, 40):
        with front.batch():
            for n in range(start, min(start + 40, units)):
                clock[0] = begin + every_ms * n
                context = {"device": ("phone", "desktop", "tablet")[n % 3 if n % 9 else 2]}
                choice = front.decide(f"visitor-{n}", context=context, id=str(n))
                if choice.variant is None:
                    continue
                seen[choice.variant] += 1
                rate = rates[choice.variant == "challenger"]
                if int(seen[choice.variant] * rate) > int((seen[choice.variant] - 1) * rate):
                    front.reward(choice, 1, name="bought")
                if n % 4 == 0:
                    front.reward(choice, 1.0 + n % 7 / 10, name="seconds")
                if n % 50 == 0:
                    front.reward(choice, 1.0, name="complaint")
        front.catch_up()
    return test


def learn_experiments(app: fl.Foldline, clock: list[int]) -> None:
    """Three experiments: `one-page` with its verdict, `banner` running, with guardrails, `later` a draft."""
    tests = [learn_test(app, clock, 2_600)]
    rails = (
        Guardrail(name="seconds", kind="mean", direction="decrease", margin=0.2),
        Guardrail(name="complaint", direction="decrease", margin=0.02),
    )
    tests.append(
        learn_test(
            app, clock, 500, loop="front", name="banner", rates=(0.07, 0.08), guardrails=rails,
            challenger=fl.EpsilonGreedy(0.2), learns={"challenger": "frozen"},
        )
    )  # fmt: skip
    app.loop("checkout").experiment(
        "later",
        control=fl.Fixed("three pages"),
        challenger=fl.Fixed("one page"),
        goal=fl.Mean("revenue", sd=15, effect=0.7),
        max_days=28,
        start=False,
    )
    for test, decisions in zip(tests, (2_600, 500), strict=True):
        await_tally(app, test, decisions)


def learn_more(app: fl.Foldline, loop: str, units: int) -> None:
    """So many visitors more, of whom nobody buys."""
    front = app.loop(loop)
    with front.batch():
        for n in range(units):
            front.decide(f"more-{n}")
    front.catch_up()


def await_tally(app: fl.Foldline, test: fl.Experiment, decisions: int) -> None:
    """Wait until the tally's roots count so many decisions; records that change nothing write no root."""
    definition = app.loop(test.definition.loop).definition
    topics, states = topics_of(definition), tallies(app.log, definition, test.definition)
    states.read()
    while states.merged().exposures.sum() < decisions:
        app.log.wait({(topics.roots, p): n for p, n in enumerate(states.offsets)}, 1.0)
        states.read()


def await_timeline(app: fl.Foldline, name: str) -> None:
    """Wait until the timeline's roots cover what stands on the log now; bundles do not wait for it."""
    definition = app.loop(name).definition
    topic, states = topics_of(definition).events, timelines(app.log, definition)
    ends = [app.log.offsets(topic, partition)[1] for partition in range(definition.partitions)]
    states.read()
    while any(n < end for n, end in zip(states.cut, ends, strict=True)):
        app.log.wait({(topics_of(definition).roots, p): n for p, n in enumerate(states.offsets)}, 1.0)
        states.read()


class Client:
    """Asks an application without a server between."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    def get(self, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
        """The answer to a request."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())


@contextmanager
def served(log: Log, *, every_s: float = 0.05) -> Iterator[str]:
    """The dashboard on a free port of loopback; its address."""
    application = dashboard(log, every_s=every_s)
    config = uvicorn.Config(application, port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    LIVE[address] = application.state.live
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)
