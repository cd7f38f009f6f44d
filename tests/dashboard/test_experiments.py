"""The pages of experiments: what they answer, and in a real browser."""

import re

import pytest

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.log.open import open_log
from tests.dashboard.site import Client


@pytest.fixture(scope="module")
def client(tried: fl.Foldline) -> Client:
    """A client of the dashboard over the log with experiments."""
    return Client(dashboard(tried.log))


@pytest.mark.parametrize(
    "path", ["/experiments", "/experiments/one-page", "/experiments/banner", "/experiments/later"]
)
def test_pages_are_whole_and_guarded(client: Client, path: str) -> None:
    """Every page is HTML without inline script or style, and answers GET and HEAD only."""
    answer = client.get(path)
    assert answer.status_code == 200
    assert "<title>" in answer.text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=\"|\sstyle=", answer.text)
    assert client.get(path, method="HEAD").status_code == 200
    assert client.get(path, method="POST").status_code == 405


def test_the_list_says_how_far_each_is(client: Client) -> None:
    """A verdict, a running one, a draft; as a page and as JSON."""
    listed = {one["name"]: one for one in client.get("/experiments.json").json()["experiments"]}
    assert set(listed) == {"one-page", "banner", "later"}
    assert (listed["one-page"]["verdict"], listed["one-page"]["winner"]) == ("challenger_wins", "challenger")
    assert (listed["banner"]["verdict"], listed["banner"]["state"]) == (None, "running")
    assert 0.05 < listed["banner"]["progress"] < 0.5
    assert (listed["later"]["state"], listed["later"]["progress"]) == ("draft", 0.0)
    text = client.get("/experiments").text
    for said in ("challenger wins", "running", "not started"):
        assert said in text


def test_a_fixed_horizon_shows_only_what_holds_at_every_moment_until_its_verdict(client: Client) -> None:
    """While it runs no test of one look stands on its page or in its JSON; afterwards the deciding one does."""
    running = client.get("/experiments/banner")
    assert "the deciding test" not in running.text
    assert not re.search("yates|fisher|welch|pooled", running.text)
    content = client.get("/experiments/banner/results.json").json()
    methods = {e["method"] for e in [*content["results"]["effects"], *content["results"]["guardrails"]]}
    assert (methods, content["results"]["verdict"]) == ({"normal_mixture"}, None)
    ended = client.get("/experiments/one-page").text
    assert "the deciding test: yates" in ended
    assert "The challenger wins: challenger." in ended


def test_the_page_says_of_what_each_variant_learns(client: Client) -> None:
    """The data-sharing rule stands beside the verdict."""
    text = re.sub(r"\s+", " ", client.get("/experiments/banner").text)
    assert "(fixed) does not learn" in text
    assert "(epsilon_greedy) learns of only the decisions before the start" in text
    verdict = text[text.index('<div id="verdict">') : text.index('<dl id="tiles"')]
    assert "does not learn" in verdict
    variants = text[text.index('<div id="variants">') : text.index('<div id="guardrails">')]
    assert "nothing: it is fixed" in variants
    assert "only the decisions before the start" in variants


def test_a_guardrail_shows_what_it_tolerates(client: Client) -> None:
    """Each bar has a mark at the margin, on the side that is worse."""
    text = client.get("/experiments/banner").text
    rails = text[text.index('<div id="guardrails">') : text.index('id="segments-title"')]
    marks = re.findall(r'class="baseline" d="M([\d.]+),.*?class="limit" d="M([\d.]+),', rails)
    assert len(marks) == 2
    # Of both less is better: what is tolerated lies above zero.
    assert all(float(zero) < float(limit) <= 100.0 for zero, limit in marks)


def test_results_as_json_are_those_of_the_program(client: Client, tried: fl.Foldline) -> None:
    """The same numbers, with the course, and a version for whoever has it."""
    answer = client.get("/experiments/one-page/results.json")
    content = answer.json()
    results = tried.loop("checkout").experiment("one-page").results()
    assert results.verdict is not None
    assert content["results"]["verdict"]["time"] == results.verdict.time
    assert content["results"]["variants"][1]["matured"] == results.variants[1].matured
    series = content["series"]
    assert 20 < len(series["times"]) == len(series["effects"][0]["means"]) <= 201
    assert series["times"] == sorted(series["times"])
    assert [each["action"] for each in series["units"]] == ["control", "challenger"]
    assert [one["kind"] for one in content["announced"]] == ["verdict"]
    again = client.get(
        "/experiments/one-page/results.json", headers={"if-none-match": answer.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_results_by_segment(client: Client, tried: fl.Foldline) -> None:
    """A declared attribute has a page that says what it is worth; another has none."""
    assert 'href="/experiments/one-page/segments/device"' in client.get("/experiments/one-page").text
    page = client.get("/experiments/one-page/segments/device")
    assert page.status_code == 200
    assert "Exploratory, no part of the verdict." in page.text
    content = client.get("/experiments/one-page/segments/device.json").json()
    assert [one["segment"] for one in content["segments"]] == ["tablet", "desktop", "phone"]
    assert sum(sum(one["enrolled"].values()) for one in content["segments"]) == 2_600
    assert content["comparisons"] == 3
    found = tried.loop("checkout").experiment("one-page").by_segment("device")
    assert [one.matured for one in found.segments] == [one["matured"] for one in content["segments"]]
    assert client.get("/experiments/one-page/segments/country").status_code == 404


def test_what_is_not_there() -> None:
    """An unknown experiment is 404 with what to do; a log without any says how to begin."""
    with open_log("memory://") as empty:
        client = Client(dashboard(empty))
        page = client.get("/experiments/nothing")
        assert page.status_code == 404
        assert "no experiment" in page.text
        assert (
            client.get("/experiments/nothing/results.json").json()["error"]["code"]
            == "input.unknown_experiment"
        )
        assert client.get("/live?of=experiments/nothing").status_code == 404
        assert "No experiment stands on this log yet" in client.get("/experiments").text
