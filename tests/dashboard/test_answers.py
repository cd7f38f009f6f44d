"""What the dashboard answers, without a browser: statuses, headers, JSON, caching, empty states."""

import hashlib
import re
from importlib.resources import files

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.engine.defining import create_catalogue
from foldline.errors import MissingExtra
from foldline.log.open import open_log
from foldline.log.protocol import Log
from tests.dashboard.site import NASTY, PACE, Client


@pytest.fixture(scope="module")
def client(log: Log) -> Client:
    """A client of the dashboard over the log that has learnt."""
    return Client(dashboard(log))


@pytest.mark.parametrize("path", ["/", "/loops/news", "/loops/shop-offer", "/streams"])
def test_pages_are_whole_and_guarded(client: Client, path: str) -> None:
    """Every page is HTML with a title, a policy that allows nothing from elsewhere, and no inline script or style."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<title>" in answer.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=\"|\sstyle=", answer.text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text)
    assert client.get(path, method="HEAD").status_code == 200
    assert client.get(path, method="POST").status_code == 405


def test_names_are_text(client: Client) -> None:
    """An action's name is escaped wherever it stands."""
    text = client.get("/loops/shop-offer").text
    assert NASTY not in text
    assert "&lt;img src=x onerror=" in text


def test_loops_as_json(client: Client) -> None:
    """The overview's numbers: the learner beats the baseline."""
    answer = client.get("/loops.json").json()
    news = next(loop for loop in answer["loops"] if loop["name"] == "news")
    assert (news["policy"], news["actions"], news["dead"]) == ("epsilon_greedy", 20, 0)
    assert news["decisions"] >= 1_500
    assert news["average"] > news["baseline"] > 0
    assert news["lift"] == pytest.approx(news["average"] / news["baseline"] - 1, rel=1e-3)


