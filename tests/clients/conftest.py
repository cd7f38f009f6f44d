"""Programs the JavaScript client is tried in: Node and Chromium; skipped where absent, required in CI."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.clients.service import Service

NODE = 20


def _absent(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node."""
    found = shutil.which("node")
    version = subprocess.check_output([found, "--version"], text=True) if found else ""
    match = re.match(r"v(\d+)", version)
    if not found or not match or int(match[1]) < NODE:
        _absent(
            f"needs Node {NODE} or newer, found {version.strip() or 'none'}; Debian 13 has it as package nodejs"
        )
    return found


# Not for the session: while playwright is up, its event loop keeps other tests from running one.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Headless Chromium of the system."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        _absent("needs Chromium; Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as which containers run.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def service() -> Iterator[Service]:
    """A service of the test's own."""
    with Service() as running:
        yield running


@pytest.fixture
def page(chromium: Browser, service: Service) -> Iterator[Page]:
    """A page of that service's origin, with nothing stored."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{service.url}/page")
    yield page
    context.close()
