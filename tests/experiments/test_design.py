"""Designs against reference cases RC-1 and RC-2, the four-way solution, and what is refused."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.errors import FoldlineError
from foldline.experiments.design import design
from foldline.experiments.metrics import MeanMetric, ProportionMetric
from foldline.stats.exact_power import exact_power
from foldline.stats.ratio import ratio_sd
from foldline.stats.sample_size import (
    ProportionMethod,
    SizeEquation,
    cohen_h,
    mean_equation,
    proportion_equation,
    student_power,
    student_size,
)
from foldline.stats.tails import normal_quantile
from tests.stats.experiments_reference import classic_cases

CTR = ProportionMetric(0.07)
REVENUE = MeanMetric(15.0)


@pytest.mark.parametrize(
    ("method", "raw", "size"),
    [
        ("fleiss_cc", 1123.062300, 1124),
        ("fleiss", 1073.618814, 1074),
        ("unpooled", 1070.443724, 1071),
        ("arcsine", 1062.99594, 1063),
    ],
)
def test_seven_against_eleven_percent(method: ProportionMethod, raw: float, size: int) -> None:
    """RC-1: alpha 5 %, power 90 %, by each method."""
    assert proportion_equation(0.07, 0.11, method).control_size(0.05, 0.9) == pytest.approx(raw, abs=6e-6)
    plan = design(ProportionMetric(0.07, method), alpha=0.05, power=0.9, effect=0.04)
    assert (plan.sample_size_per_variant, plan.sample_size_total) == (size, 2 * size)


@pytest.mark.parametrize(
    ("rates", "alpha", "power", "ratio", "plain", "corrected"),
    [
        ((0.07, 0.11), 0.05, 0.80, 1, 802.3491, 851.6152),
        ((0.07, 0.03), 0.05, 0.90, 1, 621.7985, 670.8669),
        ((0.10, 0.12), 0.05, 0.80, 1, 3840.8475, 3940.2130),
        ((0.05, 0.06), 0.05, 0.80, 1, 8157.7314, 8356.5348),
        ((0.50, 0.55), 0.05, 0.80, 1, 1564.6721, 1604.4227),
        ((0.07, 0.11), 0.05, 0.90, 2, 815.3012, 852.3888),
        ((0.07, 0.11), 0.025, 0.90, 1, 1268.3381, 1317.8639),
    ],
)
def test_other_rates_and_splits(
    rates: tuple[float, float], alpha: float, power: float, ratio: float, plain: float, corrected: float
) -> None:
    """RC-1: Fleiss without and with correction."""
    for method, expected in (("fleiss", plain), ("fleiss_cc", corrected)):
        equation = proportion_equation(*rates, method, ratio=ratio)  # type: ignore[arg-type]  # two methods
        assert equation.control_size(alpha, power) == pytest.approx(expected, abs=6e-5)


@pytest.mark.parametrize(
    ("null", "true", "raw"),
    [
        (2 * 0.09 * 0.91, 2 * 0.09 * 0.91, 1075.697436),
        (2 * 0.07 * 0.93, 0.07 * 0.93 + 0.11 * 0.89, 937.312786),
        (2 * 0.07 * 0.93, 2 * 0.07 * 0.93, 855.041552),
    ],
)
def test_the_equation_says_what_other_calculators_do(null: float, true: float, raw: float) -> None:
    """RC-1: one mean rate; the baseline under the hypothesis (Evan Miller); the baseline alone (Spotify)."""
    equation = SizeEquation(0.04, math.sqrt(null), math.sqrt(true))
    assert equation.control_size(0.05, 0.9) == pytest.approx(raw, abs=6e-6)


def test_shortcuts_of_the_correction_round_to_the_same_size() -> None:
    """RC-1: n' + (r + 1) / (r d), and the correction of an n' that was rounded up before."""
    plain = proportion_equation(0.07, 0.11, "fleiss").control_size(0.05, 0.9)
    assert plain + 2 / 0.04 == pytest.approx(1123.618814, abs=6e-6)
    # The equation whose plain size is 1,074 at any alpha and power, corrected for a difference of 0.04.
    z = normal_quantile(0.975) + normal_quantile(0.9)
    rounded = SizeEquation(z / math.sqrt(math.ceil(plain)), 1.0, 1.0, continuity=0.04)
    assert rounded.control_size(0.05, 0.9) == pytest.approx(1123.4437, abs=6e-5)


def test_one_sided_and_inverse() -> None:
    """RC-1: one-sided sizes; power and least effect at given sizes."""
    assert proportion_equation(0.07, 0.11).control_size(0.05, 0.9, sides=1) == pytest.approx(924.171131)
    plain = proportion_equation(0.07, 0.11, "fleiss")
    assert plain.control_size(0.05, 0.9, sides=1) == pytest.approx(874.847413)
    for method, size in (("fleiss_cc", 925), ("fleiss", 875)):
        metric = ProportionMetric(0.07, method)  # type: ignore[arg-type]  # two methods
        one_sided = design(metric, alpha=0.05, power=0.9, effect=0.04, alternative="greater")
        assert one_sided.sample_size_per_variant == size
    assert design(CTR, alpha=0.05, effect=0.04, sample_size=1124).power == pytest.approx(0.900248, abs=5e-7)
    assert plain.power(1124, 0.05) == pytest.approx(0.912585, abs=5e-7)
    assert plain.power(562, 0.05) == pytest.approx(0.649499, abs=5e-7)
    for method, effect in (("fleiss_cc", 0.0399811), ("fleiss", 0.0389966)):
        metric = ProportionMetric(0.07, method)  # type: ignore[arg-type]  # two methods
        found = design(metric, alpha=0.05, power=0.9, sample_size=1124)
        assert found.effect == pytest.approx(effect, abs=5e-8)


@pytest.mark.parametrize(
    ("n", "test", "power"),
    [
        (1124, "pooled_z", 0.91532),
        (1124, "yates", 0.90266),
        (1124, "fisher", 0.90266),
        (1074, "pooled_z", 0.90269),
        (1074, "yates", 0.88917),
        (1123, "yates", 0.90238),
    ],
)
def test_exact_power(n: int, test: Any, power: float) -> None:
    """RC-1: by enumeration; 1,124 is the size for the corrected test."""
    assert exact_power((0.07, 0.11), (n, n), test) == pytest.approx(power, abs=6e-6)


def test_exact_rate_of_false_alarms() -> None:
    """RC-1: two rates of 7 %, 1,124 units each."""
    assert exact_power((0.07, 0.07), (1124, 1124), "pooled_z") == pytest.approx(0.0499, abs=6e-5)
    assert exact_power((0.07, 0.07), (1124, 1124), "fisher") == pytest.approx(0.0411, abs=6e-5)


@pytest.mark.parametrize(
    ("power", "sides", "raw"),
    [
        (0.80, 2, 7208.154858),
        (0.90, 2, 9649.674240),
        (0.95, 2, 11933.917358),
        (0.80, 1, 5677.858682),
        (0.90, 1, 7864.757771),
        (0.95, 1, 9938.731056),
    ],
)
def test_means(power: float, sides: int, raw: float) -> None:
    """RC-2: sd 15, difference 0.7."""
    assert mean_equation(0.7, 15).control_size(0.05, power, sides=sides) == pytest.approx(raw, abs=6e-7)
    plan = design(
        REVENUE, alpha=0.05, power=power, effect=0.7, alternative="two_sided" if sides == 2 else "greater"
    )
    assert plan.sample_size_per_variant == math.ceil(raw)


@pytest.mark.parametrize(("power", "raw"), [(0.80, 7209.0977), (0.90, 9650.6314), (0.95, 11934.8766)])
def test_means_by_student(power: float, raw: float) -> None:
    """RC-2: the exact sizes of the t-test; and RC-1's of Cohen's h."""
    assert student_size(0.7 / 15, 0.05, power) == pytest.approx(raw, rel=1e-7)
    assert student_size(cohen_h(0.07, 0.11), 0.05, 0.9) == pytest.approx(1063.95722, abs=6e-6)
    assert cohen_h(0.07, 0.11) == pytest.approx(0.1406038552, abs=6e-11)


def test_unequal_means_and_non_inferiority() -> None:
    """RC-2: one unit of control for three of the challenger; a margin of 0.7 with one side."""
    assert mean_equation(0.7, 15, ratio=3).control_size(0.05, 0.9) == pytest.approx(6433.116160)
    plan = design(REVENUE, alpha=0.05, power=0.8, effect=0.0, margin=0.7, alternative="greater")
    assert plan.sample_size_per_variant == 5678
    less = design(REVENUE, alpha=0.05, power=0.8, effect=0.0, margin=0.7, alternative="less")
    assert less.sample_sizes == plan.sample_sizes


def test_several_challengers_share_alpha() -> None:
    """RC-1: two challengers at 2.5 % each; an unequal split rounds each variant up."""
    plan = design(CTR, alpha=0.05, power=0.9, effect=0.04, weights=(1, 1, 1))
    assert plan.sample_sizes == (1318, 1318, 1318)
    assert plan.alpha_per_comparison == 0.025
    assert design(CTR, alpha=0.05, power=0.9, effect=0.04, weights=(1, 2)).sample_sizes == (853, 1705)


def test_student_sizes_of_the_shared_cases(shared_data: Path) -> None:
    """Normal and noncentral t, one-sided and two-sided; arcsine and unpooled for proportions."""
    for case in classic_cases(shared_data, "sample_size"):
        if "sigma" in case:
            sides = 1 if case["sided"] == "one" else 2
            size = mean_equation(case["effect"], case["sigma"]).control_size(
                case["alpha"], case["power"], sides=sides
            )
            assert size == pytest.approx(case["n_per_group_normal"], rel=1e-9)
            in_sds = case["effect"] / case["sigma"]
            exact = student_size(in_sds, case["alpha"], case["power"], sides=sides)
            assert exact == pytest.approx(case["n_per_group_t"], rel=1e-6)
        else:
            rates = case["baseline"], case["baseline"] * (1 + case["relative_lift"])
            for method, name in (("arcsine", "arcsine_effect_size"), ("unpooled", "unpooled_normal")):
                equation = proportion_equation(*rates, method, ratio=case["ratio"])  # type: ignore[arg-type]  # two methods
                size = equation.control_size(case["alpha"], case["power"])
                assert size == pytest.approx(case[f"n_control_{name}"], rel=1e-8)


def test_the_published_size_of_the_shared_cases(shared_data: Path) -> None:
    """A student's platform has 5,677, the size cut off; whole units that are enough are one more."""
    (case,) = classic_cases(shared_data, "published")
    size = mean_equation(0.7, 15.0).control_size(0.05, 0.8, sides=1)
    assert math.floor(size) == case["n_per_group"]
    plan = design(REVENUE, alpha=0.05, power=0.8, effect=0.7, alternative="greater")
    assert plan.sample_size_per_variant == case["n_per_group"] + 1


