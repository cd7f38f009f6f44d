"""How an experiment's units are assigned: what `assignment.assigner` compiles."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from foldline.errors import DefinitionError
from foldline.experiments.bands import Band, band_faults
from foldline.experiments.hashes import Hash, hash_faults, layer_hash
from foldline.experiments.layer import Holdout, LayerRange


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentPlan:
    """How an experiment's units are assigned; fixed while it runs, except coverage, weights and state.

    Attributes:
        key: the experiment's key; the salt of enrolment and variant unless one is given.
        weights: integer weight of each variant, by key, in order; the first is the control unless named.
        control: key of the control.
        coverage: share of eligible units enrolled, 0 to 1; a ramp only raises it.
        layer: the range of a layer that the experiment has; None to overlap with all others freely.
        holdouts: groups of units kept out of all experiments that name them.
        forced: units by id and the variant they get.
        salt: of the variant's hash; another one reshuffles the units, in a new phase.
        enrolment_salt: of the hash that enrols.
        sticky: whether a unit once assigned keeps its variant when weights change; its past assignment is then
            given to `assign`.
        bands: units enrolled earlier, under other weights, which they keep without any past; they get STICKY and no
            probability.
        state: running, paused or ended.
        hash: by which units get their variants; `foldline_2` is the faster of ours.

    Raises:
        DefinitionError: `definition.incoherent` where these contradict each other.
    """

    key: str
    weights: Mapping[str, int]
    control: str | None = None
    coverage: float = 1.0
    layer: LayerRange | None = None
    holdouts: tuple[Holdout, ...] = ()
    forced: Mapping[str, str] = field(default_factory=dict)
    salt: str | None = None
    enrolment_salt: str | None = None
    sticky: bool = False
    bands: tuple[Band, ...] = ()
    state: str = "running"
    hash: Hash = "foldline_1"

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise DefinitionError("definition.incoherent", f"experiment {self.key!r}: {fault}")

    @property
    def control_key(self) -> str:
        """The control's key."""
        return self.control if self.control is not None else next(iter(self.weights))


def _faults(plan: AssignmentPlan) -> Iterator[str]:
    weights = plan.weights
    if not plan.key:
        yield "its key is empty; name it"
    if len(weights) < 2:
        yield f"variants {sorted(weights)!r}; expected at least two"
    for key, weight in weights.items():
        if not key or type(weight) is not int or weight < 0:
            yield f"variant {key!r} has weight {weight!r}; expected a name and an integer of at least 0, such as 1"
    if not any(weights.values()):
        yield "all weights are 0; expected one above"
    if plan.control is not None and plan.control not in weights:
        yield f"control {plan.control!r} is none of the variants {list(weights)!r}"
    if not 0.0 <= plan.coverage <= 1.0:
        yield f"coverage {plan.coverage!r}; expected 0 to 1"
    for unit, key in plan.forced.items():
        if not unit or key not in weights:
            yield f"unit {unit!r} is forced into {key!r}; expected a unit id and one of {list(weights)!r}"
    if plan.state not in ("running", "paused", "ended"):
        yield f"state {plan.state!r}; expected running, paused or ended"
    if plan.hash not in get_args(Hash):
        yield f"hash {plan.hash!r}; expected one of {', '.join(get_args(Hash))}"
    yield from hash_faults(plan.hash, weights, plan.coverage)
    yield from band_faults(plan.bands, len(weights), plan.coverage)
    if plan.bands and layer_hash(plan.hash) == "growthbook":
        yield f"hash {plan.hash!r} enrols and splits by one hash, so weights cannot change; start another experiment"
    for salt in (
        plan.key,
        plan.salt,
        plan.enrolment_salt,
        plan.layer and plan.layer.salt,
        *(h.salt for h in plan.holdouts),
    ):
        if salt and "\x1f" in salt:
            yield f"the salt {salt!r} holds the separator 0x1f; leave it out"
