"""The exact test of two proportions."""

import math
from typing import Any

import numpy as np

from foldline.stats.tails import Alternative
from foldline.stats.trials import Trials

_TIES = 1e-7
"""Tables as likely as the one seen, up to this relative difference, count with it, as in R and scipy."""


def fisher_p_value(control: Trials, treatment: Trials, alternative: Alternative = "two_sided") -> float:
    """The p-value of Fisher (1935): the probability of tables as extreme, all margins being given.

    Two-sided: of all tables at most as likely as the one seen. O(number of successes).

    Example:
        >>> round(fisher_p_value(Trials(79, 1124), Trials(124, 1124)), 6)
        0.00116
    """
    successes = control.successes + treatment.successes
    counts, probabilities = hypergeometric(successes, control.n, treatment.n)
    if alternative == "greater":
        extreme = counts >= treatment.successes
    elif alternative == "less":
        extreme = counts <= treatment.successes
    else:
        extreme = probabilities <= probabilities[counts == treatment.successes] * (1.0 + _TIES)
    return min(1.0, math.fsum(probabilities[extreme].tolist()))


def hypergeometric(successes: int, control_n: int, treatment_n: int) -> tuple[Any, Any]:
    """Every count of successes in treatment, ascending, and its probability, given the total of successes."""
    from scipy.special import gammaln

    counts = np.arange(max(0, successes - control_n), min(successes, treatment_n) + 1)

    def choose(n: Any, k: Any) -> Any:
        return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)

    logs = choose(treatment_n, counts) + choose(control_n, successes - counts)
    weights = np.exp(logs - logs.max())
    return counts, weights / weights.sum()
