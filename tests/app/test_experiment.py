"""Experiments from a program: decide, reward, look; the log alone says the same again."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import foldline as fl
from foldline.engine.audit import audit
from foldline.errors import DefinitionError, FoldlineError, InputError
from foldline.experiments.growthbook_experiment import GrowthBookUser, growthbook_experiment
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.records.codec import encode
from tests.app.experiments import FAST, GOAL, START, pass_hours, rounds, started_on, visit


def test_a_test_from_start_to_verdict(clock: Callable[[], int], tmp_path: Path) -> None:
    """Variants by hash, actions by policies; a verdict that the log alone gives again; an audit without finding."""
    with fl.open(f"sqlite:///{tmp_path}/log.db", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        test = started_on(news)
        made = visit(news, 2600)
        cut = pass_hours(app, 2)
        found = test.results(at=cut)
        verdict = found.verdict
        assert verdict is not None
        assert (verdict.result, verdict.winner, verdict.enrolled["control"] >= 1124) == (
            "challenger_wins", "challenger", True,
        )  # fmt: skip
        assert sum(variant.decisions for variant in found.variants) == len(made)
        assert all(
            (c.variant, c.probability) == ({"a": "control", "b": "challenger"}[c.action], 0.5) for c in made
        )
        assert all(c.propensity == 1.0 for c in made)
        assert test.results(at=tuple(n // 2 for n in cut)).verdict is None
        checked = test.check()
        assert (checked.decisions, checked.agree, checked.differ) == (2600, 2600, [])
        seen = audit(app.log, Catalogue(), "news")
        assert seen.agree, seen.findings
        assert seen.decisions == 2600
    with fl.open(f"sqlite:///{tmp_path}/log.db", learn=False) as app:
        again = app.loop("news").experiment("b-or-a").results(at=cut)
        assert msgspec.json.encode(again) == msgspec.json.encode(found)


def test_a_planted_variant_is_found(clock: Callable[[], int]) -> None:
    """A decision logged under another variant than its unit's hash gives."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news)
        choice = news.decide("u1")
        other = {"control": "challenger", "challenger": "control"}[choice.variant or ""]
        forged = msgspec.structs.replace(choice, id=choice.id + "x", variant=other)
        app.log.append([Batch("news.events", 0, encode(forged), 1, forged.time, forged.time)])
        found = test.check()
    assert (found.decisions, found.agree) == (2, 1)
    assert found.differ[0][2:] == ("u1", other, choice.variant)


def test_only_the_eligible_and_enrolled_take_part(clock: Callable[[], int]) -> None:
    """Others get the loop's own policy, and name no experiment; forced units name no probability."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"], policy=fl.Fixed("a"))
        test = started_on(news, condition={"country": "DE"}, coverage=0.5, forced={"me": "challenger"})
        there = [news.decide(f"u{i}", context={"country": "DE"}) for i in range(200)]
        elsewhere = [news.decide(f"u{i}", context={"country": "FR"}) for i in range(50)]
        me = news.decide("me")
        assert 60 < sum(c.experiment == "b-or-a" for c in there) < 140
        assert all((c.experiment, c.action) == (None, "a") for c in elsewhere)
        assert (me.variant, me.probability, me.action) == ("challenger", None, "b")
        before = {c.unit: c.variant for c in there}
        test.ramp(1.0)
        after = {u: news.decide(u, context={"country": "DE"}).variant for u in before}
        assert all(after.values())
        assert all(after[u] == v for u, v in before.items() if v)
        with pytest.raises(DefinitionError):
            test.ramp(0.2)


def test_a_variant_learns_of_its_own_units(clock: Callable[[], int]) -> None:
    """Its bundle follows its own rewards, not those of others."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"], policy=fl.Fixed("a"), reward="click")
        started_on(news, challenger=fl.EpsilonGreedy(0.0))
        for i in range(300):
            choice = news.decide(f"u{i}")
            if choice.action == ("b" if choice.variant == "challenger" else "a"):
                news.reward(choice, 1)
        news.catch_up()

        def learnt() -> bool:
            app._host.round()
            chosen = [news.decide(f"v{i}") for i in range(40)]
            return all(c.action == "b" for c in chosen if c.variant == "challenger")

        assert rounds(app, learnt)


