"""Variants that learn: by which scores they are compared, and what is refused."""

from typing import Any

import msgspec
import numpy as np
import pytest

from foldline.errors import DefinitionError
from foldline.experiments.definition import ExperimentDefinition, Variant, checked
from foldline.experiments.effects import final_effects
from foldline.experiments.fake_split import fake_tally
from foldline.experiments.measure import Goal, Guardrail
from foldline.experiments.settings import settings_of
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import UnitTable
from foldline.experiments.walk import Walk
from foldline.stats.always_valid import NormalMixture
from tests.experiments.tallies import MINUTE, START

BANDIT: dict[str, Any] = {"kind": "epsilon_greedy", "epsilon": 0.1}
CLICK: dict[str, Any] = {"name": "click", "baseline": 0.07, "effect": 0.04}


def _defined(policy: Any = None, goal: Any = None, **more: Any) -> ExperimentDefinition:
    variants = [
        {"key": "control", "policy": {"kind": "fixed", "action": "a"}},
        {"key": "challenger", "policy": policy or BANDIT, **more.pop("variant", {})},
    ]
    settings = settings_of({"variants": variants, "goal": goal or CLICK, "max_days": 28, **more})
    return checked(settings.settle("ctr", "news", salt="s", now=START))


def test_a_learning_variant_makes_the_rule_always_valid() -> None:
    """Unless it is given otherwise, which is refused; frozen variants and those that never learn may be fixed."""
    assert _defined().rule == "always_valid"
    assert _defined(variant={"learns": "shared"}).rule == "always_valid"
    assert _defined(variant={"learns": "frozen"}).rule == "fixed"
    assert _defined(variant={"learns": "frozen"}, rule="fixed").adaptive == (False, False)
    assert _defined({"kind": "split", "shares": {"a": 1.0}}).rule == "fixed"
    with pytest.raises(
        DefinitionError, match=r"'challenger' learns while it runs.*always_valid.*frozen"
    ) as caught:
        _defined(rule="fixed")
    assert caught.value.field == "rule"


def test_what_cannot_be_weighted_is_refused() -> None:
    """Ratios and covariates, of the goal and of guardrails."""
    ratio = {"name": "bought", "kind": "ratio", "per": "session", "sd": 1.0, "effect": 0.1}
    for changes, field in (
        ({"goal": ratio}, "goal.kind"),
        (
            {"goal": {"name": "x", "kind": "mean", "sd": 1.0, "effect": 0.1, "covariate": "y"}},
            "goal.covariate",
        ),
        ({"guardrails": [{"name": "bought", "kind": "ratio", "per": "session"}]}, "guardrails[0].kind"),
    ):
        with pytest.raises(DefinitionError, match="weighted by the variants' probabilities") as caught:
            _defined(**changes)
        assert caught.value.field == field


def _walk(
    definition: ExperimentDefinition, variant: np.ndarray[Any, Any], values: np.ndarray[Any, Any]
) -> Walk:
    fold = TallyFold(definition)
    n, scale = len(variant), 1.0 if definition.goal.kind == "proportion" else 2.0**definition.unit_bits
    table = UnitTable(
        hashes=np.zeros((n, 2), np.uint64),
        variant=variant.astype(np.int64),
        exposed=START + np.arange(n) * MINUTE // 10,
        matured=np.ones(n, np.bool_),
        mixed=np.zeros(n, np.bool_),
        values=np.repeat(
            np.rint(values * scale).astype(np.int64).reshape(n, 1), len(fold.kept.values), axis=1
        ),
        stream_time=START + n * MINUTE,
    )
    return Walk(definition, [fake_tally(fold, table, table.variant)])


@pytest.mark.parametrize("kind", ["proportion", "mean"])
def test_effects_are_the_scores_mean_and_their_mixture(kind: str) -> None:
    """Unit by unit: one of three for the control, centred at the baseline; limits by the sum of squared scores."""
    rng = np.random.default_rng(1)
    variant = (rng.random(3000) < 2 / 3).astype(np.int64)
    rates = np.where(variant == 1, np.linspace(0.05, 0.2, 3000), 0.07)
    values = (
        (rng.random(3000) < rates).astype(np.float64) if kind == "proportion" else rng.normal(5 + 10 * rates)
    )
    goal: dict[str, Any] = CLICK if kind == "proportion" else {
        "name": "spent", "kind": "mean", "sd": 1.0, "effect": 0.1, "baseline": 5.5,
    }  # fmt: skip
    definition = _defined(goal=goal, variant={"weight": 2}, window_s=0, unit_bits=20)
    walk = _walk(definition, variant, values)
    walk.run()
    scores = (values - goal["baseline"]) * np.where(variant == 1, 3 / 2, -3.0)
    [effect] = walk.effects()
    expected = NormalMixture.tuned(sum(definition.sample_sizes)).interval(
        float(scores.mean()), float(np.sqrt((scores**2).sum())) / 3000, 3000
    )
    assert expected
    assert (effect.estimator, effect.method) == ("ipw", "normal_mixture")
    assert (effect.difference, effect.low, effect.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-6
    )
    assert walk.verdict is not None
    assert (walk.verdict.result, walk.verdict.effects[0].estimator) == ("challenger_wins", "ipw")
    once = final_effects(msgspec.structs.replace(definition, rule="fixed"), walk.kept, walk.totals)
    assert (once[0].estimator, once[0].method) == ("plain", "yates" if kind == "proportion" else "welch")


