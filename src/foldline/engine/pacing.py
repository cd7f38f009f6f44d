"""Pacing: how often something is done that each time waits for its turn in a round."""


def paced(before: int, now: int, every_ms: int) -> int:
    """The moment that what is done now counts as done at, for the sake of the next; milliseconds.

    What is due is only seen when its turn comes. Counted from then, each delay would put off all that follow, and an
    interval of a round and a bit would become two rounds. Counted from when it was due, delays do not add up; up to
    half an interval of them is made good, so that two are never closer together than that.

    Args:
        before: the moment that the last one counts as done at.
        now: what time it is.
        every_ms: the interval; 0 for none.

    Example:
        >>> paced(100, 123, 20), paced(100, 500, 20), paced(100, 105, 20)
        (120, 490, 105)
    """
    return min(now, max(before + every_ms, now - every_ms // 2))
