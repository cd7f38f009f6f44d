"""Readers of the published cases of experiment statistics, and how near an answer must be."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldline.stats.comparison import Comparison
from foldline.stats.moments import Moments
from foldline.stats.sample import Sample, proportion_sample
from foldline.stats.welch import welch

Case = dict[str, Any]


def near(expected: object, digits: int = 6) -> object:
    """Equal to so many significant digits, half a unit of the last one."""
    return pytest.approx(expected, rel=0.51 * 10.0**-digits, abs=0.51 * 10.0 ** -(digits + 3))


def of_values(*values: float) -> Sample:
    """The sample of a few values."""
    sample = Moments.of_rows(np.array(values)[:, None]).sample()
    assert isinstance(sample, Sample)
    return sample


def compared(control: Sample, treatment: Sample) -> Comparison:
    """Welch's test, where there is one."""
    result = welch(control, treatment)
    assert isinstance(result, Comparison)
    return result


def classic_cases(shared_data: Path, kind: str) -> list[Case]:
    """Cases computed with statsmodels and scipy."""
    cases: list[Case] = json.loads((shared_data / "stats" / "classic_cases.json").read_text())[kind]
    assert cases
    return cases


def gbstats_cases(shared_data: Path, *tests: str) -> list[Case]:
    """Cases computed with GrowthBook's statistics."""
    cases = json.loads((shared_data / "stats" / "gbstats_cases.json").read_text())["cases"]
    chosen = [case for case in cases if case["test"] in tests]
    assert chosen
    return chosen


def moments_of_sums(n: int, sums: list[float], products: list[list[float]]) -> Moments:
    """Moments from printed sums and sums of products, without cancellation."""
    exact = [Fraction(total) for total in sums]
    return Moments(
        n,
        tuple(float(total / n) for total in exact),
        tuple(
            tuple(float(Fraction(products[i][j]) - exact[i] * exact[j] / n) for j in range(len(sums)))
            for i in range(len(sums))
        ),
    )


def pair_moments(n: int, first: Case, second: Case, product: float) -> Moments:
    """Moments of two variables, as GrowthBook prints them."""
    rows = [[_squares(first), product], [product, _squares(second)]]
    return moments_of_sums(n, [first["sum"], second["sum"]], rows)


def plain_sample(case: Case) -> Sample:
    """A variant of a mean or a proportion."""
    if case["type"] == "proportion":
        return proportion_sample(int(case["sum"]), case["n"])
    sample = moments_of_sums(case["n"], [case["sum"]], [[case["sum_squares"]]]).sample()
    assert isinstance(sample, Sample)
    return sample


def _squares(case: Case) -> float:
    return float(case["sum"] if case["type"] == "proportion" else case["sum_squares"])
