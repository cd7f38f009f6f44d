"""Which variant a unit gets: a pure function of the unit and the experiment's plan.

There are four purposes, `holdout`, `layer`, `enrolment` and `variant`, each with a salt of its own and 2^53 positions.
So a ramp of the coverage moves nobody between variants, and nested or parallel experiments are independent. Hash and
salts are part of the plan, which a running experiment never changes; see `foldline.experiments.hashes`. Holdouts and
layers, which experiments share, are hashed as `foldline_1` does whatever the experiment's own hash, but for those of
GrowthBook and PlanOut, whose namespaces are layers too.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

import xxhash

from foldline.experiments.assignment_plan import AssignmentPlan
from foldline.experiments.bands import Band
from foldline.experiments.hashes import (
    OURS,
    ForeignHash,
    foreign_hash,
    layer_hash,
    salted_prefix,
    seed_of,
)
from foldline.experiments.layer import LayerRange
from foldline.experiments.reasons import AssignmentError, Reason
from foldline.records.hashing import DRAWS

_SPARE_BITS = 11
"""A draw is the upper 53 bits of the 64-bit hash."""


class Assignment(NamedTuple):
    """What a unit gets.

    Attributes:
        variant: the variant's key, None where the unit is not in the experiment and gets what all others get.
        reason: why.
        probability: P(variant) among the enrolled, logged apart from the action's propensity; None where no chance
            was involved.
        error: why the unit was refused, with the reason ERROR.
    """

    variant: str | None
    reason: Reason
    probability: float | None = None
    error: AssignmentError | None = None

    @property
    def counts(self) -> bool:
        """Whether the unit belongs to the analysis: chance gave it its variant, by the weights of now."""
        return self.probability is not None


Assign = Callable[..., Assignment]
"""(unit, previous=None) -> Assignment; `previous` is the unit's logged variant and used by sticky plans only."""


def assigner(plan: AssignmentPlan) -> Assign:
    """The plan, compiled to a function of a unit's id, and of its variant before for a sticky plan.

    It neither raises nor remembers: a null, empty or other than text id gives the reason ERROR, for the caller to
    count (`count_reasons`). Forced units come first, then holdouts and the layer, which say who may be touched at
    all, then the past, then coverage and chance.

    Example:
        >>> plan = AssignmentPlan(key="ctr", weights={"control": 1, "challenger": 1})
        >>> assigner(plan)("user-1")
        Assignment(variant='control', reason=<Reason.SPLIT: 'SPLIT'>, probability=0.5, error=None)
    """
    if plan.state != "running":
        idle = Reason.EXPERIMENT_PAUSED if plan.state == "paused" else Reason.EXPERIMENT_ENDED
        return _idle(Assignment(None, idle))
    forced = {unit: Assignment(key, Reason.FORCED) for unit, key in plan.forced.items()}
    bounds, outcomes = split_table(plan.weights)
    if plan.hash not in OURS:
        return _foreign(plan, forced, outcomes)
    if not (plan.holdouts or plan.layer or plan.coverage < 1.0 or plan.sticky or plan.bands):
        salted = _salted(plan, plan.salt, "variant")
        return (_split_seeded if plan.hash == "foldline_2" else _split_only)(forced, salted, bounds, outcomes)
    return _guarded(plan, forced, bounds, outcomes)


def split_table(weights: Mapping[str, int]) -> tuple[list[int], list[Assignment]]:
    """Where on the 64-bit hash each variant but the last ends, and what each gets.

    A variant's positions are exactly those of the draws below its cumulative weight: (draw · total) >> 53 < weight.
    """
    total = sum(weights.values())
    bounds, upto = [], 0
    for weight in list(weights.values())[:-1]:
        upto += weight
        bounds.append(hash_bound(Fraction(upto, total)))
    return bounds, [Assignment(key, Reason.SPLIT, weight / total) for key, weight in weights.items()]