def test_pause_and_stop_assign_nobody(clock: Callable[[], int]) -> None:
    """The loop's own policy decides; what has ended stays ended."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news)
        assert news.decide("u1").variant
        test.pause()
        assert news.decide("u1").variant is None
        test.start()
        assert news.decide("u1").variant
        test.stop()
        assert news.decide("u1").variant is None
        with pytest.raises(DefinitionError):
            test.start()
        verdict = test.results(at=pass_hours(app)).verdict
    assert verdict is not None
    assert (verdict.result, verdict.reason) == ("inconclusive", "stopped by hand")


def test_one_that_moves_here_keeps_its_users_and_the_check_recomputes_them() -> None:
    """By GrowthBook's hash and namespace; its layer cannot be shared with one that is found by ours."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"])
        layer = {"salt": "pricing", "slots": [[100, 650]], "size": 1000}
        test = started_on(news, hash="growthbook_2", salt="exp-ctr", coverage=0.8, layer=layer)
        theirs = {
            "key": "exp-ctr", "variations": [0, 1], "coverage": 0.8, "hashVersion": 2,
            "namespace": ["pricing", 0.1, 0.65], "meta": [{"key": "control"}, {"key": "challenger"}],
        }  # fmt: skip
        for i in range(400):
            expected = growthbook_experiment(theirs, GrowthBookUser(attributes={"id": f"u{i}"}))
            assert news.decide(f"u{i}").variant == (expected.key if expected.in_experiment else None)
        checked = test.check()
        assert checked.agree == checked.decisions > 100
        other = {"salt": "pricing", "slots": [[700, 900]], "size": 1000}
        with pytest.raises(DefinitionError, match="by the hash of foldline"):
            started_on(news, name="second", layer=other)


def test_who_logs_in_keeps_the_variant_and_is_one_unit(clock: Callable[[], int]) -> None:
    """The variant follows the earlier id, both stand on the log, the check recomputes them, rewards find the unit."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        test = started_on(news, forced={"tester": "challenger"})
        with news.batch():
            for i in range(200):
                before = news.decide(f"device-{i}")
                after = news.decide(f"account-{i}", anonymous=f"device-{i}")
                assert (after.unit, after.account) == (f"device-{i}", f"account-{i}")
                assert (after.variant, after.reason) == (before.variant, "SPLIT")
                news.reward(None, 1, unit=f"account-{i}", anonymous=f"device-{i}", name="click")
        same = news.decide("device-1", anonymous="device-1")
        assert (same.unit, same.account) == ("device-1", None)
        assert news.decide("tester", anonymous="device-2").reason == "FORCED"
        found = test.results(at=pass_hours(app, 2))
        assert sum(variant.enrolled for variant in found.variants) == 200
        assert sum(variant.mixed for variant in found.variants) == 0
        assert found.counters["counted"] == 200
        checked = test.check()
        assert checked.agree == checked.decisions == 402
        with pytest.raises(InputError, match="anonymous is ''"):
            news.decide("u1", anonymous="")


def test_new_weights_are_for_who_comes_and_begin_a_phase(clock: Callable[[], int], tmp_path: Path) -> None:
    """The enrolled keep their variant, uncounted; tally, check, past results and a restart all say the same."""
    url = f"sqlite:///{tmp_path}/log.db"
    with fl.open(url, pace=FAST, clock=clock) as app:
        news = app.loop("news", actions=["a", "b"], partitions=2)
        test = started_on(news, sticky=True, coverage=0.4, salt="s", window_s=5)
        with pytest.raises(DefinitionError, match="nobody would get the new weights"):
            started_on(news, name="all", sticky=True, layer={"salt": "l", "slots": [[0, 1]]}).reweight([1, 3])
        with news.batch():
            before = [news.decide(f"u{i}") for i in range(300)]
        cut = pass_hours(app, 2)
        earlier = test.results(at=cut)
        assert sum(v.matured for v in earlier.variants) == sum(map(_enrolled, before)) > 80
        test.reweight([1, 3], coverage=0.9)
        with news.batch():
            after = [news.decide(f"u{i}") for i in range(300)]
        assert all(b.variant == a.variant for a, b in zip(before, after, strict=True) if _enrolled(a))
        kept = [b for a, b in zip(before, after, strict=True) if _enrolled(a)]
        assert {(one.reason, one.probability) for one in kept} == {("STICKY", None)}
        new = [b for a, b in zip(before, after, strict=True) if _enrolled(b) and not _enrolled(a)]
        assert {(one.variant, one.probability) for one in new} == {("control", 0.25), ("challenger", 0.75)}
        now = pass_hours(app, 2, minutes=10)
        found = test.results(at=now)
        assert [v.enrolled for v in found.variants] == [
            sum(one.variant == key for one in new) for key in ("control", "challenger")
        ]
        assert found.counters["forced"] == len(kept)
        assert test.definition.sample_sizes == test.definition.design().sample_sizes
        assert test.results(at=cut) == earlier
        checked = test.check()
        assert checked.agree == checked.decisions == len(kept) * 2 + len(new)
        with pytest.raises(InputError, match="expected one for each"):
            test.reweight([1, 2, 3])
        assert rounds(app, lambda: test.results().cut == now)
        assert test.results().variants == found.variants
    with fl.open(url, pace=FAST, clock=clock) as app:
        again = app.loop("news").experiment("b-or-a")
        assert again.results(at=now) == found
        assert again.results().variants == found.variants


def _enrolled(made: fl.Decision) -> bool:
    return made.variant is not None


def test_weights_of_one_that_is_not_sticky_are_fixed() -> None:
    """Said with what to do; so are those by a hash that enrols and splits at once."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"])
        with pytest.raises(DefinitionError, match="without sticky = true"):
            started_on(news, coverage=0.2).reweight([1, 3])
        other = app.loop("other", actions=["a", "b"])
        test = started_on(other, name="moved", sticky=True, coverage=0.2, hash="growthbook_2", salt="exp")
        with pytest.raises(DefinitionError, match="enrols and splits by one hash"):
            test.reweight([1, 3])


