"""Assignment as Unleash does it: gradual rollouts and variants by MurmurHash3."""

from collections.abc import Mapping
from itertools import accumulate

from foldline.errors import InputError
from foldline.experiments.foreign_hashes import murmur3_32

VARIANT_SEED = 86_028_157
"""Of variants, since 2023: by the rollout's own hash, a 10 % rollout reached a tenth of the variants' positions."""


def unleash_position(group: str, unit: str, *, modulus: int = 100, seed: int = 0) -> int:
    """1 to `modulus`: murmur3_32("group:unit") mod modulus + 1.

    Example:
        >>> unleash_position("gr1", "123"), unleash_position("gr1", "123", modulus=1000, seed=VARIANT_SEED)
        (73, 796)
    """
    return murmur3_32(f"{group}:{unit}".encode(), seed) % modulus + 1


def unleash_enrolled(group: str, unit: str | None, percentage: int) -> bool:
    """Whether a gradual rollout has reached a unit; never for a missing one."""
    return bool(unit) and percentage > 0 and unleash_position(group, unit or "") <= percentage


def unleash_variant(group: str, unit: str, weights: Mapping[str, int]) -> str:
    """The variant whose cumulative weight reaches the unit's position among all weights.

    Args:
        group: the feature's name, or the strategy's group.
        unit: what the variants stick to.
        weights: of each variant, in order; their sum above 0.

    Raises:
        InputError: `input.invalid` for weights that are negative or sum to zero.
    """
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise InputError("input.invalid", f"weights {dict(weights)!r}; expected none negative, a sum above 0")
    position = unleash_position(group, unit, modulus=total, seed=VARIANT_SEED)
    reached = accumulate(weights.values())
    return next(key for key, upto in zip(weights, reached, strict=True) if position <= upto)
