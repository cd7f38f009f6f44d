"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
