"""A loop's handle: decide, reward, see what was learnt."""

import math
import threading
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from foldline.engine.host import Host
from foldline.engine.known import KnownStates
from foldline.engine.replica import Replica
from foldline.errors import FoldError, InputError
from foldline.log.protocol import Batch, Log
from foldline.loops.bundle import Bundle
from foldline.loops.deciding import Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.estimate import Counts, Estimate, counts_of, estimates_of
from foldline.loops.topics import topics_of
from foldline.records.codec import encode
from foldline.records.hashing import partition_of
from foldline.records.ids import checked_name, decision_id, parse_decision_id
from foldline.records.types import Activation, AnyRecord, Decision, Outcome, Reward

BUNDLE_TIMEOUT_S = 30.0
"""Generous: the first fold on a new machine compiles its kernels."""


class Position(NamedTuple):
    """Where a record stands on the loop's event topic."""

    partition: int
    offset: int


class Loop:
    """One place where decisions are made. Made by `Foldline.loop`; thread-safe.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     news = app.loop("news", actions=["a", "b"])
        ...     for unit in ("u1", "u2", "u3"):
        ...         news.reward(news.decide(unit), 1)
        ...     news.catch_up()
        ...     sum(estimate.pulls for estimate in news.estimates())
        3
    """

    def __init__(
        self,
        log: Log,
        host: Host,
        definition: LoopDefinition,
        replica: Replica,
        clock: Callable[[], int],
    ) -> None:
        self._log = log
        self._host = host
        self._name = definition.name
        self._replica = replica
        self._clock = clock
        self._topic = topics_of(definition).events
        self._partitions = definition.partitions
        self._generation = definition.generation
        self._appended: dict[int, int] = {}
        self._collected = threading.local()
        self._looking = threading.Lock()
        self._seen: tuple[int, KnownStates] | None = None

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    @property
    def definition(self) -> LoopDefinition:
        """The newest version of the definition."""
        return self._host.catalogue.one(self._name)

    @property
    def bundle(self) -> Bundle:
        """The bundle decided with now.

        Raises:
            FoldError: `fold.no_bundle` before the first one.
        """
        return self._decider().bundle

    def decide(
        self,
        unit: str,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        id: str | None = None,
        log: bool = True,
    ) -> Decision:
        """Choose an action for a unit; durable on the log when this returns.

        Args:
            unit: who or what is decided for; 1 to 400 characters.
            context: features, logged by value; finite numbers, strings, lists, dicts.
            available: the actions allowed now, where fewer than the loop's.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
            log: False leaves the decision off the log; report it later with `outcome`.

        Returns:
            The decision, with `action`, `propensity` and `id`.

        Raises:
            InputError: unit, id or available are not usable.
            FoldError: `fold.no_bundle` before the first bundle.
        """
        checked_name(unit, "unit")
        local = uuid.uuid4().hex if id is None else checked_name(id, "id")
        decision = self._decider().decide(unit, local, self._clock(), context=context, available=available)
        if log:
            self._refuse_if_complete("a decision on its own")
            self._append(decision, self._partition_of(unit))
        return decision

    def reward(
        self,
        decision: Decision | str | None,
        value: float,
        *,
        unit: str | None = None,
        name: str | None = None,
        id: str | None = None,
    ) -> None:
        """Report how a decision went; durable when this returns.

        Args:
            decision: the decision, its id, or the caller's own id together with `unit`; None credits the last
                decision of `unit`.
            value: within the loop's range.
            unit: see `decision`.
            name: which reward this is; the loop's by default.
            id: for retries: the same id counts once. Random by default.

        Raises:
            InputError: `input.out_of_range`, `input.not_finite`, `input.unknown_decision`.
        """
        self._refuse_if_complete("a reward on its own")
        definition = self.definition
        name = definition.reward.name if name is None else checked_name(name, "name")
        if name == definition.reward.name:
            self._check_value(value, definition)
        target, partition = self._target(decision, unit)
        reward = Reward(
            time=self._clock(),
            id=uuid.uuid4().hex if id is None else checked_name(id, "id"),
            decision=target,
            unit=unit if target is None else None,
            name=name,
            value=float(value),
        )
        self._append(reward, partition)

    def outcome(self, decision: Decision, reward: float) -> None:
        """Report a decision made with `log=False` together with its reward; durable when this returns.

        Raises:
            InputError: the reward is out of range or not finite.
        """
        self._check_value(reward, self.definition)
        record = Outcome(
            time=self._clock(),
            id=decision.id,
            unit=decision.unit,
            action=decision.action,
            propensity=decision.propensity,
            reward=float(reward),
            bundle=decision.bundle,
            definition=decision.definition,
            available=decision.available,
            context=decision.context,
            occurred=decision.occurred,
        )
        self._append(record, self._partition_of(decision.unit))

    def activate(self, decision: Decision | str) -> None:
        """Report that a decision was shown; needed where the loop asks for activations."""
        target, partition = self._target(decision, None)
        if target is None:
            raise InputError("input.unknown_decision", "activate needs a decision or its id, got None")
        self._append(Activation(time=self._clock(), decision=target), partition)

    @contextmanager
    def batch(self) -> Iterator[list[Position]]:
        """Append what this thread reports inside the block at once, when it ends; durable from then on.

        One commit for many records: what an app that serves several readers at a time wants. If the block
        raises, nothing of it is appended.

        Yields:
            A list that afterwards says where each record stands, in the order of the calls.

        Example:
            >>> import foldline as fl
            >>> with fl.open("memory://") as app:
            ...     news = app.loop("news", actions=["a", "b"])
            ...     with news.batch() as written:
            ...         choices = [news.decide(unit) for unit in ("u1", "u2", "u3")]
            ...     len(written)
            3
        """
        if getattr(self._collected, "records", None) is not None:
            raise InputError("input.invalid", "a batch of this loop is open in this thread; end it first")
        collected: list[tuple[int, int, bytes]] = []
        positions: list[Position] = []
        self._collected.records = collected
        try:
            yield positions
        finally:
            self._collected.records = None
        if collected:
            positions.extend(self._append_all(collected))

    def estimates(self) -> list[Estimate]:
        """What was learnt about each action, as the newest roots on the log say. Reads the log."""
        states = self._states()
        return estimates_of(states.fold, states.merged())

    def counts(self) -> Counts:
        """How many decisions and rewards were folded, and what became of them. Reads the log."""
        return counts_of(self._states().merged(), self.definition.reward.unit_bits)

    def catch_up(self, timeout_s: float = BUNDLE_TIMEOUT_S) -> None:
        """Wait until the bundle covers everything this handle has appended.

        Raises:
            FoldError: `fold.no_bundle` if it does not within the time.
        """
        self._await(lambda b: all(b.cut[p] >= end for p, end in self._appended.items()), timeout_s)

    def await_definition(self, version: int, timeout_s: float = BUNDLE_TIMEOUT_S) -> None:
        """Wait for a bundle of at least this definition version."""
        self._await(lambda b: b.definition >= version, timeout_s)

    def _await(self, holds: Callable[[Bundle], bool], timeout_s: float) -> None:
        def ready() -> bool:
            decider = self._replica.decider
            return decider is not None and holds(decider.bundle)

        if not self._host.await_bundle(ready, timeout_s):
            self._raise_failure()
            raise FoldError(
                "fold.no_bundle",
                f"loop {self._name!r}: no bundle covering what was asked came within {timeout_s:g} s; "
                "is a learner running on this log?",
            )

    def _raise_failure(self) -> None:
        if self._host.failure is not None:
            raise self._host.failure
        learner = self._host.learner(self._name)
        for error in learner.failed.values() if learner is not None else ():
            raise error

    def _decider(self) -> Decider:
        decider = self._replica.decider
        if decider is None:
            raise FoldError("fold.no_bundle", f"loop {self._name!r} has no bundle yet; is a learner running?")
        return decider

    def _states(self) -> KnownStates:
        """The roots read to their end; kept, so that the next look reads only what is new."""
        self._raise_failure()
        definition = self.definition
        with self._looking:
            if self._seen is None or self._seen[0] != definition.version:
                self._seen = (definition.version, KnownStates(self._log, definition))
            self._seen[1].read()
            return self._seen[1]

    def _target(self, decision: Decision | str | None, unit: str | None) -> tuple[str | None, int]:
        """The full decision id a reward names, or None for the unit's last, and the partition."""
        if isinstance(decision, Decision):
            return decision.id, parse_decision_id(decision.id).partition
        if unit is not None:
            partition = self._partition_of(checked_name(unit, "unit"))
            if decision is None:
                return None, partition
            return decision_id(self._generation, partition, checked_name(decision, "decision")), partition
        if decision is None:
            raise InputError(
                "input.unknown_decision",
                "neither a decision nor a unit was given; name what the reward is for",
            )
        parsed = parse_decision_id(decision)
        if parsed.generation != self._generation or parsed.partition >= self._partitions:
            raise InputError(
                "input.unknown_decision",
                f"decision {decision!r} is of generation {parsed.generation}, partition {parsed.partition}; "
                f"loop {self._name!r} has generation {self._generation} with {self._partitions} partitions",
            )
        return decision, parsed.partition

    def _check_value(self, value: float, definition: LoopDefinition) -> None:
        if not _is_finite(value):
            raise InputError("input.not_finite", f"reward {value!r}: expected a finite number", field="value")
        if not definition.low <= value <= definition.high:
            raise InputError(
                "input.out_of_range",
                f"reward {value!r} lies outside the range of loop {self._name!r}, "
                f"{definition.low:g} to {definition.high:g}; correct it or declare a wider range",
                field="value",
            )

    def _refuse_if_complete(self, what: str) -> None:
        if self.definition.complete:
            raise InputError(
                "input.invalid",
                f"loop {self._name!r} takes complete outcomes only, got {what}; "
                "decide with log=False and report the outcome",
            )

    def _partition_of(self, unit: str) -> int:
        return partition_of(unit, self._partitions) if self._partitions > 1 else 0

    def _append(self, record: AnyRecord, partition: int) -> None:
        collected: list[tuple[int, int, bytes]] | None = getattr(self._collected, "records", None)
        if collected is not None:
            collected.append((partition, record.time, encode(record)))
            return
        batch = Batch(self._topic, partition, encode(record), 1, record.time, record.time)
        self._note(partition, self._log.append([batch])[0] + 1)

    def _append_all(self, collected: list[tuple[int, int, bytes]]) -> list[Position]:
        """One batch a partition, in one append; where each record stands, in the order collected."""
        lines: dict[int, list[bytes]] = {}
        times: dict[int, list[int]] = {}
        for partition, time, line in collected:
            lines.setdefault(partition, []).append(line)
            times.setdefault(partition, []).append(time)
        batches = [
            Batch(self._topic, p, b"\n".join(lines[p]), len(lines[p]), min(times[p]), max(times[p]))
            for p in lines
        ]
        following = dict(zip(lines, self._log.append(batches), strict=True))
        positions = []
        for partition, _, _ in collected:
            positions.append(Position(partition, following[partition]))
            following[partition] += 1
        for partition, end in following.items():
            self._note(partition, end)
        return positions

    def _note(self, partition: int, end: int) -> None:
        self._appended[partition] = max(self._appended.get(partition, 0), end)


def _is_finite(value: object) -> bool:
    """Callers without a type checker may give anything."""
    return isinstance(value, int | float) and math.isfinite(value)