def test_an_ended_experiment_is_a_reason_until_nothing_of_it_can_count() -> None:
    """Then the loop's decisions are plain again, on the log too."""
    now = [START]
    with fl.open("memory://", pace=FAST, clock=lambda: now[0]) as app:
        news = app.loop("news", actions=["a", "b"])
        test = started_on(news, window_s=60, late_s=0)
        assert news.decide("u1").reason == "SPLIT"
        test.stop()
        now[0] += 3_600_000
        assert rounds(app, lambda: news.decide("u1").reason == "EXPERIMENT_ENDED")
        now[0] += 120_001
        assert rounds(app, lambda: news.decide("u1").reason is None)


def test_defining_again_attaches_or_conflicts(clock: Callable[[], int]) -> None:
    """The same settings change nothing; others under the same name are refused; unknown ones are named."""
    with fl.open("memory://", pace=FAST, clock=clock) as app:
        news, other = app.loop("news", actions=["a", "b"]), app.loop("other", actions=["a", "b"])
        first = started_on(news).definition
        assert started_on(news).definition == first
        assert news.experiment("b-or-a").definition == first
        with pytest.raises(DefinitionError, match="other settings"):
            started_on(news, max_days=14)
        with pytest.raises(InputError, match="of loop 'news'"):
            other.experiment("b-or-a")
        with pytest.raises(InputError) as caught:
            news.experiment("nothing")
        assert caught.value.code == "input.unknown_experiment"
        with pytest.raises(InputError, match="max_days"):
            news.experiment("x", control=fl.Fixed("a"), challenger=fl.Fixed("b"), goal=GOAL)
        with pytest.raises(InputError, match="max_dais"):
            started_on(news, max_dais=1)
        with pytest.raises(DefinitionError, match="'c'"):
            other.experiment("y", control=fl.Fixed("a"), challenger=fl.Fixed("c"), goal=GOAL, max_days=2)
        complete = app.loop("whole", actions=["a", "b"], complete=True)
        with pytest.raises(DefinitionError, match="complete outcomes"):
            complete.experiment("z", control=fl.Fixed("a"), challenger=fl.Fixed("b"), goal=GOAL, max_days=2)


def test_settings_may_be_plain_values() -> None:
    """As in a file; what cannot be is refused with its place."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"])
        made = started_on(
            news, start=False, holdouts=[{"salt": "nobody", "share": 0.1}], learns={"challenger": "frozen"}
        ).definition
        assert made.holdouts[0].share == 0.1
        assert [variant.learns for variant in made.variants] == ["own", "frozen"]
        for settings, message in (
            ({"power": "0.9"}, r"settings: .*power"),
            ({"learns": {"third": "own"}}, r"learns names \['third'\]"),
            ({"layer": {"salt": "l"}}, r"slots"),
            ({"colour": 1}, "colour"),
            ({"guardrails": [{"name": "x", "margin": float("inf")}]}, "margin inf"),
        ):
            with pytest.raises(FoldlineError, match=message):
                started_on(news, name="other", start=False, **settings)
