"""Where values stand on a bar."""

from collections.abc import Sequence
from dataclasses import dataclass

from foldline.experiments.effects import Effect


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of the bars of a table.

    Attributes:
        low: at the left.
        high: at the right.
    """

    low: float
    high: float

    def at(self, value: float) -> str:
        """Where a value stands, 0 to 100.

        Example:
            >>> Scale(0.0, 4.0).at(1.0), Scale(0.0, 4.0).at(9.0)
            ('25', '100')
        """
        return f"{min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low))):.4g}"


def effect_scale(effects: Sequence[Effect], beside: float = 0.0) -> Scale | None:
    """A scale for the limits of effects, and a value beside them, zero in its middle; None where there are none."""
    limits = [abs(limit) for effect in effects for limit in (effect.low, effect.high) if limit is not None]
    widest = max([*limits, abs(beside)]) if limits else 0.0
    return Scale(-widest, widest) if widest > 0.0 else None
