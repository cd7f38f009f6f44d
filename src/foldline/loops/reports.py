"""What callers report, as records: checked against the loop's definition, placed on their partition.

Pure: ids and times are arguments. The program's loop, the HTTP service and the outbox of an edge client all report
through here, so that each refuses the same and writes the same.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from foldline.errors import InputError
from foldline.loops.definition import LoopDefinition
from foldline.loops.followed import followed
from foldline.loops.made import Made
from foldline.loops.trying import Chooser
from foldline.models.definition import MODEL_KIND
from foldline.records.hashing import partition_of
from foldline.records.ids import checked_name, decision_id, parse_decision_id
from foldline.records.types import (
    Activation,
    AnyRecord,
    Decision,
    Example,
    Label,
    Observation,
    Outcome,
    Reward,
    Value,
)

LONGEST_REWARD_NAME = 256
"""Characters; a record takes no more."""


class Placed(NamedTuple):
    """A record and the partition of the event topic it belongs to."""

    partition: int
    record: AnyRecord


class Reports:
    """Makes the records of one version of a loop.

    Args:
        definition: the newest version.
        past: actions of earlier versions: decisions made elsewhere may still name them.
    """

    def __init__(self, definition: LoopDefinition, past: Collection[str] = ()) -> None:
        self.definition = definition
        self._partitions = definition.partitions
        self._prefixes = [decision_id(definition.generation, p, "") for p in range(definition.partitions)]
        self._actions = frozenset(definition.actions) | frozenset(past)

    def decide(
        self,
        decider: Chooser,
        unit: str,
        local: str,
        time: int,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        anonymous: str | None = None,
    ) -> Placed:
        """Decide for a unit. The unit and the local id are checked here.

        Args:
            decider: decides.
            unit: who or what is decided for.
            local: the local part of the decision's id.
            time: log time, milliseconds.
            context: features.
            available: the actions allowed, where fewer than all.
            anonymous: the id that the unit had before it logged in; see `followed`.

        Raises:
            InputError: unit, id or available are not usable; `input.invalid` where the loop takes complete
                outcomes only.
        """
        self.refuse_if_complete("a decision on its own")
        return self.choose(
            decider, unit, local, time, context=context, available=available, anonymous=anonymous
        )

    def choose(
        self,
        decider: Chooser,
        unit: str,
        local: str,
        time: int,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        anonymous: str | None = None,
    ) -> Placed:
        """As `decide`, for a decision that will be reported with its outcome."""
        checked_name(unit, "unit")
        account = None
        if anonymous is not None and anonymous != unit:
            unit, account = followed(unit, anonymous), unit
        partition = self.partition(unit)
        self._check_local(local, partition)
        return Placed(
            partition,
            decider.decide(
                unit, local, time, partition=partition, context=context, available=available, account=account
            ),
        )

    def reward(
        self,
        decision: str | None,
        value: float,
        *,
        id: str,
        time: int,
        unit: str | None = None,
        name: str | None = None,
        occurred: int | None = None,
    ) -> Placed:
        """How a decision went.

        Args:
            decision: its full id, or its local id together with `unit`; None credits the unit's last decision.
            value: within the loop's range, where `name` is the loop's reward.
            id: the reward's own id.
            time: log time, milliseconds.
            unit: see `decision`.
            name: which reward; the loop's by default.
            occurred: the time the client claims, milliseconds.

        Raises:
            InputError: `input.out_of_range`, `input.not_finite`, `input.unknown_decision`, `input.invalid`.
        """
        self.refuse_if_complete("a reward on its own")
        learnt = self.definition.reward.name
        name = learnt if name is None else _reward_name(name)
        if name == learnt:
            self.check_value(value)
        target, partition = self._target(decision, unit)
        return Placed(
            partition,
            Reward(
                time=time,
                id=checked_name(id, "reward_id"),
                decision=target,
                unit=unit if target is None else None,
                name=name,
                value=float(value),
                occurred=occurred,
            ),
        )

    def activation(self, decision: str | None, *, time: int, unit: str | None = None) -> Placed:
        """A decision was shown."""
        self.refuse_if_complete("an activation on its own")
        target, partition = self._target(decision, unit)
        if target is None:
            raise InputError(
                "input.unknown_decision",
                f"an activation names its decision, got {decision!r}",
                field="decision",
                value=decision,
            )
        return Placed(partition, Activation(time=time, decision=target))

    def made(self, made: Made, *, time: int) -> Placed:
        """A decision made elsewhere, with the propensity it had."""
        self.refuse_if_complete("a decision on its own")
        partition, fields = self._fields(made)
        return Placed(partition, Decision(time=time, **fields, **made.trial))

    def outcome(self, made: Made, reward: float, *, time: int) -> Placed:
        """A decision made elsewhere, with the propensity it had and how it went."""
        self.check_value(reward, "reward")
        partition, fields = self._fields(made)
        return Placed(partition, Outcome(time=time, reward=float(reward), **fields))

    def observation(
        self, unit: str, name: str, value: float, *, id: str, time: int, occurred: int | None = None
    ) -> Placed:
        """A unit's value without a decision, such as revenue.

        Raises:
            InputError: `input.invalid`, `input.not_finite`.
        """
        partition = self.partition(checked_name(unit, "unit"))
        _check_finite(value, "value")
        observation = Observation(
            time=time,
            id=checked_name(id, "observation_id"),
            unit=unit,
            name=_reward_name(name),
            value=float(value),
            occurred=occurred,
        )
        return Placed(partition, observation)

    def example(
        self,
        unit: str,
        x: Mapping[str, Value | None],
        local: str,
        time: int,
        *,
        y: Value | None = None,
        occurred: int | None = None,
    ) -> Placed:
        """Something for the loop's models to predict, and to learn where the label is known.

        Raises:
            InputError: `input.invalid` where the loop has no models, or unit, id or a feature are not usable.
        """
        if not any(fold.get("kind") == MODEL_KIND for fold in self.definition.folds):
            raise InputError(
                "input.invalid", f"loop {self.definition.name!r} has no models; define it with some"
            )
        partition = self.partition(checked_name(unit, "unit"))
        self._check_local(local, partition)
        for name, value in x.items():
            _check_value(value, f"x.{name}")
        example = Example(
            time=time,
            id=decision_id(self.definition.generation, partition, local),
            unit=unit,
            x=dict(x),
            y=_check_value(y, "y"),
            occurred=occurred,
        )
        return Placed(partition, example)

    def label(
        self, example: str, y: Value, *, time: int, unit: str | None = None, occurred: int | None = None
    ) -> Placed:
        """What an example turned out to be.

        Args:
            example: its full id, or its local id together with `unit`.
            y: the label.
            time: log time, milliseconds.
            unit: see `example`.
            occurred: when, by the client's clock.
        """
        full, partition = self._target(example, unit)
        if full is None or _check_value(y, "y") is None:
            raise InputError(
                "input.invalid", f"a label of example {example!r} is {y!r}; give both", field="y"
            )
        return Placed(partition, Label(time=time, example=full, y=y, occurred=occurred))

    def local_id(self, id: str, unit: str) -> str:
        """The local part of a decision's id, of a unit of this loop; an id in another form is taken as local."""
        return id.removeprefix(self._prefixes[self.partition(checked_name(unit, "unit"))])

    def partition(self, unit: str) -> int:
        """The partition of a unit."""
        return partition_of(unit, self._partitions) if self._partitions > 1 else 0

    def check_value(self, value: object, field: str = "value") -> None:
        """Refuse a reward that is not finite or outside the loop's range."""
        low, high = self.definition.low, self.definition.high
        number = _check_finite(value, field)
        if not low <= number <= high:
            raise InputError(
                "input.out_of_range",
                f"reward {value!r} lies outside the range of loop {self.definition.name!r}, "
                f"{low:g} to {high:g}; correct it or declare a wider range",
                field=field,
                value=value,
                expected=f"{low:g} to {high:g}",
            )

    def refuse_if_complete(self, what: str) -> None:
        """Refuse what a loop of complete outcomes does not take."""
        if self.definition.complete:
            raise InputError(
                "input.invalid",
                f"loop {self.definition.name!r} takes complete outcomes only, got {what}; "
                "decide without logging and report the outcome",
            )

    def _fields(self, made: Made) -> tuple[int, dict[str, Any]]:
        """Partition and common fields of a decision made elsewhere."""
        checked_name(made.unit, "unit")
        for action in (made.action, *(made.available or ())):
            if action not in self._actions:
                raise InputError(
                    "input.unknown_action",
                    f"{action!r} is none of the actions of loop {self.definition.name!r}",
                    field="action" if action == made.action else "available",
                    value=action,
                )
        if made.available is not None and made.action not in made.available:
            raise InputError(
                "input.invalid",
                f"action {made.action!r} was chosen, but is none of the available {made.available!r}",
                field="available",
                value=made.available,
                expected="the actions that could be chosen, the one chosen among them",
            )
        if not 0.0 < made.propensity <= 1.0:
            raise InputError(
                "input.invalid",
                f"propensity is {made.propensity!r}: an action that was chosen had a probability above 0, at most 1",
                field="propensity",
                value=made.propensity,
                expected="above 0, at most 1",
            )
        partition = self.partition(made.unit)
        self._check_local(made.local, partition)
        return partition, {
            "id": decision_id(self.definition.generation, partition, made.local),
            "unit": made.unit,
            "action": made.action,
            "propensity": made.propensity,
            "bundle": made.bundle,
            "definition": self.definition.version if made.definition is None else made.definition,
            "available": made.available,
            "context": made.context,
            "occurred": made.occurred,
        }

    def _target(self, decision: str | None, unit: str | None) -> tuple[str | None, int]:
        """The full decision id named, or None for the unit's last, and the partition."""
        if unit is not None:
            partition = self.partition(checked_name(unit, "unit"))
            if decision is None:
                return None, partition
            return self._full_id(decision, partition), partition
        if decision is None:
            raise InputError(
                "input.unknown_decision",
                "neither a decision nor a unit was given; name what the reward is for",
                field="decision",
            )
        parsed = parse_decision_id(decision)
        if parsed.generation != self.definition.generation or parsed.partition >= self._partitions:
            raise InputError(
                "input.unknown_decision",
                f"decision {decision!r} is of generation {parsed.generation}, partition {parsed.partition}; loop "
                f"{self.definition.name!r} has generation {self.definition.generation} with "
                f"{self._partitions} partitions",
                field="decision",
                value=decision,
            )
        return decision, parsed.partition

    def _full_id(self, decision: str, partition: int) -> str:
        """A local id made whole; a full id of the unit's own partition stays as it is."""
        prefix = self._prefixes[partition]
        return prefix + checked_name(decision.removeprefix(prefix), "decision")

    def _check_local(self, local: str, partition: int) -> None:
        """A local id that looks like a full one could not be told from it in a reward."""
        if checked_name(local, "decision").startswith(self._prefixes[partition]):
            raise InputError(
                "input.invalid",
                f"decision is {local!r}: your own id must not begin with {self._prefixes[partition]!r}, as the full "
                "ids of its unit do",
                field="decision",
                value=local,
            )


def _check_finite(value: object, field: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(
            "input.not_finite",
            f"{field} {value!r}: expected a finite number",
            field=field,
            value=repr(value),
            expected="a finite number",
        )
    return value


def _check_value(value: Value | None, field: str) -> Value | None:
    """A feature or a label, if it is a text, a boolean or a finite number."""
    if value is None or isinstance(value, str | bool | int):
        return value
    return _check_finite(value, field)


def _reward_name(name: str) -> str:
    if len(checked_name(name, "name")) > LONGEST_REWARD_NAME:
        raise InputError(
            "input.invalid",
            f"name is {name[:40]!r}, {len(name)} characters long, expected 1 to {LONGEST_REWARD_NAME}",
            field="name",
            value=name,
            expected=f"1 to {LONGEST_REWARD_NAME} characters",
        )
    return name
