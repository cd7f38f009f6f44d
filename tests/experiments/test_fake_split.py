"""Splitting logged units by chance: the tally is a real one's, and false alarms keep their levels, or not."""

from typing import Any

import msgspec
import numpy as np

from foldline.experiments.fake_split import FakeRun, FakeSplit, alarm_rates, fake_tally
from foldline.experiments.goals import Mean, Proportion
from foldline.experiments.tally import dump
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import unit_table
from foldline.simulation.trials import assigned, simulated_columns, simulated_definition


def _split(goal: Any, values: Any, **changes: Any) -> FakeSplit:
    definition, rng = simulated_definition(goal, 1000, **changes), np.random.default_rng(5)
    fold = TallyFold(definition)
    state = fold.empty()
    fold.apply(
        state, simulated_columns(definition, np.zeros(len(values), np.int64), values, rng, a_minute=20)
    )
    return FakeSplit(definition, unit_table(fold, state))


def test_a_split_gives_the_tally_that_an_experiment_would_have() -> None:
    """Units folded in one variant and split afterwards are, byte by byte, those folded where the split put them."""
    definition, rng = simulated_definition(Mean("spent", sd=1, effect=0.1), 100), np.random.default_rng(6)
    variants, values = assigned(definition, 400, rng), np.random.default_rng(7).exponential(size=400)
    fold, states = TallyFold(definition), []
    for chosen in (np.zeros(400, np.int64), variants):
        state = fold.empty()
        fold.apply(state, simulated_columns(definition, chosen, values, np.random.default_rng(8)))
        states.append(state)
    known, split = states[1].known, fake_tally(fold, unit_table(fold, states[0]), variants)
    for name in ("minutes", "counts", "sums", "low", "high", "stream_time"):
        assert np.array_equal(getattr(known, name), getattr(split, name)), name
    assert len(dump(known)) > 0


def test_false_alarms_keep_their_levels_where_the_metric_is_fit() -> None:
    """1,000 units, a fifth of whom click: 150 splits."""
    values = (np.random.default_rng(1).random(1000) < 0.2).astype(np.float64)
    split = _split(Proportion("click", baseline=0.2, effect=0.1), values)
    rates = alarm_rates(split.definition, list(split.runs(f"aa-{i}" for i in range(150))))
    assert [rate.test for rate in rates] == ["always_valid", "fixed", "shares"]
    assert [rate.nominal for rate in rates] == [0.05, 0.05, 0.001]
    assert all(rate.holds for rate in rates)
    assert split.run("aa-3") == split.run("aa-3")


def test_a_metric_that_is_not_fit_is_found() -> None:
    """Skewed amounts of 300 units with one in twenty in a variant: the test of one look errs too often."""
    values = np.random.default_rng(2).lognormal(0.0, 2.0, 300)
    split = _split(Mean("spent", sd=1, effect=0.1), values)
    variants = (
        msgspec.structs.replace(split.definition.variants[0], weight=19),
        split.definition.variants[1],
    )
    split = FakeSplit(msgspec.structs.replace(split.definition, variants=variants), split.table)
    fixed = alarm_rates(split.definition, list(split.runs(f"aa-{i}" for i in range(150))))[1]
    assert fixed.share > fixed.most
    assert not fixed.holds


def test_rates_are_counted_against_their_levels() -> None:
    """Three alarms of one test in four runs are too many, none of the others."""
    definition = simulated_definition(Proportion("click", baseline=0.2, effect=0.1), 100)
    runs = [FakeRun(True, False, 1.0, True)] * 3 + [FakeRun(False, False, 0.0005, True)]
    rates = {rate.test: rate for rate in alarm_rates(definition, runs)}
    assert (rates["always_valid"].alarms, rates["always_valid"].holds) == (3, False)
    assert (rates["fixed"].share, rates["fixed"].holds) == (0.0, True)
    assert (rates["shares"].alarms, rates["shares"].share) == (1, 0.25)
