"""Results by segment: what a declared attribute of the context parts the units into. Exploratory, never a verdict.

A unit belongs to the segment of its first exposure's context, so the treatment cannot move it. Many segments are many
chances to find something: p-values are adjusted for all rows of the attribute (Holm 1979), and they, like the limits,
hold at every moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect, live_effect
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import Count
from foldline.experiments.unit_table import UnitTable
from foldline.stats.multiplicity import holm

MOST_SEGMENTS = 20
"""Values of an attribute that are told apart; the rarer ones are one segment."""

MISSING = "(missing)"
OTHER = "(other)"

Labels = Mapping[tuple[int, int], str]
"""Segment by the hash of a unit's id."""


class SegmentResult(msgspec.Struct, frozen=True, kw_only=True):
    """One segment.

    Attributes:
        segment: value of the attribute, as text; `(missing)` without one, `(other)` for the rare.
        enrolled: units, by variant.
        matured: of those, the ones analysed.
        effects: the goal's, one for each challenger, limits each at the experiment's own level; p-values adjusted
            for all segments and challengers.
    """

    segment: str
    enrolled: dict[str, int]
    matured: dict[str, int]
    effects: tuple[Effect, ...]


class Segmented(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment's results by one attribute.

    Attributes:
        experiment: its name.
        attribute: of the context.
        cut: offsets covered, one a partition.
        comparisons: how many p-values were adjusted together.
        segments: the largest first.
    """

    experiment: str
    attribute: str
    cut: tuple[int, ...]
    comparisons: int
    segments: tuple[SegmentResult, ...]


def label_of(context: Mapping[str, object] | None, attribute: str) -> str:
    """The segment of a context: text as it is, all else as JSON.

    Example:
        >>> label_of({"country": "DE"}, "country"), label_of({"new": True}, "new"), label_of(None, "country")
        ('DE', 'true', '(missing)')
    """
    value = None if context is None else context.get(attribute)
    if value is None:
        return MISSING
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def segment_results(
    definition: ExperimentDefinition,
    attribute: str,
    tables: Sequence[UnitTable],
    labels: Labels,
    cut: Sequence[int],
) -> Segmented:
    """The goal's effects within each segment. O(units).

    Args:
        definition: of the experiment.
        attribute: what the labels are of.
        tables: its units, by partition.
        labels: of every unit's first exposure.
        cut: offset covered by each partition.
    """
    fold = TallyFold(definition)
    own = [[labels.get((high, low), MISSING) for high, low in table.hashes.tolist()] for table in tables]
    sizes = Counter(label for each in own for label in each)
    ranked = sorted(sizes, key=lambda label: (-sizes[label], label))
    names = ranked if len(ranked) <= MOST_SEGMENTS else [*ranked[: MOST_SEGMENTS - 1], OTHER]
    place = {label: i for i, label in enumerate(names)}
    # A tally by segment in the place of minutes: the same exact sums.
    known = fold.nothing()
    for table, each in zip(tables, own, strict=True):
        segment = np.array([place.get(label, len(names) - 1) for label in each], np.int64)
        chosen = table.matured
        values = np.concatenate([np.zeros_like(table.values), table.values[chosen]])
        what = np.repeat([Count.ENROLLED, Count.MATURED], [len(table), int(chosen.sum())]).astype(np.int64)
        fold.count(
            known,
            np.concatenate([segment, segment[chosen]]),
            np.concatenate([table.variant, table.variant[chosen]]),
            what,
            np.ones(len(what), np.int64),
            values,
        )
    keys, alpha = definition.keys, definition.alpha / (len(definition.keys) - 1)
    found: list[SegmentResult] = []
    for i, name in enumerate(names):
        totals = known.upto(0).plus(known, i, i + 1)
        found.append(
            SegmentResult(
                segment=name,
                enrolled=dict(zip(keys, totals.counts[:, Count.ENROLLED].tolist(), strict=True)),
                matured=dict(zip(keys, totals.counts[:, Count.MATURED].tolist(), strict=True)),
                effects=tuple(
                    live_effect(definition, fold.kept, totals, 0, k, alpha) for k in range(1, len(keys))
                ),
            )
        )
    return _adjusted(definition, attribute, found, cut)


def _adjusted(
    definition: ExperimentDefinition, attribute: str, found: Sequence[SegmentResult], cut: Sequence[int]
) -> Segmented:
    p_values = [e.p_value for one in found for e in one.effects if e.p_value is not None]
    adjusted = iter(holm(p_values) if p_values else [])
    segments = tuple(
        msgspec.structs.replace(
            one,
            effects=tuple(
                e if e.p_value is None else msgspec.structs.replace(e, p_value=next(adjusted))
                for e in one.effects
            ),
        )
        for one in found
    )
    return Segmented(
        experiment=definition.name,
        attribute=attribute,
        cut=tuple(cut),
        comparisons=len(p_values),
        segments=segments,
    )
