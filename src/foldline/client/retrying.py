"""When to send again: exponential backoff with full jitter, within a deadline.

Every request may be repeated, because whoever made it made its ids first. Jitter is "full" as in Marc Brooker,
"Exponential backoff and jitter" (AWS, 2015): uniform between nothing and the bound, so that clients that failed
together do not come back together.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between tries.

    Attributes:
        first_s: bound of the first pause; it doubles with each.
        most_s: bound of any pause.
    """

    first_s: float = 0.05
    most_s: float = 2.0

    def pause_s(self, failures: int, rng: random.Random, least_s: float = 0.0) -> float:
        """The pause after so many failures in a row, at least one.

        Args:
            failures: tries that failed.
            rng: draws the jitter.
            least_s: what the service asked for with `Retry-After`.
        """
        bound = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return least_s + rng.uniform(0.0, bound)


class Tries:
    """The tries of one request.

    Args:
        backoff: pauses between them.
        until: when the last may end, on the clock given to `pause_s`.
        rng: draws the jitter.
    """

    __slots__ = ("_backoff", "_failures", "_rng", "until")

    def __init__(self, backoff: Backoff, until: float, rng: random.Random) -> None:
        self._backoff = backoff
        self._failures = 0
        self._rng = rng
        self.until = until

    def pause_s(self, now: float, retry_after_s: int | None) -> float | None:
        """How long to wait after a failure before the next try; None where none is left within the deadline."""
        self._failures += 1
        pause = self._backoff.pause_s(self._failures, self._rng, float(retry_after_s or 0))
        return pause if now + pause < self.until else None