def test_a_loops_series_as_json(client: Client) -> None:
    """What the plots draw, with its version as ETag: whoever has it is told so."""
    answer = client.get("/loops/news/series.json")
    content = answer.json()
    series = content["series"]
    assert content["loop"] == "news"
    assert re.fullmatch(r"0:\d+,1:\d+", content["cut"])
    assert 1 < len(series["times"]) == len(series["average"]) == len(series["rate"])
    assert series["times"] == sorted(series["times"])
    assert series["zero_one"]
    assert sum(len(action["shares"]) > 0 for action in series["actions"]) == 6
    assert sum(action["decisions"] for action in series["actions"]) >= 1_500
    again = client.get("/loops/news/series.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    prices = client.get("/loops/shop-offer/series.json").json()["series"]
    assert not prices["zero_one"]
    assert [sum(prices[of]) for of in ("dead", "unmatched", "late")] == [1, 4, 5]


def test_streams_as_json(client: Client) -> None:
    """Topics with their offsets, and the lag of every fold."""
    answer = client.get("/streams.json").json()
    topics = {topic["topic"]: topic for topic in answer["topics"]}
    assert len(topics["news.events"]["offsets"]) == 2
    assert topics["news.roots"]["cleanup"] == "compact"
    folds = [(fold["loop"], fold["fold"], fold["partition"]) for fold in answer["folds"]]
    assert folds[:4] == [
        ("news", "policy", 0),
        ("news", "policy", 1),
        ("news", "timeline", 0),
        ("news", "timeline", 1),
    ]
    assert all(fold["lag"] == fold["end"] - fold["n"] for fold in answer["folds"])


def test_what_is_not_there(client: Client) -> None:
    """404 says what is missing: a page to people, an error to machines."""
    page = client.get("/loops/nothing")
    assert page.status_code == 404
    assert "no loop &#39;nothing&#39; stands on this log" in page.text
    error = client.get("/loops/nothing/series.json")
    assert (error.status_code, error.json()["error"]["code"]) == (404, "input.unknown_loop")
    assert client.get("/nowhere").status_code == 404
    assert client.get("/nowhere.json").json()["error"]["code"] == "http.not_found"
    assert client.get("/static/nothing.js").status_code == 404
    assert client.get("/static/../site.py").status_code == 404
    assert client.get("/live?of=loops/nothing").status_code == 404


def test_static_files_are_cached_for_ever_by_content(client: Client) -> None:
    """A page names files with their digest; they are compressed, and not sent twice."""
    path = re.search(r"/static/vendor/echarts[^\"]+", client.get("/loops/news").text)
    assert path is not None
    answer = client.get(path[0], headers={"accept-encoding": "gzip"})
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-encoding"] == "gzip"
    plain = client.get(path[0].partition("?")[0], headers={"accept-encoding": "identity"})
    assert plain.content == answer.content
    assert plain.headers["cache-control"] == "no-cache"
    again = client.get(path[0], headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_vendored_files_are_what_their_table_says() -> None:
    """Each minified file has a row with its hash, and its licence beside it."""
    folder = files("foldline.dashboard") / "static" / "vendor"
    rows = re.findall(
        r"^\| `([\w.]+)` \|.*\| `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    scripts = {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".js")}
    assert dict(rows) == {
        name: hashlib.sha256(each.read_bytes()).hexdigest() for name, each in scripts.items()
    }
    for name in scripts:
        assert (folder / f"{name.partition('.')[0]}.LICENSE.txt").is_file()


def test_mounted_under_a_path(log: Log) -> None:
    """Links follow the path under which the dashboard is mounted."""
    client = Client(Starlette(routes=[Mount("/look", dashboard(log))]))
    text = client.get("/look/loops/news").text
    assert client.get("/look/").status_code == 200
    assert set(re.findall(r"(?:href|src|hx-get|data-series|data-live)=\"/(\w+)/", text)) == {"look"}
    assert 'hx-get="/look/loops/news"' in text


def test_empty_states_say_what_to_do() -> None:
    """On an empty log, on one without loops, and for a loop that nobody learns or decides with."""
    with open_log("memory://") as log:
        client = Client(dashboard(log, every_s=0))
        assert "No loop stands on this log yet" in client.get("/").text
        assert "Nothing stands on this log" in client.get("/streams").text
        assert client.get("/loops.json").json()["loops"] == []
        create_catalogue(log)
        assert "foldline demo news" in client.get("/").text
        assert client.get("/loops/news").status_code == 404
    with fl.open("memory://", pace=PACE, timeline=False) as app:
        client = Client(dashboard(app.log, every_s=0))
        news = app.loop("news", actions=["a", "b"])
        assert "No timeline yet" in client.get("/loops/news").text
        news.reward(news.decide("u"), 1)
        news.catch_up()
        assert "timeline=True" in client.get("/loops/news").text
    with fl.open("memory://", pace=PACE) as app:
        client = Client(dashboard(app.log, every_s=0))
        app.loop("news", actions=["a", "b"])
        app._host.round()
        assert "Nobody has decided yet" in client.get("/loops/news").text
        assert "None. Every record could be used." in client.get("/loops/news").text


def test_a_loop_that_nobody_learns() -> None:
    """Before the first bundle the page says that a learner is missing."""
    from foldline.engine.defining import define
    from foldline.loops.catalogue import Catalogue
    from tests.engine.traffic import START, definition

    with open_log("memory://") as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition(), holder="test", now=START)
        client = Client(dashboard(log))
        assert "nobody learns on this log" in client.get("/loops/news").text
        assert "no bundle" in client.get("/").text
        assert "never" in client.get("/streams").text


def test_a_log_that_is_away() -> None:
    """What is wrong, and what to do, with 503; the JSON has the code."""
    log = open_log("memory://")
    client = Client(dashboard(log, every_s=0))
    log.close()
    page = client.get("/")
    assert page.status_code == 503
    assert "The log was closed; open it again." in page.text
    assert client.get("/streams.json").json()["error"]["code"] == "log.closed"


def test_without_the_extra(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra to install."""
    monkeypatch.setitem(__import__("sys").modules, "foldline.dashboard.site", None)
    with pytest.raises(MissingExtra, match=r"foldline\[serve\]"):
        dashboard(log)
