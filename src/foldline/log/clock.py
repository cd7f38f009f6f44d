"""The clock a log reads: injected, so that tests can move it."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01 UTC. Used for refusing times ahead, lease expiry and retention."""


def now_ms() -> int:
    """This machine's wall clock in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
