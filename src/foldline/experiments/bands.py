"""Bands: what the weights were when units were enrolled, so that whoever is enrolled keeps the variant.

A unit's place among all is the hash that enrols it, and a coverage enrols the places below it. So the splits that an
experiment has had are bands of places, and which one a unit belongs to follows from its id: nothing is remembered,
and any client or audit says the same. New weights are therefore those of the places that a ramp adds from then on.
"""

from collections.abc import Iterator, Sequence

import msgspec


class Band(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Places enrolled under other weights.

    Attributes:
        coverage: they end here; they begin where the band before ends, or at 0.
        weights: of the variants, in their order.
        phase: in which these units were counted; see `ExperimentDefinition.phase`.
    """

    coverage: float
    weights: tuple[int, ...]
    phase: int = 0


def band_faults(bands: Sequence[Band], variants: int, coverage: float) -> Iterator[str]:
    """What contradicts itself."""
    edges = [0.0, *(band.coverage for band in bands)]
    if edges != sorted(set(edges)) or edges[-1] > coverage:
        yield f"bands end at {edges[1:]!r}; expected them rising, above 0 and at most at the coverage {coverage:g}"
    for band in bands:
        if len(band.weights) != variants or min(band.weights) < 0 or not any(band.weights):
            yield f"a band has the weights {list(band.weights)!r}; expected {variants} of at least 0, one above"
