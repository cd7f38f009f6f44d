"""Health, readiness, metrics, and the application around the routes."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from foldline.app.foldline import wall_clock
from foldline.errors import CODES, FoldError, FoldlineError, LogError, MissingExtra, RequestError
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch
from foldline.loops.settings import LoopSettings
from foldline.serving.refusals import refusal
from foldline.serving.routes import ROUTES
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct, direct
from tests.serving.running import ON_LOOPBACK, GatedLog, Running, running


def _metrics(served: Running) -> dict[tuple[str, ...], float]:
    """Every sample by name and label values."""
    text = served.client.get("/metrics").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_healthy_service_says_so(asked: Direct) -> None:
    """It answers, and it can do its work."""
    assert asked.ask("GET", "/healthz").json() == {"status": "ok"}
    ready = asked.ask("GET", "/readyz")
    assert (ready.status, ready.json()["status"], ready.json()["missing"]) == (200, "ready", [])


def _close_log(served: Running) -> None:
    served.log.close()


def _damage(served: Running) -> None:
    now = wall_clock()
    served.log.append([Batch("foldline.loops", 0, b"{}", 1, now, now)])
    while served.host.failure is None:
        served.log.wait({("news.roots", 0): 1 << 40}, 0.01)


def _begin_closing(served: Running) -> None:
    served.service.closing.set()


@pytest.mark.parametrize(
    ("break_it", "says"),
    [(_close_log, "the log"), (_damage, "has stopped"), (_begin_closing, "closing")],
)
def test_a_service_that_cannot_work_says_why(break_it: Callable[[Running], None], says: str) -> None:
    """503 with Retry-After and what is missing; it is healthy all the same."""
    with MemoryLog() as log, running(log, loops={"news": NEWS}) as served:
        break_it(served)
        ready = served.client.get("/readyz")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
        assert any(says in line for line in ready.json()["missing"])
        assert served.client.get("/healthz").status_code == 200
        assert served.client.get("/metrics").status_code == 200


def test_without_a_bundle_it_is_not_ready() -> None:
    """Each loop without one is named; a service without loops is ready."""
    with running(loops={"news": NEWS, "posts": NEWS}, learn=False) as served:
        missing = served.client.get("/readyz").json()["missing"]
        assert [("'news'" in line, "'posts'" in line) for line in missing] == [(True, False), (False, True)]
    with running() as served:
        assert served.client.get("/readyz").status_code == 200


def test_a_closing_service_takes_nothing_more(served: Running) -> None:
    """What would come after the last commit is refused, with Retry-After; reading goes on."""
    served.service.closing.set()
    asks = [
        ("POST", "decisions", {"unit": "u"}),
        ("POST", "rewards", [{"unit": "u", "value": 1}]),
        ("POST", "events", {"outbox": "b", "first": 0, "events": []}),
        ("PUT", "", {}),
    ]
    for method, verb, body in asks:
        refused = served.client.request(method, f"/v1/loops/news/{verb}".rstrip("/"), json=body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error"]["code"] == "http.overloaded"
    assert served.client.get("/v1/loops/news").status_code == 200
    served.service.closing.clear()


def test_metrics_count_what_happens(served: Running) -> None:
    """Requests by route and status with their times, appends, and what each loop folded."""
    before = _metrics(served)
    post = served.client.post
    post("/v1/loops/news/decisions", json=[{"unit": f"u{i}"} for i in range(5)])
    post("/v1/loops/news/rewards", json={"unit": "u1", "value": 0.5})
    post("/v1/loops/news/rewards", json={"unit": "u1", "value": 7})
    post("/v1/loops/other/rewards", json={})
    served.client.get("/nowhere")
    served.counts("news", decisions=5, rewards=1)
    after = _metrics(served)

    def grown(*name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown("foldline_requests_total", "decide", "200") == 1
    assert grown("foldline_requests_total", "reward", "200") == 1
    assert grown("foldline_requests_total", "reward", "400") == 1
    assert grown("foldline_requests_total", "reward", "404") == 1
    assert grown("foldline_requests_total", "none", "404") == 1
    assert grown("foldline_request_seconds_count", "reward") == 3
    assert after["foldline_request_seconds_bucket", "+Inf", "reward"] == 3
    assert after["foldline_request_seconds_sum", "reward"] > 0
    assert grown("foldline_appended_records_total") == 6
    assert grown("foldline_append_commits_total") == 2
    assert after["foldline_append_waiting_records",] == 0
    assert after["foldline_loop_records_total", "decisions", "news"] == 5
    assert after["foldline_loop_reward_sum", "news"] == 0.5
    assert after["foldline_bundle_age_seconds", "news"] >= 0
    assert after["foldline_host_failed",] == 0


def test_metrics_tell_what_waits_and_what_lags() -> None:
    """While the disk is slow one record waits; without a learner the bundle falls behind."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        served.client.post("/v1/loops/news/decisions", json={"unit": "u"})
    with running(log, learn=False) as served:
        log.gate.clear()
        served.client.post("/v1/loops/news/decisions?durability=fast", json={"unit": "u"})
        assert _metrics(served)["foldline_append_waiting_records",] == 1
        log.gate.set()
        served.client.post("/v1/loops/news/decisions", json={"unit": "u"})
        assert _metrics(served)["foldline_bundle_lag_records", "news"] == 2


def test_metrics_of_a_loop_whose_topics_have_gone(served: Running) -> None:
    """The others are told of all the same."""
    served.client.put("/v1/loops/posts", json={"actions": ["a"]})
    for topic in ("posts.roots", "posts.events"):
        served.log.delete(topic)
    assert ("foldline_loop_records_total", "decisions", "news") in _metrics(served)


