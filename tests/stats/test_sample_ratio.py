"""Sample ratio mismatch, once and at every moment: RC-5, RC-6, scipy."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from foldline.records.hashing import DRAWS
from foldline.stats.sample_ratio import SampleRatio, chi_square_ratio, sequential_ratio
from tests.stats.experiments_reference import classic_cases, near


@pytest.mark.parametrize(
    ("counts", "weights", "chi_square", "p_value"),
    [
        ([5050, 4950], [1, 1], 1.0, 0.317310508),
        ([5200, 4800], [1, 1], 16.0, 6.334248e-5),
        ([821588, 815482], [1, 1], 22.774369, 1.821793e-6),
        ([9100, 900], [9, 1], 11.111111, 8.581207e-4),
        ([166080, 171180, 166300], [1, 1, 1], 99.040432, 3.116330e-22),
        ([1124, 1053], [1, 1], 2.315572, 0.12808419),
        ([500, 600, 0], [0.5, 0.5, 0], 9.090909, 0.002568832),
    ],
)
def test_sample_ratio(counts: list[int], weights: list[float], chi_square: float, p_value: float) -> None:
    """RC-5; a variant without weight takes no degree of freedom."""
    result = chi_square_ratio(counts, weights)
    assert isinstance(result, SampleRatio)
    assert (result.statistic, result.p_value) == near((chi_square, p_value), 6)


@pytest.mark.parametrize(("buckets", "units"), [(100, 10**5), (1000, 10**7), (10_000, 10**9)])
def test_few_buckets_look_like_lost_units(buckets: int, units: int) -> None:
    """RC-5: thirds of so many buckets shift chi-square by 20; thirds of the 2^53 positions of our hash do not."""
    for positions, expected in ((buckets, 20.0), (DRAWS, 0.0)):
        edges = [positions * i // 3 for i in range(4)]
        shares = [(end - start) / positions for start, end in pairwise(edges)]
        result = chi_square_ratio([round(units * share) for share in shares], [1, 1, 1])
        assert isinstance(result, SampleRatio)
        assert result.statistic == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("counts", "weights", "log_factor", "p_value"),
    [
        ([2600, 2400], [1, 1], None, 0.322800476),
        ([5200, 4800], [1, 1], 3.6538806657, 0.025890461351),
        ([5050, 4950], [1, 1], -0.096572548, 1.0),
        ([821588, 815482], [1, 1], 8.765972283, 1.559504e-4),
        ([9100, 900], [9, 1], 2.496268467, 0.082391874),
    ],
)
def test_sequential_sample_ratio(
    counts: list[int], weights: list[float], log_factor: float | None, p_value: float
) -> None:
    """RC-6, as Optimizely's ssrm has it."""
    result = sequential_ratio(counts, weights)
    assert isinstance(result, SampleRatio)
    assert result.p_value == near(p_value, 6)
    if log_factor is not None:
        assert result.statistic == near(log_factor, 7)
    if p_value < 1.0:
        assert math.exp(result.statistic) == near(1.0 / p_value, 6)


def test_chi_squares_of_the_shared_cases(shared_data: Path) -> None:
    """Against scipy."""
    for case in classic_cases(shared_data, "chi_square"):
        result = chi_square_ratio(case["observed"], case["expected_share"])
        assert isinstance(result, SampleRatio)
        assert (result.statistic, result.p_value) == near((case["statistic"], case["p_value"]), 10)
