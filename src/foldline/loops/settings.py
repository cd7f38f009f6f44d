"""Settings of a loop as people give them: in Python, in TOML, over HTTP. All optional; what is left out stays."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, FoldError, InputError
from foldline.fold.rule import MOST_UNIT_BITS, RewardRule
from foldline.loops.definition import LoopDefinition
from foldline.policies.epsilon_greedy import EpsilonGreedy

_AS_GIVEN = {
    "name": "reward",
    "wait_ms": "reward_wait_s",
    "correction_ms": "correction_s",
    "default": "default_reward",
}
"""The settings by what the reward rule calls them."""


class LoopSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to define a loop with, or to change of it. None keeps the present value, or the default of a new loop.

    Attributes:
        actions: what may be decided; required for a new loop, unless it has models.
        policy: how, as JSON values with `kind` first (default `epsilon_greedy`).
        reward: name of the reward learnt (default "reward").
        reward_wait_s: seconds of stream time a decision waits for its rewards (default 0: learnt at once with the
            default reward, corrected when the truth comes).
        correction_s: seconds after the wait in which a late reward still corrects (default 3600).
        default_reward: what a decision without reward is worth (default 0).
        aggregation: how several rewards of a decision become one (default "sum").
        activation: whether a decision counts only once shown (default False).
        complete: whether outcomes arrive complete, without separate rewards (default False).
        low: least reward allowed (default 0).
        high: greatest reward allowed (default 1).
        unit_bits: rewards are summed exactly in units of 2^-unit_bits (default 32).
        partitions: of the event topic (default 1); fixed once defined.
        salt: of the draws (default random); fixed once defined.
        folds: further folds that run on the loop's events, as JSON values with `kind` first (default none).
    """

    actions: tuple[str, ...] | None = None
    policy: dict[str, Any] | None = None
    reward: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    reward_wait_s: Annotated[float, Meta(ge=0)] | None = None
    correction_s: Annotated[float, Meta(ge=0)] | None = None
    default_reward: float | None = None
    aggregation: Literal["sum", "first", "last", "max", "mean"] | None = None
    activation: bool | None = None
    complete: bool | None = None
    low: float | None = None
    high: float | None = None
    unit_bits: Annotated[int, Meta(ge=0, le=MOST_UNIT_BITS)] | None = None
    partitions: Annotated[int, Meta(ge=1, le=4096)] | None = None
    salt: str | None = None
    folds: tuple[dict[str, Any], ...] | None = None

    def settle(self, name: str, old: LoopDefinition | None, *, salt: str, now: int) -> LoopDefinition:
        """The definition asked for: `old` itself where nothing differs. It still is to be checked.

        Args:
            name: of the loop.
            old: its newest version, None for a new loop.
            salt: for a new loop whose settings name none.
            now: milliseconds, stamps a new version.

        Raises:
            InputError: `input.no_action` for a new loop without actions; `input.invalid` for a time that is no
                number of seconds.
            DefinitionError: the reward rule contradicts itself, or a reward of the range has no room in its units.
        """
        fields = _given(
            actions=self.actions,
            policy=self.policy,
            complete=self.complete,
            low=self.low,
            high=self.high,
            partitions=self.partitions,
            salt=self.salt,
            folds=self.folds,
        )
        rule = self._rule(old.reward if old is not None else RewardRule())
        if old is None:
            if self.actions is None and not self.folds:
                raise InputError(
                    "input.no_action",
                    f"loop {name!r} is new; give it at least one action, or a model",
                    field="actions",
                )
            new = {"actions": (), "policy": msgspec.to_builtins(EpsilonGreedy()), "salt": salt, **fields}
            return _with_room(LoopDefinition(name=name, version=1, time=now, reward=rule, **new))
        wanted = _with_room(msgspec.structs.replace(old, reward=rule, **fields))
        if wanted == old:
            return old
        return msgspec.structs.replace(wanted, version=old.version + 1, time=now)

    def _rule(self, base: RewardRule) -> RewardRule:
        changes = _given(
            name=self.reward,
            wait_ms=_milliseconds(self.reward_wait_s, "reward_wait_s"),
            correction_ms=_milliseconds(self.correction_s, "correction_s"),
            default=self.default_reward,
            aggregation=self.aggregation,
            activation=self.activation,
            unit_bits=self.unit_bits,
        )
        try:
            return msgspec.structs.replace(base, **changes) if changes else base
        except DefinitionError as error:
            error.field = _AS_GIVEN.get(error.field or "", error.field)
            raise


def _with_room(definition: LoopDefinition) -> LoopDefinition:
    """The definition, if every reward in its range has room in the units it is summed in."""
    for bound, value in (("low", definition.low), ("high", definition.high)):
        try:
            definition.reward.units(value)
        except InputError as error:
            raise InputError(
                "input.not_finite",
                f"loop {definition.name!r}: {bound} is {value!r}, expected a finite number",
                field=bound,
                value=repr(value),
            ) from error
        except FoldError as error:
            raise DefinitionError(
                "definition.incoherent",
                f"loop {definition.name!r}: rewards of {value!r} cannot be summed in units of "
                f"2^-{definition.reward.unit_bits}; give fewer unit_bits or a smaller {bound}",
                field=bound,
                value=value,
            ) from error
    return definition


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _milliseconds(seconds: float | None, field: str) -> int | None:
    if seconds is None:
        return None
    try:
        return round(seconds * 1000)
    except (OverflowError, ValueError) as error:
        raise InputError(
            "input.invalid",
            f"{field} is {seconds!r}, expected a number of seconds",
            field=field,
            value=seconds,
        ) from error
