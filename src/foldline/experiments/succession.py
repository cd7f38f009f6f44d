"""Which version of an experiment may follow another: once started, a test stays the test it is.

Only its state, the coverage upwards, and promotions change; and, of a sticky one, the weights, which begins a phase.
"""

from collections.abc import Iterator, Sequence

import msgspec

from foldline.errors import DefinitionError, InputError
from foldline.experiments.bands import Band
from foldline.experiments.definition import ExperimentDefinition, planned_design

FREE = (
    "version", "time", "state", "coverage", "bands", "phase", "started", "ended", "ended_by", "promoted",
    "promoted_share", "replaced",
)  # fmt: skip
"""What may differ between two versions once the first was started."""

_NEXT: dict[str, tuple[str, ...]] = {
    "draft": ("draft", "running", "ended"),
    "running": ("running", "paused", "ended"),
    "paused": ("paused", "running", "ended"),
    "ended": ("ended",),
}


def check_successor(old: ExperimentDefinition, new: ExperimentDefinition) -> None:
    """Refuse a new version that changes what is fixed, or goes back.

    Raises:
        DefinitionError: `definition.conflict`.
    """
    if new.state not in _NEXT[old.state]:
        raise _conflict(old, f"is {old.state} and cannot become {new.state}", "state")
    if old.state == "draft" and old.started is None:
        return
    name = fixed_difference(old, new)
    if name is not None:
        raise _conflict(
            old, f"was started with {name}={getattr(old, name)!r}, asked for {getattr(new, name)!r}", name
        )
    _check_phase(old, new)
    if new.coverage < old.coverage:
        raise _conflict(
            old,
            f"covers {old.coverage:g} of all units, asked for {new.coverage:g}; a ramp only rises",
            "coverage",
        )
    if old.promoted is not None and new.promoted is not None:
        if new.promoted != old.promoted:
            raise _conflict(
                old,
                f"has promoted {old.promoted!r}, asked for {new.promoted!r}; roll it back first",
                "promoted",
            )
        if new.promoted_share < old.promoted_share:
            raise _conflict(
                old,
                f"has promoted to {old.promoted_share:g} of all units, asked for {new.promoted_share:g}; a ramp only "
                "rises: roll it back instead",
                "promoted_share",
            )


def fixed_difference(old: ExperimentDefinition, new: ExperimentDefinition) -> str | None:
    """The first field that is fixed with the start and differs; None where two versions are one test."""
    if old.sticky and new.sticky and old.keys == new.keys:
        # Weights, and the sizes that follow from them, may change: which is another phase of the same test.
        new = msgspec.structs.replace(
            new,
            variants=tuple(
                msgspec.structs.replace(variant, weight=weight)
                for variant, weight in zip(new.variants, old.weights, strict=True)
            ),
            sample_sizes=old.sample_sizes,
        )
    fixed = (name for name in old.__struct_fields__ if name not in FREE)
    return next((name for name in fixed if getattr(old, name) != getattr(new, name)), None)


def reweighted(
    old: ExperimentDefinition, weights: Sequence[int], coverage: float | None = None
) -> ExperimentDefinition:
    """With other weights for the units enrolled from now on, in a new phase; those enrolled keep their variants.

    Args:
        old: a sticky version that has been started.
        weights: of the variants, in their order.
        coverage: enrolled with them; by default as before, to be raised later.

    Raises:
        InputError, DefinitionError: it is refused, and why.
    """
    if len(weights) != len(old.keys):
        raise InputError(
            "input.invalid",
            f"weights {list(weights)!r} for the variants {list(old.keys)!r}; expected one for each",
            field="weights",
            value=list(weights),
        )
    if tuple(weights) == old.weights and coverage in (None, old.coverage):
        return old
    for fault in _reweighting_faults(old):
        raise _conflict(old, fault, "weights")
    ended = old.bands[-1].coverage if old.bands else 0.0
    grown = (
        (Band(coverage=old.coverage, weights=old.weights, phase=old.phase),) if old.coverage > ended else ()
    )
    return msgspec.structs.replace(
        _weighed(old, weights),
        coverage=old.coverage if coverage is None else coverage,
        bands=(*old.bands, *grown),
        phase=old.version + 1,
    )


def phase_before(definition: ExperimentDefinition) -> ExperimentDefinition | None:
    """The experiment as it was counted in the phase before the present one, or None."""
    if not definition.bands:
        return None
    *earlier, band = definition.bands
    return msgspec.structs.replace(
        _weighed(definition, band.weights), coverage=band.coverage, bands=tuple(earlier), phase=band.phase
    )


def _weighed(definition: ExperimentDefinition, weights: Sequence[int]) -> ExperimentDefinition:
    """With other weights, and the sizes that follow from them."""
    variants = tuple(
        msgspec.structs.replace(variant, weight=weight)
        for variant, weight in zip(definition.variants, weights, strict=True)
    )
    planned = planned_design(definition.goal, definition.alpha, definition.power, tuple(weights), None)
    return msgspec.structs.replace(definition, variants=variants, sample_sizes=planned.sample_sizes)


def _check_phase(old: ExperimentDefinition, new: ExperimentDefinition) -> None:
    """Weights change only as `reweighted` does it."""
    if (new.weights, new.bands, new.phase, new.sample_sizes) == (
        old.weights,
        old.bands,
        old.phase,
        old.sample_sizes,
    ):
        return
    wanted = reweighted(old, new.weights, new.coverage)
    for name in ("bands", "phase", "sample_sizes"):
        if getattr(wanted, name) != getattr(new, name):
            raise _conflict(
                old, f"would have {name}={getattr(wanted, name)!r}, not {getattr(new, name)!r}", name
            )


def _reweighting_faults(old: ExperimentDefinition) -> Iterator[str]:
    if old.state == "draft":
        yield "is a draft, which has no unit yet: its weights are no change"
    if not old.sticky:
        yield "was started without sticky = true, so its weights are fixed"
    if old.coverage >= 1.0:
        yield "covers every unit, and each keeps its variant: nobody would get the new weights"
    if old.promoted is not None:
        yield f"has promoted {old.promoted!r}: roll it back first"


def _conflict(old: ExperimentDefinition, what: str, field: str) -> DefinitionError:
    return DefinitionError(
        "definition.conflict",
        f"experiment {old.name!r} {what}; define an experiment of another name",
        field=field,
    )
