"""Decisions that learn, over one event log.

Bandits on an embedded log or in memory, in process or behind an HTTP service, whose clients ask it or decide by
themselves: decide, reward, and everything known can be folded again from the log. Names are imported on first use,
so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from foldline.app.experiment import Experiment
    from foldline.app.foldline import Foldline
    from foldline.app.foldline import open_foldline as open
    from foldline.app.loop import Loop
    from foldline.client.edge import Edge
    from foldline.client.http import AsyncClient, Client
    from foldline.errors import FoldlineError
    from foldline.experiments.goals import Mean, Proportion, Ratio
    from foldline.experiments.results import Results
    from foldline.experiments.verdict import Verdict
    from foldline.fold.protocol import Fold
    from foldline.log.protocol import Log
    from foldline.models.definition import ModelDefinition as Model
    from foldline.policies.constant_step import ConstantStep
    from foldline.policies.discounted import Discounted
    from foldline.policies.epsilon_greedy import EpsilonGreedy
    from foldline.policies.fixed import Fixed
    from foldline.policies.protocol import Policy
    from foldline.policies.random import Random
    from foldline.policies.thompson import Thompson
    from foldline.records.types import Decision
    from foldline.stats.not_estimable import NotEstimable

__version__ = "0.1.0"

__all__ = [
    "open",
    "Foldline",
    "Loop",
    "Client",
    "AsyncClient",
    "Edge",
    "Experiment",
    "Results",
    "Verdict",
    "Proportion",
    "Mean",
    "Ratio",
    "Decision",
    "EpsilonGreedy",
    "ConstantStep",
    "Discounted",
    "Thompson",
    "Random",
    "Fixed",
    "Policy",
    "Model",
    "Fold",
    "Log",
    "NotEstimable",
    "FoldlineError",
]

_HOMES = {
    "open": ("foldline.app.foldline", "open_foldline"),
    "Foldline": ("foldline.app.foldline", "Foldline"),
    "Loop": ("foldline.app.loop", "Loop"),
    "Client": ("foldline.client.http", "Client"),
    "AsyncClient": ("foldline.client.http", "AsyncClient"),
    "Edge": ("foldline.client.edge", "Edge"),
    "Experiment": ("foldline.app.experiment", "Experiment"),
    "Results": ("foldline.experiments.results", "Results"),
    "Verdict": ("foldline.experiments.verdict", "Verdict"),
    "Proportion": ("foldline.experiments.goals", "Proportion"),
    "Mean": ("foldline.experiments.goals", "Mean"),
    "Ratio": ("foldline.experiments.goals", "Ratio"),
    "Decision": ("foldline.records.types", "Decision"),
    "EpsilonGreedy": ("foldline.policies.epsilon_greedy", "EpsilonGreedy"),
    "ConstantStep": ("foldline.policies.constant_step", "ConstantStep"),
    "Discounted": ("foldline.policies.discounted", "Discounted"),
    "Thompson": ("foldline.policies.thompson", "Thompson"),
    "Random": ("foldline.policies.random", "Random"),
    "Fixed": ("foldline.policies.fixed", "Fixed"),
    "Policy": ("foldline.policies.protocol", "Policy"),
    "Model": ("foldline.models.definition", "ModelDefinition"),
    "Fold": ("foldline.fold.protocol", "Fold"),
    "Log": ("foldline.log.protocol", "Log"),
    "NotEstimable": ("foldline.stats.not_estimable", "NotEstimable"),
    "FoldlineError": ("foldline.errors", "FoldlineError"),
}


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'foldline' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
