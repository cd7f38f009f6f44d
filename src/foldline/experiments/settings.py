"""Settings of an experiment as people give them: in Python, in a TOML or JSON file, over HTTP."""

import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from foldline.errors import InputError
from foldline.experiments.definition import (
    DAY_MS,
    ExperimentDefinition,
    ExperimentName,
    Rule,
    Variant,
    is_adaptive,
    planned_design,
)
from foldline.experiments.hashes import OURS, Hash
from foldline.experiments.layer import Holdout, LayerRange
from foldline.experiments.measure import Goal, Guardrail

_AT = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"field `([^`]+)`")

Seconds = Annotated[float, Meta(ge=0, le=400 * 86_400)]


class ExperimentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to define an experiment with.

    Attributes:
        variants: two or more, the control first.
        goal: what decides, with baseline or sd, and the effect wanted.
        max_days: the verdict comes at latest so many days after the start.
        guardrails: what must not become worse (default none).
        alpha: chance of a false win (default 0.05).
        power: chance to find the effect (default 0.9; where a sample size is given, what it gives).
        sample_size: units of the control (default: what the design needs).
        rule: `fixed`, the default, or `always_valid`, the default and the only one where a variant learns.
        window_s: seconds after a unit's first exposure in which its rewards count (default 3600).
        maturity_s: seconds a unit waits after its window for what is on its way (default 0).
        late_s: seconds after maturity in which late records still correct the tally (default 3600).
        coverage: share of eligible units enrolled (default 1).
        sticky: whether weights may change while it runs (default no): who is enrolled then keeps the variant.
        condition: who is eligible, over the context (default all).
        layer: slots of a layer.
        holdouts: groups left alone.
        forced: units by id and the variant they get.
        segments: attributes of the context that results are also shown by (default none).
        salt: of the hashes (default random; of another system's hash, what is hashed there).
        hash: by which units get their variants: `foldline_2` (default), `foldline_1`, or for an experiment that moves
            here `growthbook_1`, `growthbook_2`, `planout_uniform`, `planout_weighted`, `unleash`.
        unit_bits: sums are exact in units of 2^-unit_bits (default 32).

    Example:
        >>> settings = read_settings(b'''
        ... max_days = 28
        ... window_s = 3600
        ... variants = [{key = "control", policy = {kind = "fixed", action = "a"}},
        ...             {key = "challenger", policy = {kind = "fixed", action = "b"}}]
        ... [goal]
        ... name = "click"
        ... baseline = 0.07
        ... effect = 0.04
        ... ''', "toml")
        >>> settings.settle("ctr", "news", salt="s", now=0).sample_sizes
        (1124, 1124)
    """

    variants: tuple[Variant, ...]
    goal: Goal
    max_days: Annotated[float, Meta(gt=0, le=400)]
    guardrails: tuple[Guardrail, ...] = ()
    alpha: Annotated[float, Meta(gt=0, lt=0.5)] = 0.05
    power: Annotated[float, Meta(gt=0, lt=1)] | None = None
    sample_size: Annotated[int, Meta(ge=2)] | None = None
    rule: Rule | None = None
    window_s: Seconds = 3600.0
    maturity_s: Seconds = 0.0
    late_s: Seconds = 3600.0
    coverage: Annotated[float, Meta(ge=0, le=1)] = 1.0
    sticky: bool = False
    condition: dict[str, Any] | None = None
    layer: LayerRange | None = None
    holdouts: tuple[Holdout, ...] = ()
    forced: dict[str, str] = {}
    segments: tuple[str, ...] = ()
    salt: str | None = None
    hash: Hash = "foldline_2"
    unit_bits: Annotated[int, Meta(ge=0, le=40)] = 32

    def settle(self, name: ExperimentName, loop: str, *, salt: str, now: int) -> ExperimentDefinition:
        """The definition asked for, a draft, still to be checked.

        Args:
            name: of the experiment.
            loop: of its loop.
            salt: where the settings name none.
            now: milliseconds.

        Raises:
            InputError, DefinitionError: the design is incoherent; the message names the nearest that is not.
        """
        power = 0.9 if self.power is None and self.sample_size is None else self.power
        weights = tuple(variant.weight for variant in self.variants)
        if len(weights) < 2:
            raise InputError(
                "input.invalid",
                f"experiment {name!r} has {len(weights)} variants; expected two or more, the control first",
                field="variants",
            )
        if self.salt is None and self.hash not in OURS:
            raise InputError(
                "input.invalid",
                f"experiment {name!r} is assigned by {self.hash!r} and names no salt; give the one hashed there: "
                "GrowthBook's seed, or else its experiment's key; PlanOut's experiment salt and parameter, as in "
                "'exp.variant'; Unleash's group",
                field="salt",
            )
        found = planned_design(self.goal, self.alpha, power, weights, self.sample_size)
        return ExperimentDefinition(
            name=name,
            version=1,
            time=now,
            loop=loop,
            variants=self.variants,
            goal=self.goal,
            guardrails=self.guardrails,
            alpha=self.alpha,
            power=found.power,
            sample_sizes=found.sample_sizes,
            rule=self._rule(),
            max_duration_ms=round(self.max_days * DAY_MS),
            window_ms=round(self.window_s * 1000),
            maturity_ms=round(self.maturity_s * 1000),
            late_ms=round(self.late_s * 1000),
            coverage=self.coverage,
            sticky=self.sticky,
            condition=self.condition,
            layer=self.layer,
            holdouts=self.holdouts,
            forced=self.forced,
            segments=self.segments,
            salt=self.salt or salt,
            hash=self.hash,
            unit_bits=self.unit_bits,
        )

    def _rule(self) -> Rule:
        if self.rule is not None:
            return self.rule
        return "always_valid" if any(map(is_adaptive, self.variants)) else "fixed"


def read_settings(data: bytes, form: str) -> ExperimentSettings:
    """The settings of a JSON or TOML text.

    Args:
        data: the text, UTF-8.
        form: `json` or `toml`.

    Raises:
        InputError: `input.unreadable` where it is no such text; `input.invalid`, naming the field.
    """
    try:
        fields = tomllib.loads(data.decode()) if form == "toml" else msgspec.json.decode(data)
    except (ValueError, msgspec.MsgspecError) as error:
        raise InputError("input.unreadable", f"the experiment's settings are no {form}: {error}") from error
    return settings_of(fields)


def settings_of(fields: Mapping[str, Any]) -> ExperimentSettings:
    """The settings of values by name, structs among them or plain.

    Raises:
        InputError: `input.invalid`, naming the field.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(fields), ExperimentSettings)
    except (msgspec.ValidationError, TypeError) as error:
        raise InputError(
            "input.invalid", f"the experiment's settings: {error}", field=_field(str(error))
        ) from error


def _field(message: str) -> str | None:
    """The field that a message of msgspec is about, such as `variants[1].weight`."""
    at, named = _AT.search(message), _NAMED.search(message)
    return ".".join(filter(None, (at and at[1], named and named[1]))) or None