def hash_bound(share: Fraction) -> int:
    """The least 64-bit hash whose draw is not below this share of all draws."""
    return -(-share.numerator * DRAWS // share.denominator) << _SPARE_BITS


def refused(unit: object) -> Assignment:
    """The assignment of what is no unit id."""
    missing = unit is None or unit == ""
    error = AssignmentError.TARGETING_KEY_MISSING if missing else AssignmentError.INVALID_CONTEXT
    return Assignment(None, Reason.ERROR, error=error)


def count_reasons(assignments: Iterable[Assignment]) -> dict[str, int]:
    """How many assignments had each reason, refused ones by their error.

    Example:
        >>> plan = AssignmentPlan(key="ctr", weights={"a": 1, "b": 1})
        >>> count_reasons(map(assigner(plan), ["u1", "", None, "u2"]))
        {'SPLIT': 2, 'TARGETING_KEY_MISSING': 2}
    """
    counts: dict[str, int] = {}
    for assignment in assignments:
        name = str(assignment.error or assignment.reason)
        counts[name] = counts.get(name, 0) + 1
    return counts


def _idle(outcome: Assignment) -> Assign:
    def assign(unit: str | None, previous: str | None = None) -> Assignment:  # noqa: ARG001 - nobody is assigned
        return outcome if unit and isinstance(unit, str) else refused(unit)

    return assign


def _guarded(
    plan: AssignmentPlan,
    forced: Mapping[str, Assignment],
    bounds: list[int],
    outcomes: list[Assignment],
) -> Assign:
    """With everything that may keep a unit out. Names are bound here, once: a call takes a fifth of a microsecond."""
    digest = xxhash.xxh3_64_intdigest
    held_out, not_enrolled = Assignment(None, Reason.HOLDOUT), Assignment(None, Reason.NOT_ENROLLED)
    known = {o.variant: o._replace(reason=Reason.STICKY) for o in outcomes if plan.sticky}
    holdouts = _holdouts(plan)
    prefix, seed = _salted(plan, plan.salt, "variant")
    enrolment, enrolment_seed = _salted(plan, plan.enrolment_salt, "enrolment")
    ramps = plan.coverage < 1.0 or bool(plan.bands)
    kept = [(hash_bound(Fraction(band.coverage)), *_kept_split(plan, band)) for band in plan.bands]
    covered = hash_bound(Fraction(plan.coverage))
    layer = salted_prefix(plan.layer.salt, "layer") if plan.layer else None
    edges = _slot_edges(plan.layer)
    low, high = (edges[0], edges[-1]) if edges else (0, 0)
    broken = len(edges) > 2

    if layer and ramps and len(bounds) == 1 and not (holdouts or known or broken or kept):
        slots = layer, low, high
        if plan.hash == "foldline_2":
            return _seeded_in_layer(forced, slots, (enrolment_seed, covered), (seed, bounds[0]), outcomes)
        return _ramped_in_layer(forced, slots, (enrolment, covered), (prefix, bounds[0]), outcomes)

    def assign(unit: str | None, previous: str | None = None) -> Assignment:
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            data = unit.encode()
        except (AttributeError, UnicodeEncodeError):
            return refused(unit)
        for salted, share in holdouts:
            if digest(salted + data) < share:
                return held_out
        if layer is not None:
            slot = digest(layer + data)
            if not low <= slot < high or (broken and bisect_right(edges, slot) % 2 == 0):
                return not_enrolled
        if previous in known:
            return known[previous]
        if ramps:
            place = digest(enrolment + data, enrolment_seed)
            if place >= covered:
                return not_enrolled
            for end, edges_then, outcomes_then in kept:
                if place < end:
                    return outcomes_then[bisect_right(edges_then, digest(prefix + data, seed))]
        return outcomes[bisect_right(bounds, digest(prefix + data, seed))]

    return assign


def _ramped_in_layer(
    forced: Mapping[str, Assignment],
    slots: tuple[bytes, int, int],
    enrolled: tuple[bytes, int],
    split: tuple[bytes, int],
    outcomes: list[Assignment],
) -> Assign:
    """Two variants in one range of a layer, while they are ramped up: what is left of `_guarded` then."""
    digest, not_enrolled = xxhash.xxh3_64_intdigest, Assignment(None, Reason.NOT_ENROLLED)
    (layer, low, high), (enrolment, covered), (prefix, bound) = slots, enrolled, split
    control, challenger = outcomes

    def assign(unit: str | None, previous: str | None = None) -> Assignment:  # noqa: ARG001 - not sticky
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            data = unit.encode()
        except (AttributeError, UnicodeEncodeError):
            return refused(unit)
        if not low <= digest(layer + data) < high or digest(enrolment + data) >= covered:
            return not_enrolled
        return control if digest(prefix + data) < bound else challenger

    return assign


def _seeded_in_layer(
    forced: Mapping[str, Assignment],
    slots: tuple[bytes, int, int],
    enrolled: tuple[int, int],
    split: tuple[int, int],
    outcomes: list[Assignment],
) -> Assign:
    """`_ramped_in_layer` by `foldline_2`."""
    digest, not_enrolled = xxhash.xxh3_64_intdigest, Assignment(None, Reason.NOT_ENROLLED)
    (layer, low, high), (enrolment, covered), (seed, bound) = slots, enrolled, split
    control, challenger = outcomes

    def assign(unit: str | None, previous: str | None = None) -> Assignment:  # noqa: ARG001 - not sticky
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            data = unit.encode()
        except (AttributeError, UnicodeEncodeError):
            return refused(unit)
        if not low <= digest(layer + data) < high or digest(data, enrolment) >= covered:
            return not_enrolled
        return control if digest(data, seed) < bound else challenger

    return assign


def _foreign(plan: AssignmentPlan, forced: Mapping[str, Assignment], outcomes: list[Assignment]) -> Assign:
    """By another system's hash, in the same order as by ours."""
    digest, holdouts = xxhash.xxh3_64_intdigest, _holdouts(plan)
    held_out, not_enrolled = Assignment(None, Reason.HOLDOUT), Assignment(None, Reason.NOT_ENROLLED)
    known = {o.variant: o._replace(reason=Reason.STICKY) for o in outcomes if plan.sticky}
    theirs = foreign_hash(plan.hash, plan.salt or plan.key, plan.weights, plan.coverage, plan.layer)
    in_layer = theirs.in_layer or _in_layer(plan.layer)
    enrolled = _enrols(plan, theirs, plan.coverage)
    kept = []
    for band in plan.bands:
        weights = dict(zip(plan.weights, band.weights, strict=True))
        then = foreign_hash(plan.hash, plan.salt or plan.key, weights, band.coverage, plan.layer)
        kept.append((_enrols(plan, then, band.coverage), then.choose, _kept_split(plan, band)[1]))

    def assign(unit: str | None, previous: str | None = None) -> Assignment:
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            data = unit.encode()
        except (AttributeError, UnicodeEncodeError):
            return refused(unit)
        if any(digest(salted + data) < share for salted, share in holdouts):
            return held_out
        if not in_layer(unit):
            return not_enrolled
        if previous in known:
            return known[previous]
        if not enrolled(unit):
            return not_enrolled
        for enrolled_then, choose_then, outcomes_then in kept:
            if enrolled_then(unit):
                return outcomes_then[choose_then(unit)]
        index = theirs.choose(unit)
        return outcomes[index] if index >= 0 else not_enrolled

    return assign


def _salted(plan: AssignmentPlan, salt: str | None, purpose: str) -> tuple[bytes, int]:
    """What is hashed before the unit, and the seed: of our two versions one has the first, one the second."""
    own = salt or plan.key
    return (b"", seed_of(own, purpose)) if plan.hash == "foldline_2" else (salted_prefix(own, purpose), 0)


def _holdouts(plan: AssignmentPlan) -> list[tuple[bytes, int]]:
    return [
        (salted_prefix(holdout.salt, "holdout"), hash_bound(Fraction(holdout.share)))
        for holdout in plan.holdouts
    ]


def _in_layer(layer: LayerRange | None) -> Callable[[str], bool]:
    """Whether a unit is in the slots, by our hash."""
    if layer is None:
        return lambda _: True
    edges, prefix = _slot_edges(layer), salted_prefix(layer.salt, "layer")
    return lambda unit: bisect_right(edges, xxhash.xxh3_64_intdigest(prefix + unit.encode())) % 2 == 1


def _kept_split(plan: AssignmentPlan, band: Band) -> tuple[list[int], list[Assignment]]:
    """A band's `split_table`, of units that are not analysed any more."""
    bounds, outcomes = split_table(dict(zip(plan.weights, band.weights, strict=True)))
    return bounds, [outcome._replace(reason=Reason.STICKY, probability=None) for outcome in outcomes]


def _enrols(plan: AssignmentPlan, theirs: ForeignHash, coverage: float) -> Callable[[str], bool]:
    """Whether a unit is covered: by the system's hash, or by ours where it knows no coverage."""
    if theirs.enrolled is not None:
        return theirs.enrolled
    if layer_hash(plan.hash) == "growthbook":
        return lambda _: True
    prefix = salted_prefix(plan.enrolment_salt or plan.key, "enrolment")
    covered = hash_bound(Fraction(coverage))
    return lambda unit: xxhash.xxh3_64_intdigest(prefix + unit.encode()) < covered


def _slot_edges(layer: LayerRange | None) -> list[int]:
    """Hashes at which the layer's slots begin and end, in turn."""
    if layer is None:
        return []
    return [hash_bound(Fraction(slot, layer.size)) for pair in layer.slots for slot in pair]


def _split_only(
    forced: Mapping[str, Assignment], salt: tuple[bytes, int], bounds: list[int], outcomes: list[Assignment]
) -> Assign:
    """The common case, with nothing but the variant's hash: a tenth of a microsecond."""
    digest, salted = xxhash.xxh3_64_intdigest, salt[0].decode()

    def assign(unit: str | None, previous: str | None = None) -> Assignment:  # noqa: ARG001 - not sticky
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            return outcomes[bisect_right(bounds, digest((salted + unit).encode()))]
        except (TypeError, UnicodeEncodeError):
            return refused(unit)

    return assign


def _split_seeded(
    forced: Mapping[str, Assignment], salt: tuple[bytes, int], bounds: list[int], outcomes: list[Assignment]
) -> Assign:
    """`_split_only` by `foldline_2`."""
    digest, seed = xxhash.xxh3_64_intdigest, salt[1]

    def assign(unit: str | None, previous: str | None = None) -> Assignment:  # noqa: ARG001 - not sticky
        if not unit:
            return refused(unit)
        if forced and unit in forced:
            return forced[unit]
        try:
            return outcomes[bisect_right(bounds, digest(unit.encode(), seed))]
        except (AttributeError, UnicodeEncodeError):
            return refused(unit)

    return assign
