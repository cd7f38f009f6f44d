"""Several hypotheses at once: RC-9, statsmodels."""

from pathlib import Path

from foldline.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm
from tests.stats.experiments_reference import classic_cases, near


def test_multiplicity() -> None:
    """RC-9: Holm, and Benjamini and Hochberg."""
    p = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]
    assert holm(p) == near([0.01, 0.072, *[0.312] * 5, *[0.615] * 3], 4)
    expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.105714, 0.216, 0.216, 0.216]
    assert benjamini_hochberg(p) == near(expected, 5)


def test_multiplicity_of_the_shared_cases(shared_data: Path) -> None:
    """Four corrections against statsmodels."""
    for case in classic_cases(shared_data, "multiple_testing"):
        p = case["p_values"]
        assert bonferroni(p) == near(case["bonferroni"], 10)
        assert holm(p) == near(case["holm"], 10)
        assert benjamini_hochberg(p) == near(case["fdr_bh"], 10)
        assert benjamini_yekutieli(p) == near(case["fdr_by"], 10)
