"""One-sided questions and non-inferiority: what is asked, by which test, and what the verdict says."""

import math
from typing import Any

import numpy as np
import pytest

import foldline as fl
from foldline.errors import DefinitionError, FoldlineError
from foldline.experiments.definition import ExperimentDefinition, Variant, checked
from foldline.experiments.effects import Effect
from foldline.experiments.fake_split import fake_tally
from foldline.experiments.measure import Goal
from foldline.experiments.settings import settings_of
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import UnitTable
from foldline.experiments.walk import Walk
from foldline.stats.always_valid import OneSidedMixture
from foldline.stats.sample import Sample
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import compare_proportions
from foldline.stats.welch import welch
from tests.experiments.tallies import MINUTE, START

VARIANTS = tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in ("a", "b"))


def _definition(goal: Goal, size: int, **changes: Any) -> ExperimentDefinition:
    fields: dict[str, Any] = {
        "name": "ctr",
        "version": 2,
        "time": START,
        "loop": "news",
        "variants": VARIANTS,
        "goal": goal,
        "sample_sizes": (size, size),
        "max_duration_ms": 28 * 1440 * MINUTE,
        "salt": "s",
        "state": "running",
        "started": START,
        "unit_bits": 20,
    }
    return ExperimentDefinition(**{**fields, **changes})


def _walk(definition: ExperimentDefinition, *values: list[list[float]]) -> Walk:
    """Of units of each variant in turn, ten a minute, each with its values in units of 1."""
    fold, scale = (
        TallyFold(definition),
        1.0 if definition.goal.kind == "proportion" else 2.0**definition.unit_bits,
    )
    n = len(values[0])
    rows = np.array([value for pair in zip(*values, strict=True) for value in pair])
    table = UnitTable(
        hashes=np.zeros((2 * n, 2), np.uint64),
        variant=np.arange(2 * n) % 2,
        exposed=START + np.arange(2 * n) * MINUTE // 10,
        matured=np.ones(2 * n, np.bool_),
        mixed=np.zeros(2 * n, np.bool_),
        values=np.rint(rows * scale).astype(np.int64),
        stream_time=START + 2 * n * MINUTE // 10 + 60 * MINUTE,
    )
    walk = Walk(definition, [fake_tally(fold, table, table.variant)])
    walk.run()
    return walk


