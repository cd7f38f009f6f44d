"""Counting newlines, which is counting records."""

import numpy as np

_SHORT = 4096


def count_newlines(payload: bytes) -> int:
    r"""How many newlines there are. O(bytes).

    Example:
        >>> count_newlines(b"a\nb")
        1
    """
    if len(payload) < _SHORT:
        return payload.count(b"\n")
    # bytes.count starts a search after every hit: four times slower where lines are short.
    return int(np.count_nonzero(np.frombuffer(payload, np.uint8) == ord("\n")))
