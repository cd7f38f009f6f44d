"""Promotion: who gets the winner, that nobody is moved back, and the way back; however often a step dies."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foldline as fl
from foldline.app.foldline import wall_clock
from foldline.engine import promoting
from foldline.engine.announcer import Announcement
from foldline.engine.promoting import promote, roll_back
from foldline.errors import DefinitionError, InputError, LogError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.reasons import Reason
from foldline.experiments.settings import read_settings
from foldline.experiments.verdict import Verdict
from foldline.log.protocol import Batch
from foldline.loops.trying import TrialDecider

UNITS = [f"u{n}" for n in range(300)]
GOAL = fl.Proportion("reward", baseline=0.07, effect=0.04)
SETTINGS = b"""
max_days = 28
coverage = 0.5
forced = {vip = "control"}
holdouts = [{salt = "nobody", share = 0.1}]
variants = [{key = "control", policy = {kind = "fixed", action = "a"}},
            {key = "challenger", policy = {kind = "fixed", action = "b"}}]
[goal]
name = "reward"
baseline = 0.07
effect = 0.04
"""


def _definition(**changed: Any) -> ExperimentDefinition:
    made = read_settings(SETTINGS, "toml").settle("ctr", "news", salt="s", now=0)
    return msgspec.structs.replace(made, state="running", started=1, **changed)


def _variants(definition: ExperimentDefinition) -> dict[str, tuple[str | None, Reason]]:
    trial = TrialDecider(definition, {})
    return {unit: (found.variant, found.reason) for unit in (*UNITS, "vip") for found in [trial.assign(unit)]}


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=5).map(sorted))
@settings(max_examples=40, deadline=None)
def test_a_rising_share_moves_nobody_back(shares: list[float]) -> None:
    """Whoever was promoted stays so; all others are as without a promotion; held out and forced units always are."""
    without = _variants(_definition())
    promoted: set[str] = set()
    for share in shares:
        found = _variants(_definition(promoted="challenger", promoted_share=share))
        now = {unit for unit, (_, reason) in found.items() if reason is Reason.PROMOTED}
        assert promoted <= now
        assert all(found[unit] == without[unit] for unit in found if unit not in now)
        assert all(found[unit][0] == "challenger" for unit in now)
        assert not any(without[unit][1] in (Reason.FORCED, Reason.HOLDOUT) for unit in now)
        promoted = now
    everybody = _variants(_definition(promoted="challenger", promoted_share=1.0))
    assert {reason for _, reason in everybody.values()} == {Reason.PROMOTED, Reason.FORCED, Reason.HOLDOUT}


def _app() -> tuple[fl.Foldline, fl.Loop, fl.Experiment]:
    app = fl.open("memory://")
    news = app.loop("news", actions=["a", "b"], policy=fl.Fixed("a"))
    test = news.experiment(
        "ctr", control=fl.Fixed("a"), challenger=fl.Fixed("b"), goal=GOAL, max_days=28, salt="s"
    )
    return app, news, test


def _decide(news: fl.Loop) -> dict[str, tuple[str | None, str, float | None]]:
    made = {unit: news.decide(unit) for unit in UNITS}
    return {unit: (one.variant, one.action, one.probability) for unit, one in made.items()}


def test_ramped_then_whole_then_back() -> None:
    """Decisions follow at once; the policy becomes the loop's and is taken back; every assignment can be recomputed."""
    app, news, test = _app()
    with app:
        before = _decide(news)
        test.promote("challenger", share=0.4)
        some = _decide(news)
        moved = {unit for unit in UNITS if some[unit] != before[unit]}
        assert 80 < len(moved) < 160
        assert all(some[unit] == ("challenger", "b", None) for unit in moved)
        test.promote("challenger", share=0.7)
        more = _decide(news)
        assert all(more[unit] == some[unit] for unit in moved)
        with pytest.raises(DefinitionError, match="only rises"):
            test.promote("challenger", share=0.5)
        with pytest.raises(DefinitionError, match="roll it back first"):
            test.promote("control", share=0.9)
        test.promote("challenger")
        assert (test.definition.state, test.definition.ended_by) == ("ended", "promotion")
        assert {one[:2] for one in _decide(news).values()} == {(None, "b")}
        assert test.definition.marker(0).by == "promotion"
        check = test.check()
        assert (check.agree, check.differ) == (check.decisions, [])
        assert check.decisions == 3 * len(UNITS)
        tallied = test.results()
        assert sum(variant.enrolled for variant in tallied.variants) <= len(UNITS)
        test.roll_back()
        assert {one[:2] for one in _decide(news).values()} == {(None, "a")}
        with pytest.raises(DefinitionError, match="promoted nothing"):
            test.roll_back()
        test.promote("challenger")
        news.catch_up()
        assert news.definition.policy == {"kind": "fixed", "action": "b"}


