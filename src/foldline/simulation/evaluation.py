"""What would a policy have earned on what was logged? The replay, or rejection, method.

Li, Chu, Langford and Wang 2011 (Unbiased offline evaluation of contextual-bandit-based news article
recommendation algorithms, WSDM), algorithm 3, for a finite log: the policy chooses among the actions of each
logged event; where it chooses the one that was shown, the event is retained, its reward counts and the policy
learns it; otherwise the event is as if it had never been. If the log showed every available action with the same
probability, independently of everything else, the retained events are distributed as if the policy had run.
"""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from foldline.errors import InputError
from foldline.loops.deciding import ACTION
from foldline.policies.compiled import Compiled
from foldline.policies.fixed import Fixed
from foldline.policies.protocol import Policy
from foldline.policies.split import Split
from foldline.records.hashing import draw
from foldline.simulation.immediate import ImmediateLearner
from foldline.simulation.readers.logged import LoggedEvents
from foldline.simulation.readers.randomness import LoggedRandomness
from foldline.simulation.readers.source import LoggedSource
from foldline.stats.interval import Interval
from foldline.stats.mean_interval import mean_interval
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.wilson import wilson_interval


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The value of a policy on a log.

    Attributes:
        policy: as JSON values, `kind` first.
        method: `replay`.
        events: events read.
        matched: of them, retained.
        reward: sum of the retained rewards.
        mean_reward: reward a retained event.
        low: lower 95 % confidence limit of the mean reward.
        high: upper limit. Both take the retained rewards as independent with one mean, which those of a policy
            that still learns are only nearly.
        interval: how the limits were taken: `wilson` where all rewards are 0 or 1, else `normal`.
        bad_lines: lines of the file passed over.
        warning: why the figures may be biased, or None.
    """

    policy: dict[str, object]
    method: str
    events: int
    matched: int
    reward: float
    mean_reward: float
    low: float
    high: float
    interval: str
    bad_lines: int
    warning: str | None


def evaluate_by_replay(
    source: LoggedSource,
    policy: Policy,
    *,
    seed: int = 0,
    progress: Callable[[LoggedSource, int], None] | None = None,
) -> Evaluation | NotEstimable:
    """Value a policy by the replay method. About 1 us an event besides reading, and a compilation a match.

    Event i (from 0) is decided as the decision `0.0.i` with the salt `evaluate-SEED`. Actions may come and go:
    the policy chooses among those of the event, knows the others' rewards, and starts a new one from nothing.
    Stream time is that of the retained events. Every row of a log with several positions is an event of its own.

    Args:
        source: a log just opened.
        policy: chooses and learns, starting from nothing.
        seed: of the choices.
        progress: called with the source and the number of events read, after each chunk.

    Returns:
        The value, or `NotEstimable` where too little was retained for a mean with its interval.

    Raises:
        InputError: `input.unreadable` from the source; `input.unknown_action` where the policy names an action
            that no event offers.
    """
    replay = _Replay(source, policy, f"evaluate-{seed}")
    for events in source.events():
        replay.run(events)
        if progress is not None:
            progress(source, replay.events)
    return replay.result()


@dataclass(slots=True)
class _Rewards:
    """Number, sum and spread of the retained rewards; mean and squared deviations after Welford 1962."""

    count: int = 0
    total: float = 0.0
    mean: float = 0.0
    squares: float = 0.0
    binary: bool = True

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        change = value - self.mean
        self.mean += change / self.count
        self.squares += change * (value - self.mean)
        self.binary = self.binary and value in (0.0, 1.0)

    def interval(self) -> Interval | NotEstimable:
        if self.binary:
            return wilson_interval(self.total, self.count)
        return mean_interval(self.count, self.mean, self.squares / max(1, self.count - 1))


class _Replay:
    """The replay under way: the policy, its choice for the pool at hand, and what was counted."""

    def __init__(self, source: LoggedSource, policy: Policy, salt: str) -> None:
        self.events = 0
        self.rewards = _Rewards()
        self.randomness = LoggedRandomness()
        self._source, self._policy, self._salt = source, policy, salt
        self._vocabulary = source.vocabulary
        # A policy that names actions must know them before the log first offers them.
        self._named = frozenset(source.vocabulary.action(name) for name in _named(policy))
        self._offered: set[int] = set()
        self._lacking = 0
        self._learner = ImmediateLearner(policy, 0)

    def run(self, events: LoggedEvents) -> None:
        """Decide a chunk of events, learning from those retained."""
        self.randomness.add(events, self._vocabulary.pools)
        self._learner.grow(len(self._vocabulary.actions))
        names = self._vocabulary.actions
        choose, pool, lacking = None, -1, False
        columns = (events.time, events.action, events.reward, events.pool)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for number, (time, action, reward, offered) in enumerate(rows, start=self.events):
            if choose is None or offered != pool:
                choose, pool = self._choice(offered), offered
                lacking = not self._named <= self._offered_by(pool)
            self._lacking += lacking
            if choose(f"0.0.{number}") == names[action]:
                self.rewards.add(reward)
                if self._learner.learn(action, reward, time):
                    choose = None
        self.events += len(events)

    def result(self) -> Evaluation | NotEstimable:
        """The value of all chunks."""
        self._check_named()
        rewards, interval = self.rewards, self.rewards.interval()
        if isinstance(interval, NotEstimable):
            return NotEstimable(
                f"policy {self._policy.kind!r} chose what was shown in {rewards.count} of {self.events} events; "
                f"{interval.reason}"
            )
        return Evaluation(
            policy=msgspec.to_builtins(self._policy),
            method="replay",
            events=self.events,
            matched=rewards.count,
            reward=rewards.total,
            mean_reward=interval.estimate,
            low=interval.low,
            high=interval.high,
            interval="wilson" if rewards.binary else "normal",
            bad_lines=self._source.bad_lines,
            warning=self._warning(),
        )

    def _choice(self, pool: int) -> Callable[[str], str]:
        """From a decision's id to the name of the action chosen, with the state as it is.

        The pool's actions stand first, in the order of the line, for tie rules that take the first.
        """
        members = self._vocabulary.pools[pool]
        order = [*members, *sorted(set(range(len(self._vocabulary.actions))) - set(members))]
        names = [self._vocabulary.actions[i] for i in order]
        compiled = Compiled(self._policy.kind, names, self._learner.compile(order), self._salt)
        if len(order) == len(members):
            return lambda id: names[compiled.choose(id)[0]]
        available = frozenset(names[: len(members)])
        return lambda id: compiled.decide(None, draw(self._salt, ACTION, id), available)[0]

    def _offered_by(self, pool: int) -> frozenset[int]:
        members = frozenset(self._vocabulary.pools[pool])
        self._offered |= members
        return members

    def _check_named(self) -> None:
        never = sorted(self._vocabulary.actions[i] for i in self._named - self._offered)
        if never:
            raise InputError(
                "input.unknown_action",
                f"policy {self._policy.kind!r} names {never!r}, which no event of {str(self._source.path)!r} "
                "offers; name actions of the log",
                field="policy",
            )

    def _warning(self) -> str | None:
        said = []
        if not self.randomness.uniform:
            said.append(
                f"the log's propensities ({self.randomness.least:.6g} to {self.randomness.greatest:.6g}) are not "
                "uniform over the available actions: replay is biased on such a log"
            )
        if self._lacking:
            said.append(
                f"an action the policy names was not available in {self._lacking} of {self.events} events, "
                "where it chose among the others"
            )
        return "; ".join(said) or None


def _named(policy: Policy) -> tuple[str, ...]:
    if isinstance(policy, Fixed):
        return (policy.action,)
    return tuple(policy.shares) if isinstance(policy, Split) else ()
