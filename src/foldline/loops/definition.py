"""A loop's definition: one place where decisions are made.

Versions count up from 1 and are never overwritten. What may change from one version to the next is the actions,
the range, the policy and its parameters, the reward rule (changing a learning parameter starts a new fold, from
offset 0). What may not: the number of partitions, the generation, the salt.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, InputError
from foldline.fold.rule import RewardRule
from foldline.loops.timeline_fold import TimelineFold
from foldline.models.definition import MODEL_KIND
from foldline.policies.fold import PolicyFold
from foldline.policies.protocol import Policy
from foldline.policies.registry import policy_from
from foldline.records.types import Definition

LoopName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class LoopDefinition(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="loop"):
    """A version of a loop, as it stands in the catalogue.

    Attributes:
        name: letters, digits, `-` and `_`.
        version: counts up from 1.
        time: when it was defined, milliseconds since 1970-01-01 UTC.
        actions: what may be decided, each once; at least one, unless the loop only has models.
        policy: the policy as JSON values, `kind` first.
        reward: which reward is learnt, and when.
        complete: whether outcomes arrive complete; decisions and rewards on their own are then refused.
        low: least reward allowed.
        high: greatest reward allowed, above `low`.
        partitions: of the event topic; fixed.
        generation: of the event topic; fixed.
        salt: of the loop's draws; fixed.
        folds: further folds that run on the loop's events, as JSON values, `kind` first; see `loops.folds`.
    """

    name: LoopName
    version: Annotated[int, Meta(ge=1)]
    time: int
    actions: tuple[str, ...]
    policy: dict[str, Any]
    reward: RewardRule = RewardRule()
    complete: bool = False
    low: float = 0.0
    high: float = 1.0
    partitions: Annotated[int, Meta(ge=1, le=4096)] = 1
    generation: Annotated[int, Meta(ge=0)] = 0
    salt: str
    folds: tuple[dict[str, Any], ...] = ()

    @property
    def branch(self) -> str:
        """What its roots and bundles are named by besides the loop: nothing, but for an experiment's variants."""
        return ""

    @property
    def decides(self) -> bool:
        """Whether decisions are made here; a loop without actions only has models."""
        return bool(self.actions)

    def build_policy(self) -> Policy:
        """The policy as an object."""
        return policy_from(self.policy)

    def fold(self) -> PolicyFold:
        """The fold that learns this loop's policy."""
        return PolicyFold(self.build_policy(), self.reward, complete=self.complete)

    def timeline(self) -> TimelineFold:
        """The fold that keeps this loop's timeline."""
        return TimelineFold(self.reward, complete=self.complete)

    def marker(self, time: int) -> Definition:
        """The record that makes this version apply to a partition from its offset on."""
        return Definition(
            time=time,
            loop=self.name,
            version=self.version,
            actions=list(self.actions),
            low=self.low,
            high=self.high,
        )


def checked(definition: LoopDefinition) -> LoopDefinition:
    """The definition, if it is coherent.

    Raises:
        InputError: a name or an action is not well formed.
        DefinitionError: `definition.incoherent`, naming what contradicts what.
    """
    try:
        msgspec.convert(msgspec.to_builtins(definition), type(definition))
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"defining loop {definition.name!r}: {error}") from error
    _check_actions(definition)
    policy = definition.build_policy()
    if definition.decides:
        policy.check(definition.actions, definition.low, definition.high)
    if not definition.low < definition.high:
        raise DefinitionError(
            "definition.incoherent",
            f"loop {definition.name!r}: range {definition.low!r} to {definition.high!r} is empty; "
            "give low < high",
        )
    if policy.merge_law == "none" and definition.partitions > 1:
        raise DefinitionError(
            "definition.incoherent",
            f"loop {definition.name!r}: policy {definition.policy['kind']!r} has a state that does not merge, "
            f"so it learns on one partition only; got partitions={definition.partitions}",
            field="partitions",
        )
    if policy.correction_law == "none" and definition.reward.wait_ms == 0 and not definition.complete:
        raise DefinitionError(
            "definition.incoherent",
            f"loop {definition.name!r}: policy {definition.policy['kind']!r} cannot replace a reward once "
            "learnt, so a reward wait of 0 would teach it the default reward of every decision; give a "
            "reward wait, or complete=True and report outcomes",
            field="reward_wait_s",
        )
    return definition


def _check_actions(definition: LoopDefinition) -> None:
    actions = definition.actions
    if not actions and not any(fold.get("kind") == MODEL_KIND for fold in definition.folds):
        raise InputError(
            "input.no_action",
            f"loop {definition.name!r} has no actions; give at least one, or a model",
            field="actions",
        )
    if len(set(actions)) < len(actions):
        twice = sorted({a for a in actions if actions.count(a) > 1})
        raise InputError(
            "input.invalid", f"loop {definition.name!r} names {twice!r} more than once", field="actions"
        )
    for action in actions:
        if not action or len(action) > 256 or any(ord(c) < 32 for c in action):
            raise InputError(
                "input.invalid",
                f"action {action!r} of loop {definition.name!r}: expected 1 to 256 characters, none a control",
                field="actions",
            )


def check_successor(old: LoopDefinition, new: LoopDefinition) -> None:
    """Refuse a new version that changes what is fixed for a loop's life.

    Raises:
        DefinitionError: `definition.conflict`.
    """
    for field in ("partitions", "generation", "salt"):
        was, wanted = getattr(old, field), getattr(new, field)
        if was != wanted:
            raise DefinitionError(
                "definition.conflict",
                f"loop {old.name!r} has {field}={was!r}, asked for {wanted!r}; it is fixed for the loop's life: "
                "define a loop of another name",
                field=field,
            )
