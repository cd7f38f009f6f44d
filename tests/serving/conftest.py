"""Services to ask."""

from collections.abc import Iterator

import pytest

from foldline.loops.settings import LoopSettings
from tests.serving.direct import Direct, direct
from tests.serving.running import Running, running

NEWS = LoopSettings(actions=("a", "b"), salt="salt")
CARDS = LoopSettings(folds=({"kind": "model", "name": "m", "model": "LogisticRegression"},), salt="salt")


@pytest.fixture(scope="session")
def asked() -> Iterator[Direct]:
    """One application for all tests that leave no trace others would mind."""
    with direct({"news": NEWS, "cards": CARDS}) as made:
        yield made


@pytest.fixture(scope="session")
def shared() -> Iterator[Running]:
    """One running service for all tests that leave no trace others would mind."""
    with running(loops={"news": NEWS}) as made:
        yield made


@pytest.fixture
def served() -> Iterator[Running]:
    """A running service of one's own, with a loop `news` that decides."""
    with running(loops={"news": NEWS}) as made:
        yield made
