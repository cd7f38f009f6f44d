"""An experiment's definition: what is compared, on whom, and by which rule it is decided.

Versions count up from 1 and are never overwritten. Once started, only the state, and the coverage upwards, change:
another split, metric or rule is another experiment.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, FoldlineError, InputError, within
from foldline.experiments.assignment_plan import AssignmentPlan
from foldline.experiments.bands import Band
from foldline.experiments.conditions import check_condition
from foldline.experiments.design import Design, design
from foldline.experiments.hashes import Hash
from foldline.experiments.layer import Holdout, LayerRange
from foldline.experiments.measure import Goal, Guardrail, Measure, check_measure
from foldline.policies.registry import SETTLED, policy_from
from foldline.records.types import Phase

ExperimentName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Learns = Literal["own", "shared", "frozen"]
State = Literal["draft", "running", "paused", "ended"]
Rule = Literal["fixed", "always_valid"]
DAY_MS = 86_400_000


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the things compared: a policy that chooses the action for its units.

    Attributes:
        key: names it; letters, digits, `-` and `_`.
        policy: as JSON values, `kind` first.
        learns: from which decisions a learning policy learns: its `own` units' alone, all of the loop (`shared`), or
            those before the start (`frozen`).
        weight: its share among the enrolled, in whole parts.
    """

    key: ExperimentName
    policy: dict[str, Any]
    learns: Learns = "own"
    weight: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class ExperimentDefinition(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="experiment"):
    """A version of an experiment, as it stands in the catalogue.

    Attributes:
        name: letters, digits, `-` and `_`.
        version: counts up from 1.
        time: when it was defined, milliseconds since 1970-01-01 UTC.
        loop: whose decisions it takes part in.
        variants: two or more; the first is the control.
        goal: what decides.
        guardrails: what must not become worse.
        alpha: chance of a false win.
        power: chance to find the goal's effect.
        sample_sizes: planned matured units of each variant, in their order.
        rule: `fixed`: tested once, when every variant has its planned matured units; `always_valid`: at every minute
            by an interval that holds at all of them; the only one while a variant learns.
        max_duration_ms: the verdict comes at latest this long after the start.
        window_ms: what happens to a unit this long after its first exposure counts.
        maturity_ms: how long, after its window, a unit waits for what is still on its way.
        late_ms: what comes later still, but within this, corrects the tally from then on; a verdict stands.
        coverage: share of eligible units enrolled.
        sticky: whether weights may change while it runs: who is enrolled keeps the variant, and a new phase begins.
        bands: units enrolled in earlier phases, under other weights; they are not analysed any more.
        phase: the version whose marker began the present phase, in which units are counted; 0 for the first.
        condition: who is eligible, over the context; None for all.
        layer: the slots of a layer that it has.
        holdouts: groups it leaves alone.
        forced: units by id and the variant they get, not analysed.
        segments: attributes of the context that results are also shown by; exploratory.
        salt: of the variant's hash, and of the enrolment's.
        hash: by which units get their variants; the first of ours where a record names none.
        srm_alpha: level of the sequential test of the variants' shares.
        mixed_limit: share of units seen in two variants above which nothing is concluded.
        unit_bits: sums are exact in units of 2^-unit_bits.
        state: draft, running, paused or ended.
        started: when it was first started, milliseconds.
        ended: when it was ended, milliseconds.
        ended_by: `hand` or `promotion`, once it has ended.
        promoted: the variant given to a share of the units because it won, or None.
        promoted_share: that share of the eligible units.
        replaced: version of the loop whose policy the promoted variant's has replaced, or None.
    """

    name: ExperimentName
    version: Annotated[int, Meta(ge=1)]
    time: int
    loop: str
    variants: tuple[Variant, ...]
    goal: Goal
    guardrails: tuple[Guardrail, ...] = ()
    alpha: float = 0.05
    power: float = 0.9
    sample_sizes: tuple[int, ...]
    rule: Rule = "fixed"
    max_duration_ms: Annotated[int, Meta(ge=1)]
    window_ms: Annotated[int, Meta(ge=0)] = 0
    maturity_ms: Annotated[int, Meta(ge=0)] = 0
    late_ms: Annotated[int, Meta(ge=0)] = 3_600_000
    coverage: float = 1.0
    sticky: bool = False
    bands: tuple[Band, ...] = ()
    phase: Annotated[int, Meta(ge=0)] = 0
    condition: dict[str, Any] | None = None
    layer: LayerRange | None = None
    holdouts: tuple[Holdout, ...] = ()
    forced: dict[str, str] = {}
    segments: tuple[str, ...] = ()
    salt: str
    hash: Hash = "foldline_1"
    srm_alpha: float = 0.001
    mixed_limit: float = 0.01
    unit_bits: Annotated[int, Meta(ge=0, le=40)] = 32
    state: State = "draft"
    started: int | None = None
    ended: int | None = None
    ended_by: str | None = None
    promoted: str | None = None
    promoted_share: float = 0.0
    replaced: int | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The variants' keys, the control's first."""
        return tuple(variant.key for variant in self.variants)

    @property
    def weights(self) -> tuple[int, ...]:
        """The variants' weights, in their order."""
        return tuple(variant.weight for variant in self.variants)

    @property
    def adaptive(self) -> tuple[bool, ...]:
        """Whether each variant goes on learning while the experiment runs, so that what it does depends on outcomes."""
        return tuple(is_adaptive(variant) for variant in self.variants)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The goal, then the guardrails."""
        return self.goal, *self.guardrails

    @property
    def deadline(self) -> int | None:
        """The stream time by which it is decided, milliseconds; None before its start."""
        return None if self.started is None else self.started + self.max_duration_ms

    def variant(self, key: str) -> Variant:
        """The variant of a key.

        Raises:
            InputError: `input.invalid`.
        """
        for variant in self.variants:
            if variant.key == key:
                return variant
        raise InputError(
            "input.invalid",
            f"experiment {self.name!r} has no variant {key!r}; expected one of {', '.join(self.keys)}",
            field="variant",
            value=key,
        )

    def plan(self) -> AssignmentPlan:
        """How units are assigned; drafts assign nobody.

        Raises:
            DefinitionError: `definition.incoherent`.
        """
        return AssignmentPlan(
            key=self.name,
            weights=dict(zip(self.keys, self.weights, strict=True)),
            coverage=self.coverage,
            bands=self.bands,
            layer=self.layer,
            holdouts=self.holdouts,
            forced=self.forced,
            salt=self.salt,
            hash=self.hash,
            enrolment_salt=self.salt,
            state="paused" if self.state == "draft" else self.state,
        )

    def design(self) -> Design:
        """The design its sample size follows from.

        Raises:
            InputError, DefinitionError: it is incoherent.
        """
        return planned_design(self.goal, self.alpha, self.power, self.weights, None)

    def marker(self, time: int) -> Phase:
        """The record that makes this version apply to a partition from its offset on."""
        return Phase(
            time=time, experiment=self.name, version=self.version, state=self.state, by=self.ended_by
        )


def is_adaptive(variant: Variant) -> bool:
    """Whether a variant's policy learns from what happens while the experiment runs."""
    return variant.learns != "frozen" and variant.policy.get("kind") not in SETTLED


