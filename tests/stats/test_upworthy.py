"""Real tests: 2,491 of the Upworthy Research Archive, some weeks of which were not randomised soundly."""

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path

import pytest

from foldline.stats.comparison import Comparison
from foldline.stats.interval import Interval
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio
from foldline.stats.several_proportions import Homogeneity, chi_square_rates
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import compare_proportions
from foldline.stats.wilson import wilson_interval


def test_the_faulty_weeks_are_found(shared_data: Path) -> None:
    """At 1 %: 403 of 530 tests of the weeks reported as faulty (76 %), 71 of 1,961 others (3.6 %)."""
    tests: dict[str, list[int]] = defaultdict(list)
    weeks: dict[str, int] = {}
    with gzip.open(shared_data / "upworthy" / "packages.csv.gz", "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            tests[row["test_id"]].append(int(row["impressions"]))
            weeks[row["test_id"]] = int(row["test_week"])
    found = {True: 0, False: 0}
    looked = {True: 0, False: 0}
    for name, counts in tests.items():
        shown = [count for count in counts if count]
        result = chi_square_ratio(shown, [1] * len(shown))
        if isinstance(result, SampleRatio):
            faulty = 201326 <= weeks[name] <= 201402
            looked[faulty] += 1
            found[faulty] += result.p_value < 0.01
    assert (looked, found) == ({True: 530, False: 1961}, {True: 403, False: 71})


def test_reference_values(shared_data: Path) -> None:
    """Sample ratio, equality of rates, best against second, Wilson's interval of 600 tests."""
    reference = json.loads((shared_data / "upworthy" / "reference.json").read_text())["tests"]
    for case in reference:
        variants = [Trials(x, n) for x, n in zip(case["clicks"], case["impressions"], strict=True)]
        ratio = chi_square_ratio(case["impressions"], [1] * len(variants))
        assert isinstance(ratio, SampleRatio)
        assert (ratio.statistic, ratio.p_value) == pytest.approx((case["srm_chi2"], case["srm_p"]), rel=1e-9)
        rates = chi_square_rates(variants)
        assert isinstance(rates, Homogeneity)
        assert (rates.statistic, rates.p_value) == pytest.approx(
            (case["clicks_chi2"], case["clicks_p"]), rel=1e-8
        )
        best, second = variants[case["best"]], variants[case["second"]]
        compared = compare_proportions(second, best, test="pooled_z")
        assert isinstance(compared, Comparison)
        expected = case["z_best_vs_second"], case["p_two_sided"]
        assert (compared.statistic, compared.p_value) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        wilson = wilson_interval(*best)
        assert isinstance(wilson, Interval)
        assert list(wilson[1:3]) == pytest.approx(case["wilson95_best"], rel=1e-9)
    assert len(reference) == 600
