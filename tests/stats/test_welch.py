"""Differences of means, and moments that do not cancel: RC-3."""

import numpy as np

from foldline.stats.comparison import Comparison
from foldline.stats.lift import compare_lift
from foldline.stats.moments import Moments
from foldline.stats.sample import Sample
from tests.stats.experiments_reference import compared, moments_of_sums, near, of_values


def test_welch_of_eight_and_ten() -> None:
    """RC-3: 5.5 against 7.75, and with two more controls."""
    treatment = of_values(6, 7, 9, 8, 10, 7, 9, 6)
    result = compared(of_values(3, 5, 4, 6, 8, 7, 5, 6), treatment)
    assert result.difference.estimate == 2.25
    assert (result.statistic, result.freedom, result.p_value) == near(
        (2.909069708199544, 13.922463447053609, 0.011489462405498), 12
    )
    assert result.difference[1:3] == near((0.590262312332, 3.909737687668), 11)
    longer = compared(of_values(3, 5, 4, 6, 8, 7, 5, 6, 4, 2), treatment)
    assert (longer.statistic, longer.freedom, longer.p_value) == near(
        (3.520670667816, 15.983042457244, 0.002840871486), 9
    )
    assert longer.difference[1:3] == near((1.093996684173, 4.406003315827), 11)


def test_welch_of_sums() -> None:
    """RC-3: thousands of units, from printed sums; on the relative scale the same data are not significant."""
    a = moments_of_sums(3407, [1396.87], [[52377.9767]]).sample()
    b = moments_of_sums(3461, [2422.7], [[134698.29]]).sample()
    assert isinstance(a, Sample)
    assert isinstance(b, Sample)
    result = compared(a, b)
    assert (result.difference.estimate, result.standard_error) == near((0.29, 0.124783631588), 10)
    assert (result.freedom, result.p_value) == near((5841.742032, 0.020158402644), 9)
    assert result.difference[1:3] == near((0.045377892559, 0.534622107441), 10)
    lift = compare_lift(a, b)
    assert isinstance(lift, Comparison)
    assert (lift.difference.estimate, lift.standard_error, lift.p_value) == near(
        (0.707317, 0.378794, 0.061912), 5
    )


def test_moments_do_not_cancel_and_merge() -> None:
    """RC-3: near 1e9 the variance is 30, where sums of squares give -171; two groups merge to that of all."""
    assert Moments.of_rows(np.array([[4.0], [7.0], [13.0], [16.0]]) + 1e9).covariance() == near(30.0, 9)
    left, right = Moments.of_rows([[1], [2], [3], [4]]), Moments.of_rows([[10], [20]])
    assert left.merge(right).covariance() == near(52.666667, 7)
