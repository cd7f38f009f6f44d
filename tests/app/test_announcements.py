"""What an experiment announces: its verdict once, what revises it, a breach."""

from collections.abc import Callable
from pathlib import Path

import foldline as fl
from foldline.experiments.measure import Guardrail
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Reward, Tick
from tests.app.experiments import FAST, START, pass_hours, rounds, started_on, visit


def test_a_verdict_is_announced_once_and_is_what_the_log_gives(
    clock: Callable[[], int], tmp_path: Path
) -> None:
    """By whoever learns; another process, later, announces nothing more."""
    url = f"sqlite:///{tmp_path}/log.db"
    with fl.open(url, pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news)
        visit(news, 2600)
        cut = pass_hours(app)
        assert rounds(app, lambda: bool(test.announcements()))
        [said] = test.announcements()
        assert (said.kind, said.verdict) == ("verdict", test.results(at=cut).verdict)
        assert said.cut <= cut
        test.stop()
    with fl.open(url, pace=FAST, clock=clock) as app:
        test = app.loop("news").experiment("b-or-a")
        pass_hours(app)
        assert rounds(app, lambda: test.results().state == "ended")
        assert test.announcements() == [said]


def test_a_stop_ends_no_minute_that_was_over_before_it(clock: Callable[[], int], tmp_path: Path) -> None:
    """It is stamped by another clock than the decisions, here by one that stands before the verdict's minute."""
    url = f"sqlite:///{tmp_path}/log.db"
    with fl.open(url, pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news)
        time = START + 300_000
        app.log.append([Batch("news.events", 0, encode(Tick(time=time)), 1, time, time)])
        visit(news, 2600)
        pass_hours(app)
        assert rounds(app, lambda: bool(test.announcements()))
        [said] = test.announcements()
        test.stop()
        end = app.log.offsets("news.events", 0)[1]
        assert rounds(app, lambda: test.results().cut >= (end,))
        [marker] = [row for row in app.log.read("news.events", 0, end - 1) if b'"ended"' in row.payload]
        assert said.verdict is not None
        assert marker.greatest < said.verdict.time - 60_000
        found = test.results()
        assert (found.state, found.verdict) == ("ended", said.verdict)
    with fl.open(url, pace=FAST, clock=clock) as app:
        test = app.loop("news").experiment("b-or-a")
        pass_hours(app)
        for _ in range(20):
            app._host.round()
        assert test.announcements() == [said]


def test_what_comes_late_is_announced_as_a_revision(clock: Callable[[], int]) -> None:
    """Beside the verdict, once its minute is over; the log alone gives it again."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news, late_s=20_000)
        made = visit(news, 2600)
        pass_hours(app)
        assert rounds(app, lambda: bool(test.announcements()))
        test.stop()
        quiet = [choice for choice in made if choice.action == "a"][5]
        reward = Reward(time=quiet.time + 1000, id="late", decision=quiet.id, name="click", value=1.0)
        time = START + 10_000_000
        app.log.append([Batch("news.events", 0, encode(reward), 1, time, time)])
        assert test.results(at=app.log.offsets("news.events", 0)[1:]).revisions == ()
        tick = encode(Tick(time=time + 60_000))
        app.log.append([Batch("news.events", 0, tick, 1, time, time)])
        assert rounds(app, lambda: len(test.announcements()) > 1)
        first, second = test.announcements()
        assert (first.kind, second.kind) == ("verdict", "revision")
        assert second.revision is not None
        assert first.verdict is not None
        assert second.revision.revises == first.verdict.time
        assert set(second.revision.changed) >= {
            "control.challenger",
            "difference.challenger",
            "p_value.challenger",
        }
        again = test.results(at=app.log.offsets("news.events", 0)[1:])
        assert (again.verdict, again.revisions) == (first.verdict, (second.revision,))
        assert not rounds(app, lambda: len(test.announcements()) > 2, most=20)


def test_a_breach_is_announced_and_pauses(clock: Callable[[], int]) -> None:
    """Errors with the challenger: nobody is assigned any more, and the log says why."""
    rail = Guardrail(name="error", direction="decrease", margin=0.02)
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news, guardrails=(rail,))
        with news.batch():
            for i in range(900):
                choice = news.decide(f"u{i}")
                if choice.variant == "challenger" and i % 3 == 0:
                    news.reward(choice, 1, name="error")
        pass_hours(app)
        assert rounds(app, lambda: test.definition.state == "paused")
        said = test.announcements()
        assert [one.kind for one in said] == ["breach"]
        assert said[0].breach is not None
        assert said[0].breach.effect.challenger == "challenger"
        # What stands on the log has yet to be followed.
        assert rounds(app, lambda: news.decide("u1").variant is None)
