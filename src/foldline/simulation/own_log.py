"""What a loop decided and what came of it, read from its own log: decisions with their probabilities and rewards."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from foldline.engine.reading import records_of
from foldline.engine.restore import rows_from
from foldline.fold.rule import RewardRule
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.types import Decision, Outcome, Reward

ROWS: Final = 1_000
"""Rows of a partition read at once."""


@dataclass(frozen=True, slots=True)
class OwnDecision:
    """A decision and its reward.

    Attributes:
        action: chosen.
        propensity: P(action | variant, available), as logged.
        available: the actions allowed, None for all.
        experiment: that decided which policy chose, or None.
        variant: whose policy chose, or None.
        reward: the aggregated reward, or the default.
        time: when it was made, milliseconds.
    """

    action: str
    propensity: float
    available: tuple[str, ...] | None
    experiment: str | None
    variant: str | None
    reward: float
    time: int = 0


def own_decisions(log: Log, loop: LoopDefinition) -> Iterator[OwnDecision]:
    """The loop's decisions in log order, partition after partition, each with its reward. O(records).

    A decision retried counts once, the last time; a reward credits the decision it names, or the last of the unit it
    names; one given twice counts once. Rewards that come after the wait and the correction window count as they do for
    the learner: not at all.

    Args:
        log: only read.
        loop: any version of the loop.
    """
    for partition in range(loop.partitions):
        yield from _Partition(loop.reward).read(log, topics_of(loop).events, partition)


class _Partition:
    def __init__(self, rule: RewardRule) -> None:
        self._rule = rule
        self._made: dict[str, Decision] = {}
        self._outcomes: list[OwnDecision] = []
        self._last: dict[str, str] = {}
        self._rewards: dict[str, list[float]] = {}
        self._known: set[str] = set()

    def read(self, log: Log, topic: str, partition: int) -> Iterator[OwnDecision]:
        for row in rows_from(log, topic, partition, log.offsets(topic, partition)[0]):
            for record in records_of([row]):
                match record:
                    case Decision():
                        self._made[record.id] = record
                        self._last[record.unit] = record.id
                    case Reward() if record.name == self._rule.name and record.id not in self._known:
                        self._credit(record)
                    case Outcome():
                        available = tuple(record.available) if record.available is not None else None
                        one = OwnDecision(
                            record.action,
                            record.propensity,
                            available,
                            None,
                            None,
                            record.reward,
                            record.time,
                        )
                        self._outcomes.append(one)
        yield from self._outcomes
        for id, made in self._made.items():
            rewards = self._rewards.get(id)
            reward = _aggregated(self._rule, rewards) if rewards else self._rule.default
            available = tuple(made.available) if made.available is not None else None
            yield OwnDecision(
                made.action, made.propensity, available, made.experiment, made.variant, reward, made.time
            )

    def _credit(self, reward: Reward) -> None:
        id = reward.decision if reward.decision is not None else self._last.get(reward.unit or "")
        made = self._made.get(id or "")
        if id is None or made is None or reward.time > made.time + self._rule.span_ms:
            return
        self._known.add(reward.id)
        self._rewards.setdefault(id, []).append(reward.value)


def _aggregated(rule: RewardRule, rewards: list[float]) -> float:
    match rule.aggregation:
        case "sum":
            return sum(rewards)
        case "first":
            return rewards[0]
        case "last":
            return rewards[-1]
        case "max":
            return max(rewards)
        case "mean":
            return sum(rewards) / len(rewards)