def _clicks(n: int, *successes: int) -> list[list[list[float]]]:
    """So many of n units each, spread evenly."""
    return [[[float((i + 1) * s // n > i * s // n)] for i in range(n)] for s in successes]


def _effect(walk: Walk) -> Effect:
    assert walk.verdict is not None
    return walk.verdict.effects[0]


def test_a_one_sided_test_of_rates_is_yates_towards_the_better() -> None:
    """79 against 124 of 1,124, and the other way round: worse is no win of the control, which was not asked for."""
    goal = Goal(name="click", baseline=0.07, effect=0.04, alternative="greater")
    won = _walk(_definition(goal, 1124), *_clicks(1124, 79, 124))
    assert won.verdict is not None
    expected = compare_proportions(Trials(79, 1124), Trials(124, 1124), alternative="greater", confidence=0.9)
    assert expected
    effect = _effect(won)
    assert (won.verdict.result, effect.method, effect.alternative) == ("challenger_wins", "yates", "greater")
    assert (effect.p_value, effect.low, effect.bound) == (
        expected.p_value, expected.difference.low, expected.difference.low,
    )  # fmt: skip
    assert effect.confidence == pytest.approx(0.9)
    assert won.verdict.reason.endswith("by yates, one-sided")
    lost = _walk(_definition(goal, 1124), *_clicks(1124, 124, 79)).verdict
    assert lost is not None
    assert (lost.result, lost.reason) == ("inconclusive", "no challenger was shown to be better")
    fewer = Goal(name="click", baseline=0.11, effect=0.04, direction="decrease", alternative="less")
    less = _walk(_definition(fewer, 1124), *_clicks(1124, 124, 79))
    assert _effect(less).p_value == pytest.approx(expected.p_value)
    assert _effect(less).bound == _effect(less).high
    assert less.verdict is not None
    assert less.verdict.result == "challenger_wins"


def test_not_worse_by_a_margin_of_rates() -> None:
    """Wald against minus the margin, with the limit of the same test; a rate that is lower may still be good enough."""
    goal = Goal(
        name="click", baseline=0.07, effect=0.0, alternative="greater", margin=0.02, method="unpooled"
    )
    walk = _walk(_definition(goal, 3000), *_clicks(3000, 210, 204))
    expected = compare_proportions(
        Trials(210, 3000), Trials(204, 3000), test="unpooled_z", interval="wald", alternative="greater", null=-0.02,
        confidence=0.9,
    )  # fmt: skip
    assert expected
    effect = _effect(walk)
    assert (effect.method, effect.null, effect.p_value, effect.bound) == (
        "unpooled_z", -0.02, expected.p_value, expected.difference.low,
    )  # fmt: skip
    assert walk.verdict is not None
    assert walk.verdict.result == "challenger_wins"
    assert walk.verdict.reason.startswith("click: not worse by 0.02, 0.068 with 'b'")
    far = _walk(_definition(goal, 3000), *_clicks(3000, 210, 170)).verdict
    assert far is not None
    assert (far.result, far.reason) == ("inconclusive", "no challenger was shown to be not worse by 0.02")


@pytest.mark.parametrize("kind", ["mean", "ratio"])
def test_not_worse_by_a_margin_of_means_and_ratios(kind: str) -> None:
    """Welch against minus the margin, by the delta method for a ratio; less is better here."""
    rng = np.random.default_rng(1)
    rows = [np.column_stack([rng.gamma(2.0, size=500), rng.integers(1, 4, 500)]) for _ in range(2)]
    per: dict[str, Any] = {"kind": "ratio", "per": "session"} if kind == "ratio" else {"kind": "mean"}
    goal = Goal(name="wait", sd=1.5, effect=0.0, direction="decrease", alternative="less", margin=0.4, **per)
    width = 2 if kind == "ratio" else 1
    walk = _walk(_definition(goal, 500), *([list(row[:width]) for row in part] for part in rows))
    effect = _effect(walk)
    assert effect.method == ("delta" if kind == "ratio" else "welch")
    assert effect.bound is not None
    assert effect.p_value is not None
    assert (effect.bound, effect.null) == (effect.high, 0.4)
    assert (effect.p_value <= 0.05) == (effect.bound < 0.4)
    assert walk.verdict is not None
    assert walk.verdict.result == "challenger_wins"
    if kind == "mean":
        samples = [Sample(500, float(part[:, 0].mean()), float(part[:, 0].var(ddof=1))) for part in rows]
        expected = welch(samples[0], samples[1], alternative="less", null=0.4)
        assert expected
        assert (effect.p_value, effect.bound) == pytest.approx(
            (expected.p_value, expected.difference.high), rel=1e-4
        )


def test_an_always_valid_bound_is_the_one_sided_mixture() -> None:
    """Howard et al.: the p-value reaches alpha where the bound reaches the null, before the two-sided one does."""
    goal = Goal(name="click", baseline=0.07, effect=0.04, alternative="greater")
    one = _walk(_definition(goal, 1124, rule="always_valid"), *_clicks(1124, 70, 120))
    two = _walk(
        _definition(Goal(name="click", baseline=0.07, effect=0.04), 1124, rule="always_valid"),
        *_clicks(1124, 70, 120),
    )
    assert one.verdict is not None
    assert two.verdict is not None
    assert one.verdict.time < two.verdict.time
    effect = _effect(one)
    assert effect.p_value is not None
    assert effect.bound is not None
    assert effect.bound > 0.0
    assert effect.p_value <= 0.05
    [live] = one.effects()
    assert live.difference is not None
    assert live.low is not None
    mixture, n = OneSidedMixture.tuned(2248, 0.05), live.units + live.control_units
    rates = 70 / 1124, 120 / 1124
    error = math.sqrt(sum(rate * (1 - rate) / 1124 for rate in rates))
    assert live.e_value == pytest.approx(math.exp(mixture.log_e(live.difference / error * math.sqrt(n), n)))
    assert live.bound == pytest.approx(live.difference - error * mixture.bound(n, 0.05) / math.sqrt(n))
    assert live.bound is not None
    assert live.low < live.bound < live.difference


def test_several_challengers_are_adjusted_for_one_sidedly() -> None:
    """Of two, the one that is better wins; p-values are Holm's; the worse one is passed over."""
    goal = Goal(name="click", baseline=0.07, effect=0.04, alternative="greater")
    variants = tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in "abc")
    definition = _definition(goal, 1000, variants=variants, sample_sizes=(1000, 1000, 1000))
    fold = TallyFold(definition)
    n = 3000
    table = UnitTable(
        hashes=np.zeros((n, 2), np.uint64),
        variant=np.arange(n) % 3,
        exposed=START + np.arange(n) * MINUTE // 10,
        matured=np.ones(n, np.bool_),
        mixed=np.zeros(n, np.bool_),
        values=np.array([[i // 3 < (70, 40, 110)[i % 3]] for i in range(n)], np.int64),
        stream_time=START + n * MINUTE,
    )
    walk = Walk(definition, [fake_tally(fold, table, table.variant)])
    verdict = walk.run()
    assert verdict is not None
    assert (verdict.result, verdict.winner) == ("challenger_wins", "c")
    plain = compare_proportions(Trials(70, 1000), Trials(110, 1000), alternative="greater")
    assert plain
    assert verdict.effects[1].p_value == pytest.approx(2 * plain.p_value)


def test_what_contradicts_itself_is_refused() -> None:
    """With what to give instead, where it stands."""
    fine: dict[str, Any] = {"name": "click", "baseline": 0.07, "effect": 0.04}
    for goal, message, field in (
        (
            {**fine, "alternative": "less"},
            "contradicts the direction 'increase'.*give 'greater'",
            "goal.alternative",
        ),
        (
            {**fine, "margin": 0.01},
            "not worse, which has one side; give the alternative greater",
            "goal.alternative",
        ),
        ({**fine, "margin": 0.01, "alternative": "greater"}, "give the method unpooled", "goal.method"),
        (
            {**fine, "margin": 0.01, "alternative": "greater", "method": "unpooled", "effect": -0.02},
            "outside the margin of 0.01",
            "goal.effect",
        ),
        ({**fine, "effect": -0.04, "alternative": "greater"}, "expected above 0", "goal.effect"),
    ):
        with pytest.raises(DefinitionError, match=message) as caught:
            _defined({"goal": goal})
        assert caught.value.field == field
    with pytest.raises(FoldlineError, match="margin"):
        settings_of({"variants": VARIANTS, "goal": {**fine, "margin": -1.0}, "max_days": 28})


def test_sizes_are_one_sided() -> None:
    """As `foldline design` gives them: 925 for 1,124, and for not being worse by 0.02 at 7 %."""
    one = fl.Proportion("click", baseline=0.07, effect=0.04, alternative="greater")
    assert _settled(one).sample_sizes == (925, 925)
    same = fl.Proportion(
        "click", baseline=0.07, effect=0.0, alternative="greater", margin=0.02, method="unpooled"
    )
    assert _settled(same).sample_sizes == (2788, 2788)
    revenue = fl.Mean("revenue", sd=15.0, effect=0.7, alternative="greater")
    assert _settled(revenue, power=0.8).sample_sizes == (5678, 5678)


def _settled(goal: fl.Proportion | fl.Mean, **more: Any) -> ExperimentDefinition:
    return _defined({"goal": goal.goal(), **more})


def _defined(fields: dict[str, Any]) -> ExperimentDefinition:
    settings = settings_of({"variants": VARIANTS, "max_days": 28, **fields})
    return checked(settings.settle("ctr", "news", salt="s", now=START))
