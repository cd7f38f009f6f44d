"""Posteriors of effects: RC-9, exact sums."""

import math
from pathlib import Path

import pytest

from foldline.stats.beta_binomial import expected_loss, posterior_parameters, probability_greater
from foldline.stats.comparison import Comparison
from foldline.stats.lift import compare_lift
from foldline.stats.normal_posterior import effect_posterior, probabilities_greatest, with_floor
from foldline.stats.sample import proportion_sample
from foldline.stats.trials import Trials
from foldline.stats.welch import welch
from tests.stats.experiments_reference import classic_cases, near

CONTROL, CHALLENGER = Trials(79, 1124), Trials(124, 1124)


@pytest.mark.parametrize(
    ("control", "treatment", "better", "loss"),
    [
        ((79, 1124), (124, 1124), 0.999542182426, 1.4612e-6),
        ((49, 100), (51, 100), 0.610770522688, 0.019116461202),
        ((10, 100), (15, 100), 0.853283789934, 0.003578088131),
        ((200, 1000), (230, 1000), 0.948618289214, 0.000396184689),
        ((0, 10), (3, 10), 0.954887218045, 0.003105590062),
    ],
)
def test_beta_binomial(
    control: tuple[int, int], treatment: tuple[int, int], better: float, loss: float
) -> None:
    """RC-9: with uniform priors, the chance to be better and the expected loss of choosing treatment."""
    parameters = (*posterior_parameters(*control), *posterior_parameters(*treatment))
    assert probability_greater(*parameters) == near(better, 10)
    assert expected_loss(*parameters) == pytest.approx(loss, rel=1e-5)


def test_beta_posteriors_of_the_shared_cases(shared_data: Path) -> None:
    """Exact P(B > A), to ten digits."""
    for case in classic_cases(shared_data, "beta_posterior"):
        chance = probability_greater(
            case["a_control"], case["b_control"], case["a_treatment"], case["b_treatment"]
        )
        assert chance == near(case["probability_treatment_better"], 10)


def test_normal_posterior() -> None:
    """RC-9: GrowthBook's posterior on the data of RC-4, relative and absolute."""
    a, b = proportion_sample(*CONTROL), proportion_sample(*CHALLENGER)
    for result, chance in ((compare_lift(a, b), 0.995814257), (welch(a, b), 0.999549169)):
        assert isinstance(result, Comparison)
        posterior = effect_posterior(result.difference.estimate, result.standard_error)
        assert posterior.chance_to_win == near(chance, 8)
    close_call = compare_lift(proportion_sample(49, 100), proportion_sample(51, 100))
    assert isinstance(close_call, Comparison)
    posterior = effect_posterior(close_call.difference.estimate, close_call.standard_error)
    assert posterior.chance_to_win == near(0.60918, 5)
    assert (posterior.risk_control, posterior.risk_treatment) == pytest.approx((0.0814, 0.04058), abs=6e-5)


def test_chances_to_be_best() -> None:
    """RC-9: three normal means by quadrature, with the additive floor of 1 %, and two."""
    posteriors = [effect_posterior(mean, 5 / math.sqrt(1000), 0.0, 100.0) for mean in (10.0, 10.2, 10.5)]
    best = probabilities_greatest([p.mean for p in posteriors], [p.sd for p in posteriors])
    assert best == near([0.008539448, 0.087946944, 0.903513608], 6)
    assert with_floor(best, 0.01) == near([0.018283265, 0.095308536, 0.886408199], 6)
    pair = probabilities_greatest([p.mean for p in posteriors[:2]], [p.sd for p in posteriors[:2]])
    assert pair[1] == near(0.814453016, 6)
    assert sum(best) == pytest.approx(1.0, abs=1e-9)
