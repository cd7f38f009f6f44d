"""Metrics: exact where they say so, within the stated error where not, and merged the same whichever way."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import metrics as river_metrics
from scipy.stats import mannwhitneyu

from foldline.errors import FoldError
from foldline.fold.arrays import dump_arrays, load_arrays
from foldline.models import ranking
from foldline.models.classification_metrics import ClassificationMetrics
from foldline.models.ranking import Ranking
from foldline.models.regression_metrics import RegressionMetrics
from foldline.models.window import Window, WindowReport

theirs: Any = river_metrics  # not typed

scores = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, -0.0, 0.5, 1.0, 0.25]), st.floats(-5, 50), st.just(float("nan"))
)
rows = st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=60)


def ranking_of(pairs: Sequence[tuple[float, bool]], exact: int) -> Ranking:
    """Of these, all at once."""
    ranking = Ranking(exact)
    ranking.add(
        np.array([score for score, _ in pairs]), np.array([positive for _, positive in pairs], np.bool_)
    )
    return ranking


@given(rows, st.lists(st.integers(0, 60), max_size=4), st.integers(1, 40), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_rankings_merge_the_same_whichever_way(
    pairs: list[tuple[float, bool]], cuts: list[int], exact: int, rng: Any
) -> None:
    """Any parts, merged in any order, have the bytes of the whole; so has the whole in batches, and restored."""
    whole = dump_arrays(ranking_of(pairs, exact).dump())
    ends = sorted({0, len(pairs), *(min(cut, len(pairs)) for cut in cuts)})
    parts = [pairs[a:b] for a, b in itertools.pairwise(ends)]
    batched = Ranking(exact)
    for part in parts:
        batched.merge(ranking_of([], exact))
        batched.add(np.array([s for s, _ in part]), np.array([p for _, p in part], np.bool_))
        batched = Ranking.load(load_arrays(dump_arrays(batched.dump())), exact)
    assert dump_arrays(batched.dump()) == whole
    rng.shuffle(parts)
    merged = Ranking(exact)
    for part in parts:
        merged.merge(ranking_of(part, exact))
    assert dump_arrays(merged.dump()) == whole


@given(rows)
@settings(max_examples=100, deadline=None)
def test_the_area_is_that_of_all_pairs(pairs: list[tuple[float, bool]]) -> None:
    """The share of pairs won, ties half; binned, the error stated holds."""
    there = [(score, positive) for score, positive in pairs if score == score]
    good, bad = [s for s, p in there if p], [s for s, p in there if not p]
    exact = ranking_of(pairs, 1_000).area()
    if not good or not bad:
        assert exact.value is None
        return
    won = sum((a > b) + 0.5 * (a == b) for a in good for b in bad)
    assert exact == (won / (len(good) * len(bad)), 0.0)
    binned = ranking_of(pairs, 1).area()
    assert binned.value is not None
    assert abs(binned.value - won / (len(good) * len(bad))) <= binned.error + 1e-12


def test_a_large_area_is_the_statistic_of_mann_and_whitney() -> None:
    """Exact over 50,000 scores; binned within its error, which is small."""
    rng = np.random.default_rng(1)
    positive = rng.random(50_000) < 0.1
    score = 1 / (1 + np.exp(-rng.normal(size=50_000) - positive))
    expected = mannwhitneyu(score[positive], score[~positive]).statistic / (
        positive.sum() * (~positive).sum()
    )
    for exact, most in ((100_000, 0.0), (1_000, 0.001)):
        ranking = Ranking(exact)
        for start in range(0, 50_000, 333):
            ranking.add(score[start : start + 333], positive[start : start + 333])
        area = ranking.area()
        assert area.value == pytest.approx(expected, abs=max(most, 1e-12))
        assert area.error <= most


@pytest.mark.parametrize("classes", [(False, True), ("a", "b", "c", 7)])
def test_counts_agree_with_river(classes: tuple[Any, ...]) -> None:
    """Accuracy, F1, kappa and the confusion matrix, in parts that met the classes in other orders."""
    rng = np.random.default_rng(2)
    truth = [classes[i] for i in rng.integers(len(classes), size=500)]
    guess = [t if rng.random() < 0.6 else classes[rng.integers(len(classes))] for t in truth]
    expected = [theirs.Accuracy(), theirs.MacroF1(), theirs.CohenKappa()]
    nothing = np.full(500, np.nan)
    parts = []
    for start in range(0, 500, 100):
        part = slice(start, start + 100)
        parts.append(ClassificationMetrics())
        parts[-1].add(truth[part], guess[part], nothing[part], nothing[part])
        for metric in expected:
            for t, g in zip(truth[part], guess[part], strict=True):
                metric.update(t, g)
    whole = ClassificationMetrics()
    for each in (parts[3], parts[0], parts[4], parts[2], parts[1]):
        whole.merge(ClassificationMetrics.load(each.dump()))
    report = whole.report()
    assert report.accuracy == expected[0].get()
    assert [report.macro_f1, report.kappa] == pytest.approx([each.get() for each in expected[1:]], abs=1e-12)
    for t, line in zip(report.classes, report.confusion, strict=True):
        for g, count in zip(report.classes, line, strict=False):
            assert count == sum(a == t and b == g for a, b in zip(truth, guess, strict=True))
    assert report.log_loss is None
    assert report.roc_auc is None


@given(rows, st.integers(1, 70), st.lists(st.integers(1, 60), min_size=1, max_size=12))
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("plain", [False, True])
def test_areas_of_windows_are_those_of_their_rankings(
    plain: bool, pairs: list[tuple[float, bool]], size: int, stops: list[int]
) -> None:
    """Full or not, with ties and without some scores; compiled, by numpy before that, and some at a time."""
    score, positive = (np.array(column) for column in zip(*pairs, strict=True))
    ends = np.array(sorted({min(stop, len(pairs)) for stop in stops}))
    starts = np.maximum(ends - size, 0)
    wanted = [ranking_of(pairs[a:b], 1_000).area().value for a, b in zip(starts, ends, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        kernel = ranking._count_higher_plainly if plain else ranking._count_higher
        patch.setattr(ranking, "_count_higher", kernel)
        assert ranking.areas_of(score, positive, starts, ends) == wanted
        patch.setattr(ranking, "_AT_A_TIME", 1)
        assert ranking.areas_of(score, positive, starts, ends) == wanted


def test_a_regressor_is_measured_as_river_does() -> None:
    """Mean absolute error, root mean squared error, R²; in parts, too."""
    rng = np.random.default_rng(3)
    truth = rng.normal(size=300) * 5 + 100
    guess = truth + rng.normal(size=300)
    expected = [theirs.MAE(), theirs.RMSE(), theirs.R2()]
    for t, g in zip(truth.tolist(), guess.tolist(), strict=True):
        for metric in expected:
            metric.update(t, g)
    whole = RegressionMetrics()
    for start in range(0, 300, 100):
        part = RegressionMetrics()
        part.add(truth[start : start + 100], guess[start : start + 100])
        whole.merge(RegressionMetrics.load(part.dump()))
    report = whole.report()
    assert [report.mae, report.rmse, report.r2] == pytest.approx([each.get() for each in expected], rel=1e-9)


def test_damaged_bytes_are_refused() -> None:
    """With the code that lets an older root be tried."""
    with pytest.raises(FoldError) as refused:
        ClassificationMetrics.load(dump_arrays({"counts": np.zeros(1)}))
    assert refused.value.code == "fold.damaged_root"
    with pytest.raises(FoldError):
        RegressionMetrics.load(dump_arrays({"counts": np.zeros(1)}))


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_window_holds_the_last_ones(size: int) -> None:
    """In batches smaller and larger than it, restored between, and reported within a batch."""
    rng = np.random.default_rng(4)
    positive, guessed, score = rng.random(90) < 0.4, rng.random(90) < 0.5, rng.random(90)
    wrong = (positive != guessed).astype(float)
    wrong[10], score[20:22] = np.nan, np.nan
    window = Window(size)
    start = 0
    for batch in (1, 2, 3, 30, 40, 14):
        part = slice(start, start + batch)
        stops = sorted({1, batch // 2 or 1, batch})
        told = window.reports(wrong[part], positive[part], guessed[part], score[part], stops)
        for stop, report in zip(stops, told, strict=True):
            _check_report(report, wrong, positive, guessed, score, start + stop, size)
        window = Window.load(load_arrays(dump_arrays(window.dump())), size)
        start += batch
    _check_report(window.report(), wrong, positive, guessed, score, 90, size)
    assert Window(size).report() == WindowReport(count=0)


def _check_report(
    report: WindowReport, wrong: np.ndarray, positive: np.ndarray, guessed: np.ndarray, score: np.ndarray,
    end: int, size: int,
) -> None:  # fmt: skip
    last = slice(max(0, end - size), end)
    judged = not np.isnan(wrong[last]).any()
    hit, true = (positive[last] & guessed[last]).sum(), positive[last].sum()
    assert report.count == min(size, end)
    assert report.accuracy == (pytest.approx(1 - wrong[last].mean()) if judged else None)
    assert report.recall == (pytest.approx(hit / true) if judged and true else None)
    both = true + guessed[last].sum()
    assert report.f1 == (pytest.approx(2 * hit / both) if judged and both else None)
    pairs = [(s, p) for s, p in zip(score[last].tolist(), positive[last].tolist(), strict=True) if s == s]
    assert report.roc_auc == (ranking_of(pairs, size).area().value if pairs else None)
