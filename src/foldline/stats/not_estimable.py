"""What a statistic returns where the data give no number."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class NotEstimable:
    """No estimate exists; false in a condition, so that `if result:` asks whether there is one.

    Attributes:
        reason: one sentence for people.

    Example:
        >>> bool(NotEstimable("no observations"))
        False
    """

    reason: str

    def __bool__(self) -> Literal[False]:
        return False
