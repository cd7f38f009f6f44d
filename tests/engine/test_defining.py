"""Defining under a lease that runs out on a busy machine."""

from typing import Any

import pytest

from foldline.engine.defining import TRIES, create_catalogue, define
from foldline.errors import LeaseLost
from foldline.log.memory import MemoryLog
from foldline.loops.catalogue import Catalogue
from tests.engine.traffic import START, definition


class Interrupted(MemoryLog):
    """A log whose lease another process takes just before the commit, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def append(self, batches: Any, *, lease: Any = None) -> list[int]:
        """As of the log in memory."""
        if lease is not None and self.times:
            self.times -= 1
            self.release(lease)
            other = self.acquire(lease.name, "other", 5.0)
            assert other is not None
            self.release(other)
        return super().append(batches, lease=lease)


@pytest.mark.parametrize("times", [0, 1, TRIES - 1])
def test_a_lost_lease_begins_again(times: int) -> None:
    """The definition stands once, whoever interrupted."""
    with Interrupted(times) as log:
        create_catalogue(log)
        made = define(log, Catalogue(), "news", lambda old: old or definition(1), holder="one", now=START)
        assert made.version == 1
        assert log.offsets("foldline.loops", 0) == (0, 1)


def test_who_is_always_interrupted_says_so() -> None:
    """After some tries."""
    with Interrupted(TRIES) as log:
        create_catalogue(log)
        with pytest.raises(LeaseLost):
            define(log, Catalogue(), "news", lambda old: old or definition(1), holder="one", now=START)
        assert log.offsets("foldline.loops", 0) == (0, 0)
