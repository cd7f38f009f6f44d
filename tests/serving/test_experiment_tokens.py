"""Tokens of an experiment: what they open, for which version, and how they are taken back."""

import httpx
import msgspec
import pytest

from foldline.app.foldline import wall_clock
from foldline.engine.defining import read_catalogue
from foldline.engine.experimenting import Change, change_experiment, there
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.loops.catalogue import Catalogue
from foldline.serving.keys import Key, Keyring
from tests.serving.experiments import CTR, SETTINGS, bearer, ok, started
from tests.serving.running import Running


def test_a_token_decides_and_reports_in_its_loop_alone(served: Running) -> None:
    """Until it is revoked, expires, or the experiment ends; results want another key; refusals are counted."""
    client = served.client
    started(served)
    client.put("/v1/loops/other", json={"actions": ["x"]})
    _, admin = served.key("admin")
    made = ok(client.post(f"{CTR}/tokens", json={"name": "shop"}, headers=bearer(admin)), 201)
    assert made["token"].encode() not in b"".join(
        row.payload for row in served.log.read("foldline.keys", 0, 0)
    )
    mine = bearer(made["token"])
    decided = ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=mine))
    assert decided["variant"] in ("control", "challenger")
    reward = {"decision": decided["decision"], "value": 1}
    assert ok(client.post("/v1/loops/news/rewards", json=reward, headers=mine))
    revenue = {"unit": "u1", "name": "revenue", "value": 12.5}
    assert ok(client.post("/v1/loops/news/observations", json=revenue, headers=mine))
    for method, path, says in (
        ("GET", f"{CTR}/results", "want a key of their own"),
        ("POST", f"{CTR}/stop", "want a key of their own"),
        ("POST", "/v1/loops/other/decisions", "in loop 'news' alone"),
        ("GET", "/v1/loops/news", "want a key of their own"),
    ):
        refused = client.request(method, path, headers=mine, json={"unit": "u"} if "other" in path else None)
        assert refused.status_code == 403, path
        assert says in refused.json()["error"]["message"]
    assert ok(client.get(f"{CTR}/results", headers=bearer(admin)))["results"]["experiment"] == "ctr"
    wrong, expired = bearer(made["token"][:-2] + "zz"), bearer(_expired(served))
    for headers, says in (({}, "wants a key"), (wrong, "is unknown"), (expired, "'old' has expired")):
        refused = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=headers)
        assert (refused.status_code, says in refused.json()["error"]["message"]) == (401, True), says
    second = ok(client.post(f"{CTR}/tokens", json={}, headers=bearer(admin)), 201)
    listed = ok(client.request("DELETE", f"{CTR}/tokens", params={"id": made["id"]}, headers=bearer(admin)))
    assert {one["id"]: one["revoked"] for one in listed["tokens"] if one["name"] != "old"} == {
        made["id"]: True,
        second["id"]: False,
    }
    taken_back = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=mine)
    assert (taken_back.status_code, "'shop' was revoked" in taken_back.text) == (401, True)
    ok(client.post(f"{CTR}/stop", headers=bearer(admin)))
    over = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=bearer(second["token"]))
    assert over.status_code == 403
    assert "has ended" in over.json()["error"]["message"]
    metrics = client.get("/metrics", headers=bearer(admin)).text
    assert 'foldline_requests_total{route="decide",status="401"} 4.0' in metrics
    assert 'foldline_requests_total{route="decide",status="403"} 2.0' in metrics
    refused_keys = {
        ("", "missing"): 1, ("", "unknown"): 1, ("ctr", "expired"): 1, ("ctr", "revoked"): 1, ("ctr", "elsewhere"): 4,
        ("ctr", "ended"): 1,
    }  # fmt: skip
    for (experiment, why), count in refused_keys.items():
        line = f'foldline_refused_keys_total{{experiment="{experiment}",why="{why}"}} {count}.0'
        assert line in metrics


def test_a_token_is_of_the_version_it_was_made_for(served: Running) -> None:
    """Starting, pausing and ramping keep it; a draft that is defined otherwise does not."""
    client, (_, admin) = served.client, served.key("admin")
    ok(client.put(CTR, json={**SETTINGS, "coverage": 0.5}, headers=bearer(admin)), 201)
    made = ok(client.post(f"{CTR}/tokens", json={}, headers=bearer(admin)), 201)
    assert made["version"] == 1

    def ask(token: str) -> httpx.Response:
        return client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=bearer(token))

    def change(to: Change) -> None:
        loops = Catalogue()
        read_catalogue(served.log, loops)
        now = served.service.clock()
        change_experiment(served.log, ExperimentCatalogue(), loops, "ctr", to, holder="test", now=now)
        served.host.round()

    assert ok(ask(made["token"]))
    change(lambda old: msgspec.structs.replace(there(old, "ctr"), window_ms=1000))
    refused = ask(made["token"])
    assert refused.status_code == 403
    assert (
        "of version 1 of experiment 'ctr', and version 2 has another window_ms"
        in refused.json()["error"]["message"]
    )
    second = ok(client.post(f"{CTR}/tokens", json={}, headers=bearer(admin)), 201)
    ok(client.post(f"{CTR}/start", headers=bearer(admin)))
    ok(client.post(f"{CTR}/ramp", json={"coverage": 1.0}, headers=bearer(admin)))
    assert ok(ask(second["token"]))["variant"]
    listed = ok(client.get(f"{CTR}/tokens", headers=bearer(admin)))["tokens"]
    assert [one["version"] for one in listed] == [1, 2]
    metrics = client.get("/metrics", headers=bearer(admin)).text
    assert 'foldline_refused_keys_total{experiment="ctr",why="version"} 1.0' in metrics


def test_an_open_service_is_not_closed_by_a_token(served: Running) -> None:
    """Nobody would be left who may do anything else."""
    started(served)
    refused = served.client.post(f"{CTR}/tokens", json={})
    assert (refused.status_code, "foldline keys add" in refused.text) == (409, True)
    assert served.client.get(f"{CTR}/results").status_code == 200


def _expired(served: Running) -> str:
    ring = Keyring(served.log)
    ring.read()
    made: tuple[Key, str] = ring.add(
        "old", ("decide",), now=1_000, expires=wall_clock() - 1, experiment="ctr", loop="news"
    )
    served.service.keyring.read()
    return made[1]


@pytest.mark.parametrize("id", ["", "nobody"])
def test_only_its_own_tokens_are_taken_back(served: Running, id: str) -> None:
    """Another key's id is refused."""
    started(served)
    key, admin = served.key("admin")
    for given in (id, key.id):
        refused = served.client.request(
            "DELETE", f"{CTR}/tokens", params={"id": given}, headers=bearer(admin)
        )
        assert refused.status_code == 400
        assert "no token of experiment 'ctr'" in refused.json()["error"]["message"]