def planned_design(
    goal: Goal, alpha: float, power: float | None, weights: tuple[int, ...], sample_size: int | None
) -> Design:
    """The design of a goal; power and sample size may both be given, if they agree.

    Raises:
        InputError, DefinitionError: see `experiments.design.design`; fields of the goal are named `goal.effect`.
    """
    with within("goal"):
        metric = goal.metric()
        _check_side(goal)
    try:
        return design(
            metric,
            alpha=alpha,
            power=power,
            effect=goal.better * (goal.effect if goal.margin else abs(goal.effect)),
            sample_size=sample_size,
            alternative=goal.alternative,
            weights=weights,
            margin=goal.margin,
        )
    except FoldlineError as error:
        if error.field in Goal.__struct_fields__:
            error.field = f"goal.{error.field}"
        raise


def _check_side(goal: Goal) -> None:
    better = "greater" if goal.direction == "increase" else "less"
    if goal.alternative not in ("two_sided", better):
        raise DefinitionError(
            "definition.incoherent",
            f"goal {goal.name!r}: the alternative {goal.alternative!r} contradicts the direction {goal.direction!r}: a "
            f"one-sided test asks whether the challenger is better; give {better!r}",
            field="alternative",
        )


def checked(definition: ExperimentDefinition) -> ExperimentDefinition:
    """The definition, if it is coherent.

    Raises:
        InputError: a name, policy or condition is not well formed.
        DefinitionError: `definition.incoherent`, naming what contradicts what.
    """
    try:
        msgspec.convert(msgspec.to_builtins(definition), ExperimentDefinition)
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"defining experiment {definition.name!r}: {error}") from error
    for fault, field in _faults(definition):
        raise DefinitionError(
            "definition.incoherent", f"experiment {definition.name!r}: {fault}", field=field
        )
    definition.plan()
    for i, variant in enumerate(definition.variants):
        with within(f"variants[{i}].policy"):
            policy_from(variant.policy)
    if definition.condition is not None:
        check_condition(definition.condition)
    with within("goal"):
        check_measure(definition.goal, definition.unit_bits)
    for i, guardrail in enumerate(definition.guardrails):
        with within(f"guardrails[{i}]"):
            check_measure(guardrail, definition.unit_bits)
    if definition.state == "draft":
        _check_learning(definition)
    planned_design(
        definition.goal, definition.alpha, definition.power, definition.weights, definition.sample_sizes[0]
    )
    return definition