def test_powers_of_the_shared_cases(shared_data: Path) -> None:
    """Noncentral t and normal."""
    for case in classic_cases(shared_data, "power"):
        effect, n, alpha = case["effect_size"], case["n_per_group"], case["alpha"]
        assert student_power(effect, n, alpha) == pytest.approx(case["power_t"], abs=1e-8)
        equation = replace(mean_equation(effect, 1.0), both_tails=True)
        assert equation.power(n, alpha) == pytest.approx(case["power_z"], abs=1e-12)


METRICS = st.one_of(
    st.builds(
        ProportionMetric,
        st.floats(0.01, 0.5),
        st.sampled_from(["fleiss_cc", "fleiss", "unpooled", "arcsine"]),
    ),
    st.builds(MeanMetric, st.floats(0.1, 100.0)),
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    METRICS,
    st.floats(0.001, 0.2),
    st.floats(0.5, 0.99),
    st.floats(0.05, 0.4),
    st.sampled_from([(1, 1), (1, 2), (2, 1, 1)]),
)
def test_any_three_give_the_fourth(
    metric: ProportionMetric | MeanMetric, alpha: float, power: float, effect: float, weights: tuple[int, ...]
) -> None:
    """What a design's sample size solves for is what it was made from, up to rounding up to whole units."""
    plan = design(metric, alpha=alpha, power=power, effect=effect, weights=weights)
    n = plan.sample_size_per_variant
    back = design(metric, alpha=alpha, effect=effect, sample_size=n, weights=weights)
    assert power - 1e-9 <= back.power
    assert n == 2 or plan.power_at(n - 1) <= power + 1e-9
    found = design(metric, alpha=alpha, power=power, sample_size=n, weights=weights)
    assert found.effect <= effect * (1 + 1e-9)
    again = design(metric, alpha=alpha, power=power, effect=found.effect, weights=weights)
    assert again.sample_size_per_variant == n
    level = design(metric, power=power, effect=effect, sample_size=n, weights=weights)
    assert level.alpha <= alpha * (1 + 1e-9)
    assert level.power_at(n) == pytest.approx(power)