def _degraded(served: Running) -> dict[str, Any]:
    while (answered := served.client.get("/readyz").json())["status"] == "ready":
        continue
    return dict(answered)


def test_a_fold_that_has_stopped_is_told(served: Running) -> None:
    """It still decides, and learns no more."""
    served.client.post("/v1/loops/news/decisions", json={"unit": "u"})
    served.counts("news", decisions=1)
    topic = served.log.topic("news.events")
    served.log.delete("news.events")
    served.log.create(topic)
    answered = _degraded(served)
    assert (answered["status"], answered["missing"]) == ("degraded", [])
    assert answered["degraded"][0].startswith("loop 'news' has stopped learning: fold 'policy'")


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/v1", "/v1/", "/v1/loops/news/nothing", "/v1/loops/news/decisions/x"]
)
def test_paths_that_are_none(asked: Direct, path: str) -> None:
    """404, naming the path."""
    replied = asked.ask("GET", path)
    assert (replied.status, replied.error["code"], replied.error["value"]) == (404, "http.not_found", path)


@pytest.mark.parametrize("route", [*ROUTES], ids=lambda route: route.name)
def test_a_method_that_the_path_does_not_take(asked: Direct, route: Any) -> None:
    """405, and Allow says which it takes."""
    path = route.path.replace("{loop}", "news")
    replied = asked.ask("PATCH", path, {})
    allowed = sorted(r.method for r in ROUTES if r.path == route.path)
    assert (replied.status, replied.error["code"]) == (405, "http.method")
    assert replied.headers["allow"] == ", ".join(allowed) == replied.error["expected"]


def test_other_paths_are_another_applications() -> None:
    """What is not the service's goes to the pages; what is stays here."""

    async def pages(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    with running(pages=pages) as served:
        assert served.client.get("/dashboard").text == "/dashboard"
        assert served.client.get("/").text == "/"
        assert served.client.get("/v1/none").json()["error"]["code"] == "http.not_found"
        assert served.client.post("/healthz").status_code == 405


def test_pages_of_origins_allowed_may_ask() -> None:
    """Preflights and answers say so, for that origin only; where none is allowed nothing does."""
    settings = msgspec.structs.replace(ON_LOOPBACK, origins=("https://shop.example",))
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with running(loops={"news": NEWS}, settings=settings) as served:
        path = "/v1/loops/news/decisions"
        for origin, allowed in (("https://shop.example", True), ("https://other.example", False)):
            preflight = served.client.options(path, headers={"Origin": origin, **ask})
            answered = served.client.post(path, json={"unit": "u"}, headers={"Origin": origin})
            refused = served.client.post(path, json={"unit": 7}, headers={"Origin": origin})
            assert (preflight.status_code, answered.status_code, refused.status_code) == (
                200 if allowed else 400,
                200,
                400,
            )
            for each in (preflight, answered, refused):
                assert (each.headers.get("access-control-allow-origin") == origin) == allowed
    with running(loops={"news": NEWS}) as served:
        answered = served.client.post(path, json={"unit": "u"}, headers={"Origin": "https://shop.example"})
        assert "access-control-allow-origin" not in answered.headers
        assert (
            served.client.options(path, headers={"Origin": "https://shop.example", **ask}).status_code == 405
        )


def test_what_goes_wrong_within_is_500_and_told_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    """The caller sees a code; the traceback stands in the service's log."""
    with direct({"news": NEWS}) as asked:
        decider, asked.host._hosted["news"].replica.chooser = asked.host._hosted["news"].replica.chooser, 7  # type: ignore[assignment]  # a fault no check expects
        replied = asked.ask("POST", "/v1/loops/news/decisions", {"unit": "secret"})
        asked.host._hosted["news"].replica.chooser = decider
    assert (replied.status, replied.error["code"]) == (500, "http.failed")
    assert "AttributeError" in replied.error["message"]
    assert "Traceback" not in replied.body.decode()
    told = [record for record in caplog.records if record.name == "foldline.serving"]
    assert [record.exc_info is not None for record in told] == [True]


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_error_has_a_status_and_the_one_shape(code: str) -> None:
    """Whatever code is raised, the answer has code, message, field, value and expected."""
    given: dict[str, type[Any]] = {"http": RequestError, "log": LogError, "fold": FoldError}
    if code == "install.extra":
        error: FoldlineError = MissingExtra("serve", "the service")
    else:
        error = given.get(code.partition(".")[0], FoldlineError)(
            code, "what was wrong", field="f", value=[1] * 100, expected="something else"
        )
    reply = refusal(error)
    fault = json.loads(reply.body)["error"]
    assert list(fault) == ["code", "message", "field", "value", "expected"]
    assert fault["code"] == code
    assert 400 <= reply.status <= 503
    assert len(str(fault["value"])) <= 201
    assert (b"retry-after" in dict(reply.headers)) == (reply.status == 503)


def test_long_messages_are_cut() -> None:
    """An error that quotes what was sent does not send it all back."""
    reply = refusal(RequestError("http.failed", "x" * 100_000, value="y" * 100_000))
    assert len(reply.body) < 1_600


def test_loops_without_traffic_have_counts() -> None:
    """All zero, none missing."""
    with direct({"quiet": LoopSettings(actions=("a",))}) as fresh:
        counts = fresh.ask("GET", "/v1/loops/quiet").json()["counts"]
    assert {counts[name] for name in ("decisions", "rewards", "late", "unmatched", "duplicates", "dead")} == {
        0
    }