def test_a_share_is_taken_back_while_it_runs() -> None:
    """Everybody is where they were."""
    app, news, test = _app()
    with app:
        before = _decide(news)
        test.promote("challenger", share=0.5)
        assert _decide(news) != before
        test.roll_back()
        assert _decide(news) == before
        assert test.definition.state == "running"


def test_the_winner_is_the_verdicts() -> None:
    """Without one a variant must be named, and that is said; after one it is the winner's."""
    app, _, test = _app()
    with app:
        with pytest.raises(InputError, match=r"no verdict yet; .*name it: one of control, challenger"):
            test.promote()
        with pytest.raises(InputError, match="no variant 'third'"):
            test.promote("third")
        with pytest.raises(InputError, match="above 0, at most 1"):
            test.promote("control", share=0.0)
        _announce(app, "inconclusive", None)
        with pytest.raises(InputError, match="was inconclusive"):
            test.promote()
    app, news, test = _app()
    with app:
        _announce(app, "challenger_wins", "challenger")
        test.promote()
        assert news.definition.policy == {"kind": "fixed", "action": "b"}
        with pytest.raises(DefinitionError, match="is ended"):
            test.promote(share=0.5)


def _announce(app: fl.Foldline, result: Any, winner: str | None) -> None:
    verdict = Verdict(
        experiment="ctr", version=2, result=result, winner=winner, reason="planned", time=1, rule="fixed", alpha=0.05,
        units={}, enrolled={}, mixed=0, effects=(), sample_ratio_p=1.0,
    )  # fmt: skip
    said = Announcement(kind="verdict", experiment="ctr", cut=(0,), time=1, verdict=verdict)
    app.log.append([Batch("news.ctr.verdicts", 0, msgspec.json.encode(said), 1, 1, 1)])


@pytest.mark.parametrize("dies", ["define", "change_experiment"])
def test_a_death_in_between_is_completed_by_the_same_command(
    dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units have the winner already; the second call goes on, and the way back is still known."""
    app, news, test = _app()
    with app:
        calls = [0]
        real = getattr(promoting, dies)

        def dying(*arguments: Any, **named: Any) -> Any:
            calls[0] += 1
            if calls[0] == (1 if dies == "define" else 2):
                raise LogError("log.unavailable", "gone")
            return real(*arguments, **named)

        monkeypatch.setattr(promoting, dies, dying)
        with pytest.raises(LogError, match="gone"):
            promote(app.log, "ctr", variant="challenger", holder="one", now=wall_clock() + 0)
        monkeypatch.undo()
        test._host.round()
        assert {one[1] for one in _decide(news).values()} == {"b"}
        made = promote(app.log, "ctr", variant="challenger", holder="two", now=wall_clock() + 1)
        assert (made.state, made.replaced) == ("ended", 1)
        roll_back(app.log, "ctr", holder="two", now=wall_clock() + 2)
        test._host.round()
        news.await_definition(3)
        assert {one[1] for one in _decide(news).values()} == {"a"}


def test_a_policy_changed_since_is_not_rolled_back() -> None:
    """Somebody meant it."""
    app, _, test = _app()
    with app:
        test.promote("challenger")
        app.loop("news", actions=["a", "b"], policy=fl.Random())
        with pytest.raises(DefinitionError, match="define the one wanted yourself"):
            test.roll_back()