@pytest.mark.parametrize("solved", ["alpha", "power", "effect"])
@pytest.mark.parametrize("n", [60, 309, 346, 420, 568, 5000, 10**7])
@pytest.mark.parametrize("metric", [CTR, ProportionMetric(0.07, "arcsine"), REVENUE])
def test_what_was_solved_is_coherent(metric: ProportionMetric | MeanMetric, n: int, solved: str) -> None:
    """Given back as all four it is taken, however near to 0 or 1 alpha and power are."""
    effect = 0.2 if isinstance(metric, ProportionMetric) else 6.0
    asked: dict[str, Any] = {"alpha": 0.05, "power": 0.9, "effect": effect}
    del asked[solved]
    found = design(metric, **asked, sample_size=n)
    again = design(metric, alpha=found.alpha, power=found.power, effect=found.effect, sample_size=n)
    assert (again.solved, again.sample_sizes) == (None, (n, n))


def test_ratio_metrics_and_covariates_change_the_deviation() -> None:
    """A ratio by the delta method's deviation; a covariate of correlation 0.5 saves a quarter."""
    spread = ratio_sd(0.6, 1.2, 3.0, 2.0, 0.5)
    ratio = design(MeanMetric(spread, 0.2, kind="ratio"), alpha=0.05, power=0.9, effect=0.01)
    assert ratio.sample_size_per_variant == 26152
    assert ratio.effect_relative == pytest.approx(0.05)
    with_covariate = design(MeanMetric(15.0, covariate_correlation=0.5), alpha=0.05, power=0.9, effect=0.7)
    assert with_covariate.sample_size_per_variant == math.ceil(0.75 * 9649.674240)


