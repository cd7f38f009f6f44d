"""Series from timelines: averages, baseline, intervals, shares, rates and gaps."""

import numpy as np
import pytest

from foldline.fold.rule import RewardRule
from foldline.loops.series import Series, series_of
from foldline.loops.timeline import nothing
from foldline.loops.timeline_fold import TimelineFold
from foldline.records.codec import decode, encode_lines
from foldline.records.types import Definition, Outcome, Record, Tick
from foldline.stats.mean_interval import mean_interval
from foldline.stats.wilson import wilson_interval

START = 1_700_000_000_000


def _series(outcomes: list[tuple[int, str, float]], *after: Record, **sizes: int) -> Series:
    """The series of outcomes given as second, action and reward, and what follows them."""
    made: list[Record] = [
        Definition(time=START, loop="news", version=1, actions=["a", "b", "c"], low=-5.0, high=5.0)
    ]
    made += [
        Outcome(
            time=START + 1_000 * second,
            id=f"0.0.{n}",
            unit="u",
            action=action,
            propensity=0.5,
            reward=reward,
            bundle="b",
            definition=1,
        )
        for n, (second, action, reward) in enumerate(outcomes)
    ]
    fold = TimelineFold(RewardRule())
    state = fold.empty()
    fold.apply(state, decode(encode_lines([*made, *after])))
    return series_of(state.known, 32, **sizes)


def test_averages_and_baseline() -> None:
    """Averages run over all decisions so far, the baseline over the actions' own averages."""
    series = _series([(0, "a", 1.0), (0, "a", 0.0), (1, "a", 1.0), (1, "b", 0.0), (2, "b", 1.0)])
    assert series.times == [START, START + 1_000, START + 2_000]
    assert series.average == [0.5, 0.5, 0.6]
    assert series.recent == series.average
    assert series.baseline == pytest.approx([0.5, (2 / 3 + 0.0) / 2, (2 / 3 + 1 / 2) / 2])
    a, b, c = series.actions
    assert (a.action, a.decisions, a.pulls, a.mean) == ("a", 3, 3, 2 / 3)
    assert b.means == [None, 0.0, 0.5]
    assert a.shares == [1.0, 0.5, 0.0]
    assert (c.action, c.mean, c.low, c.means) == ("c", None, None, [None, None, None])


def test_intervals_of_zeros_and_ones_are_wilsons() -> None:
    """Where every reward is 0 or 1, each point has the score interval of what was learnt up to it."""
    series = _series([(n, "a", float(n % 3 == 0)) for n in range(30)])
    assert series.zero_one
    a = series.actions[0]
    for n in (1, 10, 30):
        interval = wilson_interval((n + 2) // 3, n)
        assert (a.lows[n - 1], a.highs[n - 1]) == interval[1:3]  # type: ignore[index]  # there are trials
    assert (a.low, a.high) == (a.lows[-1], a.highs[-1])


def test_other_intervals_are_normal() -> None:
    """Other rewards have the interval of a mean, from their exact squares; one value has none."""
    rewards = [0.1, 1 / 3, -2.5, 5.0, 0.1]
    series = _series([(n, "a", reward) for n, reward in enumerate(rewards)])
    assert not series.zero_one
    a = series.actions[0]
    interval = mean_interval(5, float(np.mean(rewards)), float(np.var(rewards, ddof=1)))
    assert (a.low, a.high) == pytest.approx(interval[1:3])  # type: ignore[index]  # there are enough
    assert (a.lows[0], a.highs[0]) == (None, None)


def test_gaps_and_the_bucket_in_progress() -> None:
    """Nothing happened in a gap: its ends say so. A bucket in progress has a rate once it is a second old."""
    series = _series([(0, "a", 1.0), (10, "a", 1.0), (12, "a", 0.0)])
    assert [(t - START) // 1_000 for t in series.times] == [0, 1, 9, 10, 11, 12]
    assert series.rate == [2.0, 0.0, 0.0, 1.0, 0.0, None]
    assert series.average == pytest.approx([1.0, 1.0, 1.0, 1.0, 1.0, 2 / 3])
    wide = _series([(n, "a", 1.0) for n in range(600)], Tick(time=START + 600_500))
    assert wide.width_ms == 4_000
    assert wide.rate[1:-1] == [1.0] * 149
    assert len(wide.times) <= 256


def test_recent_is_a_window() -> None:
    """What is recent is the average of sixteen buckets: it follows a change that the average takes long to show."""
    series = _series([(n, "a", float(n >= 50)) for n in range(100)])
    assert series.recent[49:70] == [n / 16 for n in range(16)] + [1.0] * 5
    assert series.average[69] == 20 / 70
    assert _series([(0, "a", 1.0), (100, "a", 0.0)]).recent == [1.0, 1.0, 1.0, 0.5]


def test_only_the_foremost_have_every_series() -> None:
    """Many actions are ranked by decisions; the rest keep their totals."""
    series = _series([(n, "abc"[min(n % 4, 2)], 1.0) for n in range(40)], highlighted=1, drawn=2)
    assert [action.action for action in series.actions] == ["c", "a", "b"]
    assert [len(action.shares) > 0 for action in series.actions] == [True, False, False]
    assert [len(action.means) > 0 for action in series.actions] == [True, True, False]
    assert series.actions[2].mean == 1.0


def test_nothing_gives_nothing() -> None:
    """An empty timeline has no points, and no number is made up."""
    series = series_of(nothing(), 32)
    assert (series.times, series.average, series.rate, series.actions) == ([], [], [], [])
