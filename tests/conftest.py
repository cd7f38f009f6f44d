"""Fixtures shared by all tests."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tools.kafka.jars import missing
from tools.kafka.sharing import Shared, shared_cluster

ROOT = Path(__file__).resolve().parent.parent

# Numba's index of compiled code is not safe against two processes that compile one function for different types
# at once: each parallel worker keeps its own, before anything imports numba.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba" / worker))


# The first example may compile a loop, and a machine may be busy: no test asserts on time.
settings.register_profile("foldline", deadline=None)
settings.load_profile("foldline")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data sets beside the checkout; absent on most machines, required in CI."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        reason = "needs the data folder ../shared/data beside the checkout, which is not there"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One Apache Kafka node for the whole test run; where it cannot be had, a skip with the reason, in CI a failure."""
    lacking = missing()
    if lacking is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(lacking)
        pytest.skip(lacking)
    folder = tmp_path_factory.getbasetemp()
    with shared_cluster(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) as cluster:
        yield cluster


@pytest.fixture
def kafka_url(broker: Shared) -> str:
    """A log on Kafka that nobody has used: a namespace of its own."""
    return f"kafka://{broker.bootstrap}/t{uuid.uuid4().hex[:12]}"
