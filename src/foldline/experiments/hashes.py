"""The hashes a unit's variant may follow from; an experiment names one at its start and keeps it.

`foldline_1` hashes salt, purpose and unit as one text, as `foldline.records.hashing.draw` does. `foldline_2` hashes
the unit alone, with a seed that is the hash of salt and purpose: the same independence, with nothing to join for each
unit. The others are those of the systems they name, for experiments that move here while they run.
"""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Literal, NamedTuple

import xxhash

from foldline.experiments.growthbook import (
    bucket_ranges,
    choose_variation,
    growthbook_position,
    in_namespace,
)
from foldline.experiments.layer import LayerRange
from foldline.experiments.planout import PlanOutDraw
from foldline.experiments.unleash import unleash_enrolled, unleash_variant

Hash = Literal[
    "foldline_1",
    "foldline_2",
    "growthbook_1",
    "growthbook_2",
    "planout_uniform",
    "planout_weighted",
    "unleash",
]

OURS = ("foldline_1", "foldline_2")

OnUnit = Callable[[str], bool]


class ForeignHash(NamedTuple):
    """How another system assigns a unit.

    Attributes:
        in_layer: whether the unit is in the layer's slots; None where that is asked of our own hash.
        enrolled: whether the unit is covered; None where that is asked of our own hash, or of `choose`.
        choose: index of the unit's variant; -1 where it has none.
    """

    in_layer: OnUnit | None
    enrolled: OnUnit | None
    choose: Callable[[str], int]


def foreign_hash(
    name: Hash, salt: str, weights: Mapping[str, int], coverage: float, layer: LayerRange | None
) -> ForeignHash:
    """The hash of another system, compiled.

    GrowthBook's salt is its seed, or else its experiment's key; weights are shares of their sum; a layer is a
    namespace, and coverage narrows each variant's range, as there. PlanOut's salt is `experiment_salt.parameter`; a
    layer is its namespace, the slots its segments; it knows no coverage, so that is by our hash. Unleash's is the
    group; weights are its own, since their sum (1,000 there) counts, and coverage is a whole percentage.

    Example:
        >>> weights = {"control": 1, "challenger": 1}
        >>> choose = foreign_hash("growthbook_2", "exp-ctr", weights, 1.0, None).choose
        >>> [choose(f"user-{n}") for n in range(1, 6)]
        [0, 0, 0, 1, 1]
    """
    keys = list(weights)
    total = sum(weights.values())
    if name == "unleash":
        percentage = round(coverage * 100)
        return ForeignHash(
            None,
            lambda unit: unleash_enrolled(salt, unit, percentage),
            lambda unit: keys.index(unleash_variant(salt, unit, weights)),
        )
    if name in ("planout_uniform", "planout_weighted"):
        shares = list(weights.values())
        places = range(len(keys))

        def drawn(unit: str) -> int:
            draw = PlanOutDraw(salt, unit)
            return draw.choice(places) if name == "planout_uniform" else draw.weighted_choice(places, shares)

        return ForeignHash(None if layer is None else _segments(layer), None, drawn)
    version = 1 if name == "growthbook_1" else 2
    ranges = bucket_ranges(len(keys), coverage, [weight / total for weight in weights.values()])

    def chosen(unit: str) -> int:
        position = growthbook_position(salt, unit, version)
        return -1 if position is None else choose_variation(position, ranges)

    return ForeignHash(None if layer is None else _namespace(layer), None, chosen)


def layer_hash(name: Hash) -> str:
    """By whose hash a unit finds its slot of a layer: experiments of one layer must agree on it."""
    family = name.partition("_")[0]
    return family if family in ("growthbook", "planout") else "foldline"


def seed_of(salt: str, purpose: str) -> int:
    """The seed of `foldline_2` for a purpose."""
    return xxhash.xxh3_64_intdigest(salted_prefix(salt, purpose))


def salted_prefix(salt: str, purpose: str) -> bytes:
    """What `foldline_1`, as `draw`, hashes before the id."""
    return f"{salt}\x1f{purpose}\x1f".encode()


def hash_faults(name: Hash, weights: Mapping[str, int], coverage: float) -> Iterator[str]:
    """What contradicts the hash chosen."""
    if name == "planout_uniform" and len(set(weights.values())) > 1:
        yield f"hash 'planout_uniform' with the weights {dict(weights)!r}; expected equal ones, or 'planout_weighted'"
    if name == "unleash" and Fraction(round(coverage * 100), 100) != Fraction(str(coverage)):
        yield f"hash 'unleash' with coverage {coverage!r}; expected a whole percentage, such as 0.25"


def _namespace(layer: LayerRange) -> OnUnit:
    ranges = [(layer.salt, low / layer.size, high / layer.size) for low, high in layer.slots]
    return lambda unit: any(in_namespace(unit, each) for each in ranges)


def _segments(layer: LayerRange) -> OnUnit:
    def in_segments(unit: str) -> bool:
        segment = PlanOutDraw(f"{layer.salt}.segment", unit).random_integer(0, layer.size - 1)
        return any(low <= segment < high for low, high in layer.slots)

    return in_segments
