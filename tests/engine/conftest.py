"""A log with one loop defined on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from foldline.engine.defining import create_catalogue, define
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from tests.engine.deciding import Honest
from tests.engine.traffic import START, definition

Define = Callable[[LoopDefinition], Catalogue]


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    """An empty log of each kind."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/events.db"
    with open_log(url) as opened:
        create_catalogue(opened)
        yield opened


@pytest.fixture
def defined(log: Log) -> Define:
    """Define a loop version on the log; the catalogue afterwards."""

    def _define(definition: LoopDefinition) -> Catalogue:
        catalogue = Catalogue()
        define(log, catalogue, definition.name, lambda _: definition, holder="test", now=START)
        return catalogue

    return _define


@pytest.fixture
def honest(log: Log) -> Honest:
    """A loop with some honest traffic on three partitions, learnt and published."""
    made = Honest(log, definition(3, policy="thompson"))
    made.run(6)
    return made
