"""The state most policies share: how often each action was learnt and the sum of its rewards, as integers.

Integer sums make merging and correcting exact: the state depends on what was learnt, not on the order.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.policies.protocol import Policy
from foldline.policies.table import quotient
from foldline.stats.exact_sums import add_sums, learn_sums

Int64s = npt.NDArray[np.int64]


class ExactSums(Policy, frozen=True):
    """A policy whose state is `count` (n,) int64 and `sum` (n,) int64 in reward units; Q = sum / count."""

    def empty(self, actions: int) -> Arrays:
        """See `Policy.empty`."""
        return {"count": np.zeros(actions, np.int64), "sum": np.zeros(actions, np.int64)}

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`; about 1 ns an emit."""
        count, total = counts_and_sums(state)
        return learn_sums(count, total, emits.kind, emits.action, emits.old, emits.new)

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """See `Policy.merge`."""
        return {name: add_sums(cast(Int64s, left[name]), cast(Int64s, right[name])) for name in left}

    def estimates(
        self,
        state: Arrays,
        columns: Sequence[int],
        *,
        as_of: int,
        unit_bits: int,
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """See `Policy.estimates`."""
        count, total = (array[columns] for array in counts_and_sums(state))
        return {"pulls": count.astype(np.float64), "mean": quotient(total, count, unit_bits)}


def counts_and_sums(state: Arrays) -> tuple[Int64s, Int64s]:
    """The arrays `count` and `sum` of a state."""
    return cast(Int64s, state["count"]), cast(Int64s, state["sum"])
