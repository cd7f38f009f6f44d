"""What an experiment's page says beside a plain verdict: revisions, breaches, mismatched shares, one-sided ones."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.experiments.assignment import assigner
from foldline.experiments.measure import Guardrail
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick
from tests.dashboard.site import Client, opened

START = 1_700_000_000_000
GOAL = fl.Proportion("bought", baseline=0.2, effect=0.3)
Log = tuple[fl.Foldline, list[int]]


@pytest.fixture
def log() -> Iterator[Log]:
    """A log in memory, and its clock."""
    with opened("memory://", START) as made:
        yield made


def tried(
    log: Log, units: int = 400, *, lost: str | None = None, **settings: Any
) -> tuple[fl.Experiment, list[fl.Decision]]:
    """A test whose units, a second each, buy a fifth with the control and half with the challenger, which all complain.

    Args:
        log: and its clock.
        units: how many come.
        lost: the variant whose units never arrive.
        **settings: others of the experiment.
    """
    app, clock = log
    shop = app.loop("shop", actions=["a", "b"], reward="bought", salt="s")
    given: dict[str, Any] = {"goal": GOAL, "max_days": 28, "window_s": 60, "late_s": 20_000, "salt": "s"}
    test = shop.experiment("try", control=fl.Fixed("a"), challenger=fl.Fixed("b"), **{**given, **settings})
    assign, made, seen = assigner(test.definition.plan()), [], {"a": 0, "b": 0}
    with shop.batch():
        for n in range(units):
            clock[0] += 1000
            if assign(f"unit-{n}").variant == lost:
                continue
            choice = shop.decide(f"unit-{n}", id=str(n))
            made.append(choice)
            seen[choice.action] += 1
            if seen[choice.action] % {"a": 5, "b": 2}[choice.action] == 0:
                shop.reward(choice, 1, name="bought")
            if choice.action == "b":
                shop.reward(choice, 1, name="complaint")
    pass_minutes(log, 10)
    return test, made


def pass_minutes(log: Log, minutes: int) -> None:
    """Of stream time, with nothing in them."""
    app, clock = log
    clock[0] += 60_000 * minutes
    app.log.append([Batch("shop.events", 0, encode(Tick(time=clock[0])), 1, clock[0], clock[0])])


def shown(log: Log, holds: Callable[[str], object]) -> str:
    """The experiment's page in one line, once something holds of it."""
    app, _ = log
    client = Client(dashboard(app.log, every_s=0.0))
    for _ in range(400):
        text = re.sub(r"\s+", " ", client.get("/experiments/try").text)
        if holds(text):
            return text
        app._host.round()
    raise AssertionError(text)


def test_a_revision_stands_beside_the_verdict(log: Log) -> None:
    """What came late, from which figure to which; the verdict stays above it, and both are announced."""
    app, clock = log
    _, made = tried(log)
    before = shown(log, lambda text: "verdict: challenger wins" in text)
    assert "Revised at" not in before
    quiet = next(choice for choice in made if choice.action == "a")
    reward = Reward(time=quiet.time + 1000, id="late", decision=quiet.id, name="bought", value=1.0)
    app.log.append([Batch("shop.events", 0, encode(reward), 1, clock[0], clock[0])])
    pass_minutes(log, 5)
    after = shown(log, lambda text: "revision: challenger wins" in text)
    verdict = after[after.index('<div id="verdict">') : after.index('<dl id="tiles"')]
    assert "The challenger wins: challenger." in verdict
    assert re.search(
        r"<strong>Revised at .*?</strong> by records that came late: the challenger wins", verdict
    )
    assert re.search(r"control\.challenger 0\.\d+ → 0\.\d+", verdict)
    assert "verdict: challenger wins" in after


def test_a_broken_guardrail_alarms(log: Log) -> None:
    """At the top with its figures, in its row with the time, and among what was announced."""
    rail = Guardrail(name="complaint", direction="decrease", margin=0.1)
    tried(log, guardrails=(rail,), max_days=1)
    text = shown(log, lambda text: "breach: complaint with challenger" in text)
    assert "Guardrail complaint did not hold with challenger" in text
    assert re.search(r'<td class="alarm">broken <time', text)
    assert "0.1 tolerated" in text


def test_mismatched_shares_alarm(log: Log) -> None:
    """Where a variant's units never arrive no result can be trusted."""
    tried(log, 900, lost="challenger", sample_size=20_000)
    text = shown(log, lambda text: "Sample ratio mismatch." in text)
    assert "foldline experiments check try" in text
    assert '<div class="alarm"><dt>Shares</dt>' in text


def test_a_question_of_one_side_shows_its_bound(log: Log) -> None:
    """Not worse by a margin: what is asked, and the limit that decides."""
    goal = fl.Proportion("bought", 0.2, 0.0, alternative="greater", margin=0.2, method="unpooled")
    tried(log, goal=goal)
    text = shown(log, lambda text: "verdict: challenger wins" in text)
    assert "not worse by 0.2, one-sided" in text
    assert "one-sided at least +0." in text
