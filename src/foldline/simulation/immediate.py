"""Immediate learning: every outcome is learnt before the next decision, as one learner on one partition would."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emit, Emits
from foldline.fold.rule import RewardRule
from foldline.policies.protocol import Parameters, Policy


class ImmediateLearner:
    """A policy, its state and its stream time; outcomes come one at a time.

    The policy hears of an outcome what attribution tells it: that it was decided, then learnt.

    Args:
        policy: learns.
        actions: how many it may choose from; `grow` adds more.
        low: least reward allowed.
        high: greatest reward allowed.
        rule: gives the unit in which rewards are summed; nothing is waited for.

    Attributes:
        state: the policy's state.
        time: stream time, milliseconds: that of the latest outcome.
    """

    __slots__ = ("_high", "_low", "_units", "_unit_bits", "emits", "policy", "state", "time")  # noqa: RUF023 - sorted but for case

    def __init__(
        self,
        policy: Policy,
        actions: int,
        *,
        low: float = 0.0,
        high: float = 1.0,
        rule: RewardRule | None = None,
    ) -> None:
        rule = rule or RewardRule()
        self.policy = policy
        self.state: Arrays = policy.empty(actions)
        self.time = 0
        self._low, self._high = low, high
        self._unit_bits, self._units = rule.unit_bits, rule.units
        # One buffer for all outcomes: making six arrays would cost more than learning.
        self.emits = Emits(
            kind=np.array([Emit.DECIDED, Emit.LEARNT], np.int8),
            action=np.zeros(2, np.int32),
            old=np.zeros(2, np.int64),
            new=np.zeros(2, np.int64),
            time=np.zeros(2, np.int64),
            row=np.zeros(2, np.int64),
        )

    def grow(self, actions: int) -> None:
        """Make room for new actions; `actions` counts all of them."""
        self.state = self.policy.grow(self.state, actions)

    def learn(self, action: int, reward: float, time: int) -> bool:
        """Learn the outcome of one decision; True if the state changed.

        Args:
            action: index of the action decided.
            reward: within the range.
            time: of decision and outcome, milliseconds; an earlier one than the latest counts as the latest.
        """
        self.time = max(self.time, time)
        emits = self.emits
        emits.action[:] = action
        emits.new[1] = self._units(reward)
        emits.time[:] = self.time
        return self.policy.learn(self.state, emits, unit_bits=self._unit_bits)

    def compile(self, columns: Sequence[int]) -> Parameters:
        """The parameters that decide among the actions of these state indexes, as of the stream time."""
        return self.policy.compile(
            self.state,
            columns,
            as_of=self.time,
            unit_bits=self._unit_bits,
            low=self._low,
            high=self._high,
        )

    def means(self, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        """(n,) float64 what the policy takes each action's mean reward to be, NaN where nothing was learnt."""
        estimates = self.policy.estimates(self.state, columns, as_of=self.time, unit_bits=self._unit_bits)
        return estimates["mean"]
