"""Fixtures shared by all tests."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Numba's index of compiled code is not safe against two processes that compile one function for different types
# at once: each parallel worker keeps its own, before anything imports numba.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba" / worker))


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
