"""What attribution counts, in the fixed order of the counter array."""

from enum import IntEnum


class Counter(IntEnum):
    """Index of each count in an (len(Counter),) int64 array. All count records unless said otherwise.

    Every record of kind decision, outcome, reward or activation falls under exactly one of the counts from
    DECISIONS to DEAD that name its kind.
    """

    DECISIONS = 0
    """Decisions taken in."""
    DUPLICATE_DECISIONS = 1
    """Retried decisions: the same id and unit again while the first is remembered."""
    CONFLICTS = 2
    """Decisions ignored because their id is taken by a decision of another unit."""
    OUTCOMES = 3
    """Outcomes learnt."""
    DUPLICATE_OUTCOMES = 4
    """Outcomes dropped: the same id within wait + correction of stream time."""
    REWARDS = 5
    """Rewards accepted, whether they find a decision or not."""
    DUPLICATE_REWARDS = 6
    """Rewards dropped: the same reward id within wait + correction of stream time."""
    OTHER_REWARDS = 7
    """Rewards of another name than the rule's, ignored."""
    ACTIVATIONS = 8
    """First activations of a decision."""
    DUPLICATE_ACTIVATIONS = 9
    """Activations of a decision already activated."""
    UNMATCHED_ACTIVATIONS = 10
    """Activations that name no decision remembered."""
    DEAD = 11
    """Records dead-lettered by attribution: unknown action, value out of range. Callers add what cannot be decoded."""
    REWARD_UNITS = 12
    """Sum of the values of accepted rewards and outcomes, in reward units."""
    LATE = 13
    """Accepted rewards that found their decision mature."""
    UNMATCHED = 14
    """Accepted rewards that found no decision, counted when they stop waiting for one."""
    LEARNT = 15
    """LEARNT emits: decisions and outcomes."""
    CORRECTED = 16
    """CORRECTED emits."""
    UNACTIVATED = 17
    """Decisions that expired without having been activated, under a rule that asks for activation."""