def refusal(**request: Any) -> str:
    """The message with which a request is refused."""
    metric = request.pop("metric", CTR)
    with pytest.raises(FoldlineError) as refused:
        design(metric, **request)
    assert refused.value.code in ("definition.incoherent", "input.invalid", "input.not_finite")
    return str(refused.value)


def test_contradicting_values_name_the_nearest_coherent_ones() -> None:
    """500 units do not have power 0.9: how many would, and what 500 would do."""
    message = refusal(alpha=0.05, power=0.9, effect=0.04, sample_size=500)
    assert "sample size 500 contradicts alpha 0.05, power 0.9 and effect 0.04, which need 1124" in message
    assert "at least 1124, or a power of 0.555, or an effect of 0.0639" in message
    fewer = design(CTR, alpha=0.05, power=0.555, effect=0.04, sample_size=500)
    assert fewer.solved is None
    assert design(CTR, alpha=0.05, power=0.9, effect=0.0639, sample_size=500).sample_sizes == (500, 500)


def test_a_larger_sample_is_coherent() -> None:
    """The power is then more than was asked for."""
    plan = design(CTR, alpha=0.05, power=0.9, effect=0.04, sample_size=2000)
    assert plan.solved is None
    assert plan.power_at(2000) > 0.98


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"alpha": 0.05, "power": 0.04, "effect": 0.04}, "power 0.04 is not above alpha 0.05"),
        ({"alpha": 0.6, "power": 0.9, "effect": 0.04}, "alpha is 0.6"),
        ({"alpha": 0.0, "power": 0.9, "effect": 0.04}, "alpha is 0.0"),
        ({"alpha": 0.05, "power": 1.0, "effect": 0.04}, "power is 1.0"),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.0}, "an effect of 0 cannot be told"),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.95}, "an effect between -0.07 and 0.93"),
        ({"alpha": 0.05, "power": 0.9, "effect": -0.07}, "a rate of 0"),
        ({"alpha": 0.05, "power": 0.9, "effect": math.nan}, "effect is nan"),
        ({"alpha": 0.05, "power": 0.9}, "effect and sample_size are not given"),
        ({"alpha": 0.05, "power": 0.9, "sample_size": 1}, "sample_size is 1"),
        ({"alpha": 0.05, "power": 0.9, "sample_size": 3}, "find no effect"),
        ({"alpha": 0.05, "effect": 0.001, "sample_size": 20}, "no more than alpha"),
        ({"power": 0.99, "effect": 0.001, "sample_size": 20}, "would need alpha"),
        (
            {"alpha": 0.05, "power": 0.9, "effect": -0.02, "alternative": "greater"},
            "give 0.02, or the alternative less",
        ),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.02, "alternative": "upwards"}, "alternative 'upwards'"),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.04, "weights": (1,)}, "weights (1,)"),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.04, "weights": (1, 0.5)}, "weights (1, 0.5)"),
        ({"alpha": 0.05, "power": 0.9, "effect": 0.0, "margin": 0.02}, "which has one side"),
        (
            {"alpha": 0.05, "power": 0.9, "effect": 0.0, "margin": 0.02, "alternative": "greater"},
            "the method unpooled",
        ),
        (
            {
                "metric": REVENUE,
                "alpha": 0.05,
                "power": 0.9,
                "effect": -0.8,
                "margin": 0.7,
                "alternative": "greater",
            },
            "give an effect above -0.7",
        ),
    ],
)
def test_what_is_refused(request_: dict[str, Any], words: str) -> None:
    """Each refusal names the value, and what would do."""
    assert words in refusal(**request_)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ProportionMetric(0.0), "baseline is 0.0"),
        (lambda: ProportionMetric(1.2), "baseline is 1.2"),
        (lambda: ProportionMetric(0.1, cast("ProportionMethod", "guess")), "method 'guess'"),
        (lambda: MeanMetric(0.0), "sd is 0.0"),
        (lambda: MeanMetric(math.inf), "sd is inf"),
        (lambda: MeanMetric(1.0, covariate_correlation=1.0), "covariate_correlation is 1.0"),
        (lambda: ratio_sd(1.0, 1.0, 0.0, 1.0, 0.0), "denominator_mean is 0.0"),
        (lambda: ratio_sd(1.0, -1.0, 2.0, 1.0, 0.0), "numerator_sd is -1.0"),
        (lambda: ratio_sd(1.0, 1.0, 2.0, -1.0, 0.0), "denominator_sd is -1.0"),
        (lambda: ratio_sd(1.0, 1.0, 2.0, 1.0, 2.0), "correlation is 2.0"),
    ],
)
def test_metrics_that_cannot_be(make: Any, words: str) -> None:
    """Refused where they are made."""
    with pytest.raises(FoldlineError) as refused:
        make()
    assert words in str(refused.value)