def _check_learning(definition: ExperimentDefinition) -> None:
    """Refuse what would analyse a variant that learns as if its units were alike."""
    learning = [key for key, adapts in zip(definition.keys, definition.adaptive, strict=True) if adapts]
    if not learning:
        return
    what = f"experiment {definition.name!r}: {', '.join(map(repr, learning))} learns while it runs"
    if definition.rule == "fixed":
        raise DefinitionError(
            "definition.incoherent",
            f'{what}, so its outcomes change and no test of one look is the designed one; give rule = "always_valid" '
            '(weighted by the variants\' probabilities), or learns = "frozen"',
            field="rule",
        )
    for i, measure in enumerate(definition.measures):
        if measure.kind == "ratio" or measure.covariate is not None:
            odd = "a ratio" if measure.kind == "ratio" else "adjusted for a covariate"
            place = "goal" if i == 0 else f"guardrails[{i - 1}]"
            raise DefinitionError(
                "definition.incoherent",
                f"{what}, and metric {measure.name!r} is {odd}: only plain proportions and means can be weighted by "
                'the variants\' probabilities; measure one of those, or give learns = "frozen"',
                field=f"{place}.{'kind' if measure.kind == 'ratio' else 'covariate'}",
            )


def _faults(definition: ExperimentDefinition) -> list[tuple[str, str]]:
    keys, found = definition.keys, []
    if len(keys) < 2 or len(set(keys)) < len(keys):
        found.append((f"variants {list(keys)!r}; expected two or more, each key once", "variants"))
    if len(definition.sample_sizes) != len(keys) or min(definition.sample_sizes, default=0) < 2:
        found.append(
            (f"sample_sizes {definition.sample_sizes!r}; expected at least 2 units a variant", "sample_size")
        )
    wait_ms = definition.window_ms + definition.maturity_ms
    if wait_ms >= definition.max_duration_ms:
        ends = f"it ends after {definition.max_duration_ms} ms, but a unit matures {wait_ms} ms after its exposure"
        found.append((f"{ends}; give a longer max_days or a shorter window", "window_s"))
    if definition.goal.effect <= 0 and not definition.goal.margin:
        found.append(
            (f"effect {definition.goal.effect!r}; expected above 0, in the goal's direction", "goal.effect")
        )
    if not 0.0 < definition.srm_alpha < 0.5 or not 0.0 < definition.mixed_limit <= 1.0:
        found.append(("srm_alpha must lie between 0 and 0.5, mixed_limit between 0 and 1", "srm_alpha"))
    if definition.promoted is not None and definition.promoted not in keys:
        found.append((f"promoted {definition.promoted!r} is none of {list(keys)!r}", "promoted"))
    if not 0.0 <= definition.promoted_share <= 1.0:
        found.append((f"promoted_share {definition.promoted_share!r}; expected 0 to 1", "promoted_share"))
    if len(set(definition.segments)) < len(definition.segments) or not all(definition.segments):
        found.append((f"segments {list(definition.segments)!r}; expected names, each once", "segments"))
    names = [(m.name, m.kind, m.per) for m in definition.measures]
    if len(set(names)) < len(names):
        found.append((f"metrics {names!r} name the same twice", "guardrails"))
    return found
