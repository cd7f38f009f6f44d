"""Loops as feature flags: the real OpenFeature SDK with its OFREP provider, and the protocol's corners."""

from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from foldline.loops.settings import LoopSettings
from tests.serving.experiments import SETTINGS
from tests.serving.running import Running, running

LOOPS = {
    "news": LoopSettings(actions=("a", "b"), salt="salt"),
    "banner": LoopSettings(actions=("true", "false"), policy={"kind": "fixed", "action": "true"}),
    "rows": LoopSettings(actions=("3", "4"), policy={"kind": "fixed", "action": "4"}),
    "price": LoopSettings(actions=("9.5", "12"), policy={"kind": "fixed", "action": "9.5"}),
}
ONE = "/ofrep/v1/evaluate/flags/news"
ALL = "/ofrep/v1/evaluate/flags"


@pytest.fixture(scope="module")
def served() -> Iterator[Running]:
    """A service with flags of several types."""
    with running(loops=LOOPS) as made:
        for name in LOOPS:
            made.client.post(f"/v1/loops/{name}/decisions", json={"unit": "u"})
        yield made


@pytest.fixture(scope="module")
def sdk(served: Running) -> Iterator[OpenFeatureClient]:
    """The SDK, asking it."""
    api.set_provider(OFREPProvider(served.url))
    yield api.get_client()
    api.shutdown()


def _context(unit: str = "u1", **attributes: Any) -> EvaluationContext:
    return EvaluationContext(unit, attributes)


def test_the_sdk_decides_and_the_reward_finds_it(sdk: OpenFeatureClient, served: Running) -> None:
    """Values of every type; an evaluation is a decision, with its propensity and its context on the log."""
    found = sdk.get_string_details("news", "none", _context(device="phone"))
    assert found.error_code is None, found.error_message
    assert found.value in ("a", "b")
    assert found.reason == Reason.SPLIT
    assert sdk.get_boolean_value("banner", False, _context())
    assert sdk.get_integer_value("rows", 0, _context()) == 4
    assert sdk.get_float_value("price", 0.0, _context()) == 9.5
    id = found.flag_metadata["decision"]
    answered = served.client.post("/v1/loops/news/rewards", json={"decision": id, "value": 1})
    assert answered.status_code == 200
    lines = b"\n".join(row.payload for row in served.log.read("news.events", 0, 0))
    assert f'"id":"{id}"'.encode() in lines
    assert b'"context":{"device":"phone"}' in lines


def test_the_sdk_hears_what_is_wrong(sdk: OpenFeatureClient) -> None:
    """The default comes back, with the protocol's code."""
    unknown = sdk.get_string_details("nothing", "none", _context())
    assert (unknown.value, unknown.error_code) == ("none", ErrorCode.FLAG_NOT_FOUND)
    nobody = sdk.get_string_details("news", "none", EvaluationContext(None))
    assert (nobody.value, nobody.error_code) == ("none", ErrorCode.TARGETING_KEY_MISSING)
    other = sdk.get_integer_details("news", 7, _context())
    assert (other.value, other.error_code) == (7, ErrorCode.TYPE_MISMATCH)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b'{"context":3}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":5}}', "INVALID_CONTEXT"),
        (b'{"context":{"targetingKey":""}}', "TARGETING_KEY_MISSING"),
        (b"{}", "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":"a\\u0000"}}', "INVALID_CONTEXT"),
    ],
)
def test_requests_that_cannot_be_used(served: Running, body: bytes, code: str) -> None:
    """400, with the protocol's code and words."""
    answered = served.client.post(ONE, content=body)
    assert (answered.status_code, answered.json()["errorCode"]) == (400, code)
    assert answered.json()["key"] == "news"


def test_all_flags_at_once_are_looked_at_and_not_logged(served: Running) -> None:
    """The same for a unit until something changes, which the tag says."""
    ends = {name: served.log.offsets(f"{name}.events", 0) for name in LOOPS}
    context = {"context": {"targetingKey": "u7"}}
    first = served.client.post(ALL, json=context)
    flags = {flag["key"]: flag for flag in first.json()["flags"]}
    assert (flags["banner"]["value"], flags["rows"]["value"], flags["price"]["value"]) == (True, 4, 9.5)
    assert all(
        flag["metadata"]["logged"] is False and "decision" not in flag["metadata"] for flag in flags.values()
    )
    again = served.client.post(ALL, json=context, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert {name: served.log.offsets(f"{name}.events", 0) for name in LOOPS} == ends
    assert served.client.post(ALL, json={}).json()["errorCode"] == "TARGETING_KEY_MISSING"


def test_an_experiment_is_a_split(served: Running) -> None:
    """The variant is named, and why; a unit on its list is a match."""
    forced = {**SETTINGS, "loop": "banner", "forced": {"vip": "challenger"}}
    forced["variants"] = [
        {"key": "control", "policy": {"kind": "fixed", "action": "true"}},
        {"key": "challenger", "policy": {"kind": "fixed", "action": "false"}},
    ]
    assert served.client.put("/v1/experiments/dark", json=forced).status_code == 201
    assert served.client.post("/v1/experiments/dark/start").json()["decides"]
    path = "/ofrep/v1/evaluate/flags/banner"
    vip = served.client.post(path, json={"context": {"targetingKey": "vip"}}).json()
    assert (vip["value"], vip["variant"], vip["reason"]) == (False, "challenger", "TARGETING_MATCH")
    other = served.client.post(path, json={"context": {"targetingKey": "u1"}}).json()
    assert (other["reason"], other["metadata"]["experiment"]) == ("SPLIT", "dark")
    for verb, own in (("pause", "EXPERIMENT_PAUSED"), ("stop", "EXPERIMENT_ENDED")):
        served.client.post(f"/v1/experiments/dark/{verb}")
        idle = served.client.post(path, json={"context": {"targetingKey": "u1"}}).json()
        assert (idle["reason"], idle["value"], idle["metadata"]["reason"]) == ("DISABLED", True, own)


def test_refused_targeting_keys_are_counted(served: Running) -> None:
    """By what is wrong with them, of flags there are."""
    path = "/ofrep/v1/evaluate/flags"
    for context in ({}, {"targetingKey": ""}, {"targetingKey": 7}):
        for flag in ("rows", "none"):
            assert served.client.post(f"{path}/{flag}", json={"context": context}).status_code == 400
    metrics = served.client.get("/metrics").text
    assert 'foldline_refused_units_total{error="TARGETING_KEY_MISSING",loop="rows"} 2.0' in metrics
    assert 'foldline_refused_units_total{error="INVALID_CONTEXT",loop="rows"} 1.0' in metrics
    assert 'loop="none"' not in metrics
