"""Successes of a number of trials."""

from typing import NamedTuple

from foldline.errors import InputError
from foldline.stats.not_estimable import NotEstimable


class Trials(NamedTuple):
    """How many of n units did what is counted.

    Attributes:
        successes: 0 to n.
        n: number of units.
    """

    successes: int
    n: int

    @property
    def rate(self) -> float:
        """The share of successes; n must be above 0."""
        return self.successes / self.n


def check_trials(control: Trials, treatment: Trials) -> NotEstimable | None:
    """Refuse counts that cannot be; say where two counts hold no comparison.

    Raises:
        InputError: `input.invalid`.
    """
    for name, trials in (("control", control), ("treatment", treatment)):
        if not 0 <= trials.successes <= trials.n:
            raise InputError(
                "input.invalid", f"{name} is {trials!r}; expected 0 <= successes <= n", field=name
            )
    if not control.n or not treatment.n:
        return NotEstimable("a variant has no units: a proportion needs at least one")
    return None
