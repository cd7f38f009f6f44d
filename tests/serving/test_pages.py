"""The dashboard beside the service: who may look, and what happens when the service stops."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from foldline.dashboard.asgi import dashboard
from foldline.log.memory import MemoryLog
from tests.serving.conftest import NEWS
from tests.serving.running import Running, running


@pytest.fixture
def paged() -> Iterator[Running]:
    """A service with pages."""
    with MemoryLog() as log, running(log, loops={"news": NEWS}, pages=dashboard(log)) as made:
        yield made


def test_pages_stand_beside_the_service(paged: Running) -> None:
    """The loop's page is there, `/v1` is the service's own, and what neither has is a page that says so."""
    page = paged.client.get("/loops/news")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert paged.client.get("/v1/loops/news").json()["name"] == "news"
    missing = paged.client.get("/v1/nothing")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "http.not_found")
    assert paged.client.get("/nothing").headers["content-type"].startswith("text/html")


def test_without_pages_the_service_says_what_is_there(served: Running) -> None:
    """Nothing stands at `/` then."""
    assert served.client.get("/").json()["error"]["code"] == "http.not_found"


def test_pages_want_an_admin_where_there_are_keys(paged: Running) -> None:
    """A browser is asked for a key; one for apps is not enough."""
    _, admin = paged.key("admin")
    _, app = paged.key("decide", "reward")
    asked = paged.client.get("/")
    assert (asked.status_code, asked.headers["www-authenticate"][:5]) == (401, "Basic")
    assert paged.client.get("/", auth=("anybody", admin)).status_code == 200
    assert paged.client.get("/", headers={"authorization": f"Bearer {admin}"}).status_code == 200
    assert paged.client.get("/", auth=("anybody", app)).status_code == 403
    for wrong in ("Basic", "Basic ===", "Basic !!!!", "Basic dTpw", "Basic /w==", "Bearer fl_x_y"):
        assert paged.client.get("/", headers={"authorization": wrong}).status_code == 401
    assert paged.client.get("/static/nothing", auth=("u", app)).status_code == 403


def test_a_page_that_listens_holds_no_stop_up() -> None:
    """Streams of changes end with the service, before its time to drain is over."""
    heard, ended = threading.Event(), threading.Event()

    def listen(url: str) -> None:
        try:
            with httpx.stream("GET", f"{url}/live?of=overview", timeout=30) as stream:
                for _ in stream.iter_lines():
                    heard.set()
        except httpx.TransportError:
            pass
        ended.set()

    with MemoryLog() as log:
        with running(log, loops={"news": NEWS}, pages=dashboard(log)) as made:
            thread = threading.Thread(target=listen, args=(made.url,))
            thread.start()
            assert heard.wait(30)
        assert ended.wait(30)
        thread.join()