def test_only_pairs_with_a_learner_are_weighted() -> None:
    """Of three variants, one of which learns; a guardrail of the pair is weighted too."""
    variants = (
        Variant(key="a", policy={"kind": "fixed", "action": "a"}),
        Variant(key="b", policy=BANDIT),
        Variant(key="c", policy={"kind": "fixed", "action": "c"}),
    )
    fields: dict[str, Any] = {
        "name": "ctr", "version": 2, "time": START, "loop": "news", "variants": variants, "goal": Goal(**CLICK),
        "guardrails": (Guardrail(name="error", direction="decrease"),), "sample_sizes": (1124,) * 3,
        "max_duration_ms": 28 * 1440 * MINUTE, "salt": "s", "rule": "always_valid", "state": "running",
        "started": START,
    }  # fmt: skip
    definition = ExperimentDefinition(**fields)
    walk = _walk(definition, np.arange(900) % 3, (np.arange(900) % 13 == 0).astype(float))
    assert [effect.estimator for effect in walk.effects()] == ["plain", "plain"]
    walk.run(START + 60 * MINUTE)
    assert [effect.estimator for effect in walk.effects()] == ["ipw", "plain"]
    assert [effect.estimator for effect in walk.guardrails()] == ["ipw", "plain"]


def _learner(rng: np.random.Generator, rates: tuple[float, float], units: int) -> tuple[Any, Any, Any]:
    """A control of the first action against epsilon-greedy of both: variants, values, and each unit's true effect."""
    variant = rng.integers(0, 2, units)
    values, effects = np.zeros(units), np.zeros(units)
    draws, explore, other = rng.random((3, units))
    tried, won = np.array([1.0, 1.0]), np.array([rates[0], rates[0]])
    for t in range(units):
        best = int(won[1] / tried[1] > won[0] / tried[0])
        bandit = 0.9 * rates[best] + 0.05 * sum(rates)
        effects[t] = bandit - rates[0]
        action = 0
        if variant[t]:
            action = best if explore[t] < 0.9 else int(other[t] < 0.5)
        values[t] = draws[t] < rates[action]
        if variant[t]:
            tried[action] += 1
            won[action] += values[t]
    return variant, values, np.cumsum(effects) / np.arange(1, units + 1)


def test_limits_hold_the_mean_effect_of_a_learner_at_every_look() -> None:
    """Epsilon-greedy against its first action, 10 against 12 %: it learns as the test goes on.

    400 runs of 1,000 units, a look at each of 70 minutes after the 30th: limits of 95 % miss the mean effect over
    the run so far, at any look, in at most 5 %; where both actions are alike a verdict is wrong in at most 5 %.
    """
    goal = {"name": "click", "baseline": 0.1, "effect": 0.05}
    definition = _defined(goal=goal, window_s=0)
    rng, runs, missed, wrong = np.random.default_rng(5), 400, 0, 0
    for _ in range(runs):
        variant, values, truth = _learner(rng, (0.1, 0.12), 1000)
        walk = _walk(definition, variant, values)
        miss = False
        for minute in range(30, 101):
            walk.run((START // MINUTE + minute) * MINUTE)
            [effect] = walk.effects()
            assert effect.low is not None
            assert effect.high is not None
            known = int(walk.totals.counts[:, 1].sum())
            miss |= not effect.low <= truth[known - 1] <= effect.high
        missed += miss
        variant, values, _ = _learner(rng, (0.1, 0.1), 1000)
        verdict = _walk(definition, variant, values).run()
        wrong += verdict is not None and verdict.result in ("challenger_wins", "control_wins")
    assert missed / runs <= 0.05
    assert wrong / runs <= 0.05
