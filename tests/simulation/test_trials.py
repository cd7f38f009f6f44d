"""Error rates of whole experiments, through assignment, tally and verdict: seeds fixed, runs and tolerances stated."""

import math

import numpy as np
import pytest

from foldline.experiments.goals import Proportion
from foldline.simulation.trials import assigned, simulated_columns, simulated_definition, simulated_walk
from foldline.stats.exact_power import exact_power
from foldline.stats.sample_size import ProportionMethod

RUNS, SIZE = 2000, 1124
ALTERNATING = np.arange(2 * SIZE) % 2


def deviations(rate: float, runs: int) -> float:
    """Four binomial standard errors."""
    return 4.0 * math.sqrt(rate * (1.0 - rate) / runs)


def goal(method: ProportionMethod = "fleiss_cc") -> Proportion:
    """7 % wanted to become 11 %."""
    return Proportion("click", baseline=0.07, effect=0.04, method=method)


def test_constant_peeking_errs_at_most_at_its_nominal_rates() -> None:
    """A/A at 7 %, 2,248 units by the hash, a look at each of 236 minutes, 2,000 runs.

    An always-valid verdict is wrong in at most 5 %. The test of shares falls to 0.05 in at most 5 %, and to the
    level it alarms at, 0.001, in at most that and four standard errors (0.0038).
    """
    definition, rng = simulated_definition(goal(), SIZE, rule="always_valid"), np.random.default_rng(1)
    wrong, p_values = 0, []
    for _ in range(RUNS):
        walk = simulated_walk(definition, assigned(definition, 2 * SIZE, rng), (0.07, 0.07), rng)
        wrong += walk.verdict is not None and walk.verdict.result in ("challenger_wins", "control_wins")
        p_values.append(walk.sample_ratio_p)
    shares = np.array(p_values)
    assert 0 < wrong / RUNS <= 0.05
    assert (shares <= 0.05).mean() <= 0.05
    assert (shares <= 0.001).mean() <= 0.001 + deviations(0.001, RUNS)
    assert shares.min() < 1.0


@pytest.mark.parametrize(
    ("method", "test", "power"), [("fleiss_cc", "yates", 0.90266), ("fleiss", "pooled_z", 0.91532)]
)
def test_power_at_the_design(method: ProportionMethod, test: str, power: float) -> None:
    """7 against 11 %, 1,124 a group, 2,000 runs: wins within four standard errors of the test's exact power."""
    definition, rng = simulated_definition(goal(method), SIZE), np.random.default_rng(2)
    wins = 0
    for _ in range(RUNS):
        verdict = simulated_walk(definition, ALTERNATING, (0.07, 0.11), rng).verdict
        assert verdict is not None
        assert (verdict.units, verdict.effects[0].method) == ({"a": SIZE, "b": SIZE}, test)
        wins += verdict.result == "challenger_wins"
    exact = exact_power((0.07, 0.11), (SIZE, SIZE), test)  # type: ignore[arg-type]  # one of both
    assert exact == pytest.approx(power, abs=1e-5)
    assert wins / RUNS == pytest.approx(exact, abs=deviations(exact, RUNS))


def test_a_mismatch_is_found() -> None:
    """Every tenth unit of the challenger is lost: the test of shares ends each of 20 runs of 20,000 units."""
    definition, rng = simulated_definition(goal(), 10**6), np.random.default_rng(3)
    for _ in range(20):
        variants = assigned(definition, 20_000, rng)
        kept = variants[(variants == 0) | (rng.random(len(variants)) >= 0.1)]
        verdict = simulated_walk(definition, kept, (0.07, 0.07), rng, a_minute=100).verdict
        assert verdict is not None
        assert (verdict.result, verdict.reason[:21]) == ("invalid", "sample ratio mismatch")


def test_the_records_are_what_decoding_gives() -> None:
    """A decision for each unit, a reward behind those with a value, a tick that lets all mature."""
    definition, rng = simulated_definition(goal(), SIZE), np.random.default_rng(4)
    columns = simulated_columns(definition, np.array([0, 1, 1]), np.array([0.0, 2.0, 1.0]), rng)
    assert columns.kind.tolist() == [1, 1, 2, 1, 2, 5]
    assert np.diff(columns.time).min() >= 0
    assert (columns.value[[2, 4]].tolist(), columns.name[[2, 4]].tolist()) == ([2.0, 1.0], [0, 0])
    assert (columns.id[1] == columns.id[2]).all()
    assert not (columns.id[1] == columns.id[3]).any()


@pytest.mark.parametrize("rates", [(0.0, 1.0), (1.0, 0.0)])
def test_what_always_happens_with_one_variant_and_never_with_the_other_is_found(
    rates: tuple[float, float],
) -> None:
    """Though neither rate has a spread: by few units, in the minute in which looking at every one finds it."""
    definition, rng = simulated_definition(goal(), SIZE, rule="always_valid"), np.random.default_rng(5)
    walk = simulated_walk(definition, ALTERNATING[:400], rates, rng)
    assert walk.verdict is not None
    assert walk.verdict.result == ("challenger_wins" if rates[1] else "control_wins")
    assert sum(walk.verdict.units.values()) <= 60
