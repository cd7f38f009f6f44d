"""Valuing a policy on a loop's own log: cases worked out by hand, and simulated ones with a known answer."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

import foldline as fl
from foldline.cli import main
from foldline.errors import InputError
from foldline.experiments.bands import Band
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.settings import read_settings
from foldline.loops.definition import LoopDefinition
from foldline.policies.registry import parse_policy
from foldline.simulation.off_policy import OffPolicyEvaluation, Propensities, evaluate_off_policy
from foldline.simulation.own_log import OwnDecision, own_decisions
from foldline.stats.not_estimable import NotEstimable

LOOP = LoopDefinition(
    name="news", version=1, time=0, actions=("a", "b"), policy={"kind": "random"}, partitions=2, salt=""
)


def _experiment(first: str, second: str, weights: tuple[int, int] = (1, 1)) -> ExperimentDefinition:
    text = f"""
    max_days = 28
    variants = [{{key = "control", weight = {weights[0]}, policy = {first}}},
                {{key = "challenger", weight = {weights[1]}, policy = {second}}}]
    [goal]
    name = "reward"
    baseline = 0.07
    effect = 0.04
    """
    return read_settings(text.encode(), "toml").settle("ctr", "news", salt="s", now=0)


MOSTLY = '{kind = "split", shares = {a = 0.8, b = 0.2}}'
LESS = '{kind = "split", shares = {a = 0.4, b = 0.6}}'


def test_a_mixture_worked_out_by_hand() -> None:
    """Shares 1 : 3 of policies that choose a with 0.8 and 0.4: a was logged with 0.2 + 0.3 = 0.5, b with 0.5."""
    decisions = [
        OwnDecision("a", 0.8, None, "ctr", "control", 1.0),
        OwnDecision("a", 0.4, None, "ctr", "challenger", 0.0),
        OwnDecision("b", 0.6, None, "ctr", "challenger", 1.0),
        OwnDecision("a", 0.5, None, None, None, 1.0),
    ]
    settings = {"ctr": _experiment(MOSTLY, LESS, (1, 3))}
    found = {}
    kinds: tuple[Propensities, ...] = ("own", "mixture")
    for kind in kinds:
        valued = evaluate_off_policy(
            decisions,
            LOOP,
            parse_policy("fixed:action=a"),
            method="ips",
            propensity=kind,
            experiments=settings,
        )
        assert isinstance(valued, OffPolicyEvaluation)
        found[kind] = valued.estimate
    assert found["own"] == pytest.approx((1 / 0.8 + 0 + 0 + 1 / 0.5) / 4)
    assert found["mixture"] == pytest.approx((1 / 0.5 + 0 + 0 + 1 / 0.5) / 4)


@pytest.mark.parametrize("kind", ["own", "mixture"])
def test_both_find_the_truth_and_the_mixture_sooner(kind: Propensities) -> None:
    """A known world: within 4 standard errors; the mixture has the smaller; the product alone is wrong."""
    rng = np.random.default_rng(5)
    truth, choose_a, n = {"a": 0.3, "b": 0.1}, {"control": 0.9, "challenger": 0.2}, 40_000
    decisions = []
    for draws in rng.random((n, 3)):
        variant = "control" if draws[0] < 0.5 else "challenger"
        action = "a" if draws[1] < choose_a[variant] else "b"
        chance = choose_a[variant] if action == "a" else 1 - choose_a[variant]
        decisions.append(OwnDecision(action, chance, None, "ctr", variant, float(draws[2] < truth[action])))
    settings = {
        "ctr": _experiment(
            '{kind = "split", shares = {a = 0.9, b = 0.1}}', '{kind = "split", shares = {a = 0.2, b = 0.8}}'
        )
    }
    policy = parse_policy("fixed:action=a")
    valued = evaluate_off_policy(decisions, LOOP, policy, method="ips", propensity=kind, experiments=settings)
    own = evaluate_off_policy(decisions, LOOP, policy, method="ips")
    assert isinstance(valued, OffPolicyEvaluation)
    assert isinstance(own, OffPolicyEvaluation)
    assert abs(valued.estimate - truth["a"]) < 4 * valued.standard_error
    assert valued.standard_error <= own.standard_error
    product = np.mean([one.reward * (one.action == "a") / (0.5 * one.propensity) for one in decisions])
    assert abs(product - truth["a"]) > 20 * own.standard_error


def test_masks_change_the_target(tmp_path: Path) -> None:
    """With only b allowed a policy that would choose a chooses b."""
    decisions = [OwnDecision("b", 0.5, ("b",), None, None, 1.0), OwnDecision("a", 0.5, None, None, None, 0.0)]
    found = evaluate_off_policy(decisions, LOOP, parse_policy("split:a=1,b=0"), method="ips")
    assert isinstance(found, OffPolicyEvaluation)
    assert found.estimate == pytest.approx((1 / 0.5 + 0) / 2)


def test_what_learns_is_refused_and_nothing_is_not_a_number() -> None:
    """As target and as a variant; no decisions are not estimable."""
    with pytest.raises(InputError, match="'thompson' learns"):
        evaluate_off_policy([], LOOP, parse_policy("thompson"))
    learning = {"ctr": _experiment(MOSTLY, '{kind = "thompson"}')}
    decisions = [OwnDecision("a", 0.8, None, "ctr", "control", 1.0)]
    with pytest.raises(InputError, match="'thompson' learns"):
        evaluate_off_policy(
            decisions, LOOP, parse_policy("random"), propensity="mixture", experiments=learning
        )
    changed = {
        "ctr": msgspec.structs.replace(
            _experiment(MOSTLY, MOSTLY), bands=(Band(coverage=0.5, weights=(1, 1)),)
        )
    }
    with pytest.raises(InputError, match="were changed while it ran"):
        evaluate_off_policy(
            decisions, LOOP, parse_policy("random"), propensity="mixture", experiments=changed
        )
    assert isinstance(evaluate_off_policy([], LOOP, parse_policy("random")), NotEstimable)


def test_a_log_is_read_as_its_learner_reads_it() -> None:
    """Retries, repeats, rewards by unit, late ones and outcomes: the sums are the learner's."""
    with fl.open("memory://") as app:
        news = app.loop("news", actions=["a", "b"], partitions=3)
        for n in range(60):
            choice = news.decide(f"u{n % 20}", id=f"d{n % 40}" if n % 3 else None)
            if n % 2:
                news.reward(choice, 0.5, id=f"r{n % 30}")
            if n % 5 == 0:
                news.reward(None, 0.25, unit=f"u{n % 20}")
        news.outcome(news.decide("u99", log=False), 1.0)
        news.catch_up()
        counts = news.counts()
        found = list(own_decisions(app.log, news.definition))
    assert len(found) == counts["decisions"] + counts["outcomes"]
    assert sum(one.reward for one in found) == counts.reward_sum


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an event log's URL; what cannot be asked is said in one line."""
    url = f"sqlite:///{tmp_path}/news.db"
    with fl.open(url) as app:
        news = app.loop("news", actions=["a", "b"], policy=fl.Random())
        for n in range(200):
            choice = news.decide(f"u{n}")
            news.reward(choice, 1.0 if choice.action == "a" else 0.0)
    for arguments, status in (
        (["--policy", "fixed:action=a", "--method", "snips", "--json"], 0),
        (["--policy", "thompson", "--method", "ips"], 2),
        (["--policy", "random", "--method", "replay"], 2),
        (["--policy", "random", "--method", "ips", "--propensity", "product"], 2),
        (["--policy", "random", "--method", "ips", "--loop", "other"], 2),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", url, *arguments])
        printed = capsys.readouterr()
        assert stopped.value.code in (status, None if status == 0 else status), arguments
        if status == 0:
            assert json.loads(printed.out)["estimate"] == 1.0
        else:
            assert len(printed.err.strip().splitlines()) == 1
