"""Experiments beside each other: who is left for one that starts, and that no slot of a layer has two owners."""

from collections.abc import Sequence
from fractions import Fraction

from foldline.errors import DefinitionError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.hashes import layer_hash
from foldline.experiments.layer import LayerRange


def check_beside(starting: ExperimentDefinition, others: Sequence[ExperimentDefinition]) -> None:
    """Refuse to start an experiment that would share a layer's slots, or for which no unit would be left.

    On one loop a unit is decided for by the experiment that started first of those that have it.

    Args:
        starting: what is to run.
        others: all other experiments, in their newest versions.

    Raises:
        DefinitionError: `definition.conflict`, with what stands in the way.
    """
    for other in others:
        if other.state in ("running", "paused"):
            _check_layers(starting, other)
        if other.state == "running" and other.loop == starting.loop and _has_all(other):
            raise DefinitionError(
                "definition.conflict",
                f"experiment {starting.name!r} would get no unit: {other.name!r} runs on loop {other.loop!r} with all "
                "of them; give each a range of one layer, or wait until it ends",
                field="layer",
            )


def _check_layers(starting: ExperimentDefinition, other: ExperimentDefinition) -> None:
    mine, theirs = starting.layer, other.layer
    if mine is None or theirs is None or mine.salt != theirs.salt:
        return
    if layer_hash(starting.hash) != layer_hash(other.hash):
        raise DefinitionError(
            "definition.conflict",
            f"experiment {starting.name!r} finds its slots of layer {mine.salt!r} by the hash of "
            f"{layer_hash(starting.hash)}, {other.name!r}, which is {other.state}, by that of "
            f"{layer_hash(other.hash)}: a unit could be in both; give it a layer of its own",
            field="layer",
        )
    for low, high in _shares(mine):
        for start, end in _shares(theirs):
            if low < end and start < high:
                raise DefinitionError(
                    "definition.conflict",
                    f"experiment {starting.name!r} has slots {list(map(list, mine.slots))} of {mine.size} of layer "
                    f"{mine.salt!r}, of which {other.name!r}, which is {other.state}, has "
                    f"{list(map(list, theirs.slots))} of {theirs.size}; give it others",
                    field="layer",
                )


def _shares(layer: LayerRange) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(low, layer.size), Fraction(high, layer.size)) for low, high in layer.slots]


def _has_all(definition: ExperimentDefinition) -> bool:
    """Whether every unit is in it."""
    parts = (definition.layer, definition.condition, *definition.holdouts)
    return definition.coverage >= 1.0 and not any(parts)
