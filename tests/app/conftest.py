"""A clock for experiments of a program."""

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.app.experiments import START


@pytest.fixture
def clock() -> Callable[[], int]:
    """A tenth of a second passes with each call."""
    times: Iterator[int] = count(START, 100)
    return lambda: next(times)
