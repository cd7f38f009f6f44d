"""Assignment as GrowthBook's SDKs do it (specification 0.8): hash versions 1 and 2, ranges, namespaces."""

from collections.abc import Sequence

from foldline.experiments.foreign_hashes import fnv1a_32

Range = tuple[float, float]
"""From, to; `to` excluded."""


def growthbook_position(seed: str, value: str, version: int) -> float | None:
    """A unit's position, 0 to 1 in steps of 0.001 (version 1) or 0.0001 (2); None for another version.

    Version 1 correlates experiments whose keys are alike; use it for experiments that run with it only.

    Example:
        >>> growthbook_position("", "a", 1), growthbook_position("seed", "b", 2)
        (0.22, 0.2696)
    """
    if version == 1:
        return fnv1a_32((value + seed).encode()) % 1000 / 1000
    if version == 2:
        return fnv1a_32(str(fnv1a_32((seed + value).encode())).encode()) % 10_000 / 10_000
    return None


def equal_weights(variations: int) -> list[float]:
    """1 / n each."""
    return [1.0 / variations] * variations if variations > 0 else []


def bucket_ranges(
    variations: int, coverage: float = 1.0, weights: Sequence[float] | None = None
) -> list[Range]:
    """Each variation's range: it begins at its cumulative weight and is weight · coverage wide.

    So a ramp of the coverage moves nobody between variations. Weights of a wrong number, or whose sum is not 0.99 to
    1.01, are replaced by equal ones in silence: that is what GrowthBook does; `AssignmentPlan` refuses them.

    Example:
        >>> bucket_ranges(2, 0.5)
        [(0.0, 0.25), (0.5, 0.75)]
    """
    covered = min(max(coverage, 0.0), 1.0)
    if weights is None or len(weights) != variations or not 0.99 <= sum(weights) <= 1.01:
        weights = equal_weights(variations)
    ranges: list[Range] = []
    upto = 0.0
    for weight in weights:
        ranges.append((upto, upto + covered * weight))
        upto += weight
    return ranges


def in_range(position: float, limits: Sequence[float]) -> bool:
    """Whether from <= position < to."""
    return limits[0] <= position < limits[1]


def choose_variation(position: float, ranges: Sequence[Sequence[float]]) -> int:
    """The first range that holds the position; -1 where none does.

    Example:
        >>> choose_variation(0.6, [(0.0, 0.25), (0.5, 0.75)])
        1
    """
    return next((i for i, limits in enumerate(ranges) if in_range(position, limits)), -1)


def in_namespace(value: str, namespace: tuple[str, float, float]) -> bool:
    """Whether a unit is in a namespace's range: hash version 1 with the seed "__" and the name."""
    name, low, high = namespace
    position = growthbook_position(f"__{name}", value, 1)
    return position is not None and in_range(position, (low, high))
