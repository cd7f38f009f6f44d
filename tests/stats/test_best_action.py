"""The probability of being best: against exact values, fine brute force, and the same with and without rows kept."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from foldline.stats.best_action import leading_nodes, probabilities_best
from foldline.stats.posterior import beta_posterior, student_posterior

Floats = npt.NDArray[np.float64]

BETAS: dict[str, list[tuple[float, float]]] = {
    "alike": [(2.0 + s, 698.0 - s) for s in range(5, 25)],
    "two of a million pulls": [(31_000.0, 969_000.0), (31_100.0, 968_900.0)],
    "narrow, wide and flat": [(31_000.0, 969_000.0), (2.0, 198.0), (3.0, 60.0), (50.0, 900.0), (0.5, 1.5)],
    "narrow below wide": [(50_000.0, 950_000.0), (1.0, 30.0), (1.0, 1.0), (1.0, 1.5)],
    "priors below one": [(0.1, 0.5), (0.1, 0.49), (0.3, 20.0)],
    "hopeless beside certain": [(500_000.0, 500_000.0), (1_000.0, 999_000.0), (499_000.0, 501_000.0)],
}
STUDENTS: dict[str, list[tuple[float, float, float]]] = {
    "heavy tails, far from a known one": [(0.0, 1.0, 4.0), (1.0, 1.0, 4.0), (-300.0, 0.01, 1e5)],
    "narrow within wide": [(0.0, 0.001, 1e6), (0.0005, 0.001, 1e6), (0.0, 2.0, 6.0)],
    "far from zero": [(1e6, 1.0, 30.0), (1e6 + 0.5, 1.0, 50.0), (1e6 - 3.0, 2.0, 10.0)],
}


def brute_force(log_densities: Sequence[Callable[[Floats], Floats]], nodes: Floats) -> Floats:
    """P(best) by the trapezium rule over very many nodes."""
    steps = np.diff(nodes)
    densities = [np.exp(f(nodes) - f(nodes).max()) for f in log_densities]
    below = [np.concatenate([[0.0], np.cumsum(steps * (d[1:] + d[:-1]) / 2)]) for d in densities]
    densities = [d / b[-1] for d, b in zip(densities, below, strict=True)]
    below = [b / b[-1] for b in below]
    integrands = [d * np.prod(below[:i] + below[i + 1 :], axis=0) for i, d in enumerate(densities)]
    return np.array([np.sum(steps * (f[1:] + f[:-1]) / 2) for f in integrands])


@pytest.mark.parametrize("name", BETAS)
def test_beta_posteriors_against_brute_force(name: str) -> None:
    """The error is below 1e-3, also with nodes a thousand times wider than the narrowest posterior."""
    cases = BETAS[name]
    functions = [lambda y, a=a, b=b: a * y - (a + b) * np.logaddexp(0.0, y) for a, b in cases]
    expected = brute_force(functions, np.linspace(-150.0, 60.0, 500_001))
    found = probabilities_best([beta_posterior(a, b) for a, b in cases])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("name", STUDENTS)
def test_student_posteriors_against_brute_force(name: str) -> None:
    """The error is below 1e-3 from 4 degrees of freedom on."""
    cases = STUDENTS[name]
    functions = [
        lambda y, m=m, s=s, v=v: -(v + 1) / 2 * np.log1p(((y - m) / s) ** 2 / v) for m, s, v in cases
    ]
    offsets = np.sinh(np.linspace(-16.0, 16.0, 2_000_001)) * 0.0005
    expected = brute_force(functions, cases[0][0] + offsets)
    found = probabilities_best([student_posterior(*case) for case in cases])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


def test_published_cases(shared_data: Path) -> None:
    """P(treatment better) of exact Beta comparisons."""
    cases = json.loads((shared_data / "stats" / "classic_cases.json").read_text())["beta_posterior"]
    assert cases
    for case in cases:
        control = beta_posterior(float(case["a_control"]), float(case["b_control"]))
        treatment = beta_posterior(float(case["a_treatment"]), float(case["b_treatment"]))
        found = probabilities_best([control, treatment])[1]
        assert found == pytest.approx(case["probability_treatment_better"], abs=3e-4)


def test_rows_kept_change_no_bit() -> None:
    """Going on from kept rows, as a publisher does, gives what a stranger computes from nothing."""
    rng = np.random.default_rng(3)
    alpha, beta = rng.uniform(1, 30, 50), rng.uniform(200, 900, 50)
    for _ in range(40):
        changed = rng.integers(50, size=5)
        alpha[changed] += rng.random(5) * 3
        beta[changed] += 5 * rng.random(5)
        posteriors = [beta_posterior(float(a), float(b)) for a, b in zip(alpha, beta, strict=True)]
        kept = probabilities_best(posteriors, keep=True)
        beta_posterior.cache_clear()
        afresh = [beta_posterior(float(a), float(b)) for a, b in zip(alpha, beta, strict=True)]
        assert kept.tobytes() == probabilities_best(afresh).tobytes()


def test_a_single_action_is_best() -> None:
    """And nothing is best of nothing."""
    assert probabilities_best([beta_posterior(1.0, 2.0)]).tolist() == [1.0]
    assert len(probabilities_best([])) == 0


def test_nodes_stay_while_posteriors_move_a_little() -> None:
    """One more reward of a leader leaves the nodes where they are, nine times in ten."""
    posteriors = [beta_posterior(5.0 + i, 400.0) for i in range(20)]
    lattices = {
        leading_nodes([*posteriors[:-1], beta_posterior(24.0, 400.0 + k)]).tobytes() for k in range(100)
    }
    assert len(lattices) <= 10


def test_posteriors_narrower_than_float64_can_tell_apart() -> None:
    """A scale far below the location's last bit is widened to what can be tabulated; order is kept."""
    needles = [student_posterior(location, 1e-9, 5.0) for location in (1e12, 1e12, 1e12 + 1e6)]
    assert probabilities_best(needles).tolist() == [0.0, 0.0, 1.0]
    assert probabilities_best(needles[:2]) == pytest.approx([0.5, 0.5])
