"""The state of policies with confidence bounds: exact sums, and the pulls counted when they are decided.

Between a decision and its reward such a policy would repeat itself, as it is not random; counting the pull at
once lowers the action's bound before its reward is known.
"""

from typing import cast

import numpy as np

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits
from foldline.policies.exact_sums import ExactSums, Int64s
from foldline.stats.exact_sums import count_pulls


class PulledSums(ExactSums, frozen=True):
    """Exact sums and `pulls` (n,) int64: decisions taken less decisions that no longer count."""

    def empty(self, actions: int) -> Arrays:
        """See `Policy.empty`."""
        return {**super().empty(actions), "pulls": np.zeros(actions, np.int64)}

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`; about 2 ns an emit."""
        pulled = count_pulls(cast(Int64s, state["pulls"]), emits.kind, emits.action)
        return super().learn(state, emits, unit_bits=unit_bits) or pulled


def pulls_of(state: Arrays) -> Int64s:
    """(n,) pulls of each action: at least as many as rewards were learnt, whatever was said of their decisions."""
    return np.maximum(cast(Int64s, state["pulls"]), cast(Int64s, state["count"]))
