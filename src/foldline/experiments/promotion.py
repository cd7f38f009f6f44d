"""Promotion: units that get a variant because it won, by a hash of their own; the test does not count them."""

from collections.abc import Callable
from fractions import Fraction

import xxhash

from foldline.experiments.assignment import hash_bound
from foldline.experiments.hashes import salted_prefix

Promoted = Callable[[str], bool]
"""Whether a unit gets the promoted variant."""


def promoted_units(salt: str, share: float) -> Promoted:
    """The units of a share, by their hash: those of a smaller share are among those of a larger one.

    Args:
        salt: of the experiment.
        share: 0 to 1.

    Example:
        >>> few, many = promoted_units("s", 0.1), promoted_units("s", 0.5)
        >>> units = [f"u{n}" for n in range(1000)]
        >>> sum(map(few, units)), sum(map(many, units)), all(map(many, filter(few, units)))
        (92, 505, True)
    """
    digest, prefix, bound = (
        xxhash.xxh3_64_intdigest,
        salted_prefix(salt, "promotion"),
        hash_bound(Fraction(share)),
    )

    def is_promoted(unit: str) -> bool:
        return digest(prefix + unit.encode()) < bound

    return is_promoted
