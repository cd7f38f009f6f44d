"""Experiments over HTTP: from the draft to results, what is refused, and who may."""

from collections import Counter
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

import foldline as fl
from foldline.app.foldline import wall_clock
from foldline.engine.defining import read_catalogue
from foldline.engine.experimenting import Change, change_experiment, there
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.records.codec import decode_each, encode
from foldline.records.types import Decision, Observation, Reward, Tick
from foldline.serving.keys import Key, Keyring
from foldline.stats.sample_ratio import SampleRatio, sequential_ratio
from tests.serving.running import Running

SETTINGS: dict[str, Any] = {
    "loop": "news",
    "variants": [
        {"key": "control", "policy": {"kind": "fixed", "action": "a"}},
        {"key": "challenger", "policy": {"kind": "fixed", "action": "b"}},
    ],
    "goal": {"name": "reward", "baseline": 0.07, "effect": 0.04},
    "max_days": 28,
    "salt": "s",
}
CTR = "/v1/experiments/ctr"


def _ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json()


def _started(served: Running, name: str = "ctr", **changed: Any) -> Any:
    _ok(served.client.put(f"/v1/experiments/{name}", json={**SETTINGS, **changed}), 201)
    view = _ok(served.client.post(f"/v1/experiments/{name}/start"))
    assert view["decides"]
    return view


def test_from_draft_to_results(served: Running) -> None:
    """Defined, the same again; started, decided with, ramped, paused, gone on with, stopped; results now and then."""
    client = served.client
    made = _ok(client.put(CTR, json=SETTINGS), 201)
    assert made["definition"]["state"] == "draft"
    assert made["definition"]["sample_sizes"] == [1124, 1124]
    assert not made["decides"]
    assert _ok(client.put(CTR, json=SETTINGS))["definition"] == made["definition"]
    assert _ok(client.post(f"{CTR}/start"))["decides"]
    decided = [_ok(client.post("/v1/loops/news/decisions", json={"unit": f"u{n}"})) for n in range(40)]
    assert {(one["variant"], one["action"]) for one in decided} == {("control", "a"), ("challenger", "b")}
    _ok(client.post("/v1/loops/news/rewards", json={"decision": decided[0]["decision"], "value": 1}))
    cut = f"0:{served.log.offsets('news.events', 0)[1]}"
    found = _ok(client.get(f"{CTR}/results", params={"at": cut}))["results"]
    assert sum(variant["decisions"] for variant in found["variants"]) == 40
    assert found["verdict"] is None
    assert _ok(client.get(f"{CTR}/results"))["announced"] == []
    assert _ok(client.post(f"{CTR}/pause"))["definition"]["state"] == "paused"
    assert (
        "variant" not in _ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}))
        or not _ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}))["variant"]
    )
    assert _ok(client.post(f"{CTR}/start"))["definition"]["state"] == "running"
    assert _ok(client.post(f"{CTR}/stop"))["definition"]["ended_by"] == "hand"
    (line,) = _ok(client.get("/v1/experiments"))["experiments"]
    assert (line["name"], line["state"], line["variants"]) == ("ctr", "ended", ["control", "challenger"])
    assert _ok(client.get(CTR))["definition"]["version"] == 5


def test_every_decision_says_why(served: Running) -> None:
    """By the hash, by a list, not enrolled, paused, ended; answered, on the log and counted; plain loops too."""
    client = served.client

    def why(unit: str) -> tuple[str, str | None]:
        made = _ok(client.post("/v1/loops/news/decisions", json={"unit": unit}))
        (record,) = (
            record
            for row in served.log.read("news.events", 0, 0)
            for record in decode_each([row.payload], counts=[row.count])
            if isinstance(record, Decision) and record.id == made["decision"]
        )
        assert made["reason"] == (record.reason or "SPLIT")
        assert (made["experiment"], made["variant"]) == (record.experiment, record.variant)
        assert made["probability"] == record.probability
        return record.reason or "none logged", made["experiment"]

    before = why("u0")
    _started(served, coverage=0.3, forced={"vip": "challenger"})
    found = {unit: why(unit) for unit in ("vip", *(f"u{n}" for n in range(20)))}
    assert before == ("none logged", None)
    assert found.pop("vip") == ("FORCED", "ctr")
    assert set(found.values()) == {("SPLIT", "ctr"), ("NOT_ENROLLED", None)}
    _ok(client.post(f"{CTR}/pause"))
    assert why("u1") == ("EXPERIMENT_PAUSED", None)
    _ok(client.post(f"{CTR}/stop"))
    assert why("u1") == ("EXPERIMENT_ENDED", None)
    metrics = client.get("/metrics").text
    split = sum(reason == "SPLIT" for reason, _ in found.values())
    for reason, count in {
        "SPLIT": split + 1,
        "NOT_ENROLLED": 20 - split,
        "FORCED": 1,
        "EXPERIMENT_ENDED": 1,
    }.items():
        assert f'foldline_decisions_total{{loop="news",reason="{reason}"}} {count}.0' in metrics


def test_who_logs_in_is_followed_by_every_way(served: Running) -> None:
    """HTTP, the client and OFREP: the variant of the anonymous id; what is reported of the account is that unit's."""
    _started(served)
    client = served.client
    with fl.Client(served.url) as remote:
        news = remote.loop("news")
        for i in range(10):
            visitor, account = f"device-{i}", f"account-{i}"
            before = _ok(client.post("/v1/loops/news/decisions", json={"unit": visitor}))["variant"]
            both = {"unit": account, "anonymous": visitor}
            assert _ok(client.post("/v1/loops/news/decisions", json=both))["variant"] == before
            made = news.decide(account, anonymous=visitor)
            assert (made.variant, made.unit, made.account) == (before, visitor, account)
            context = {"targetingKey": account, "anonymousKey": visitor, "device": "phone"}
            flag = _ok(client.post("/ofrep/v1/evaluate/flags/news", json={"context": context}))
            assert flag["variant"] == before
            news.reward(None, 1, unit=account, anonymous=visitor)
            _ok(client.post("/v1/loops/news/observations", json={**both, "name": "revenue", "value": 2}))
    records = [
        record
        for row in served.log.read("news.events", 0, 0)
        for record in decode_each([row.payload], counts=[row.count])
    ]
    made_for = [(r.unit, r.account) for r in records if isinstance(r, Decision)]
    assert made_for == [(f"device-{i}", a) for i in range(10) for a in (None, *[f"account-{i}"] * 3)]
    others = [r.unit for r in records if isinstance(r, Reward | Observation)]
    assert others == [f"device-{i}" for i in range(10) for _ in range(2)]
    flag = {"context": {"targetingKey": "u", "anonymousKey": 7}}
    assert client.post("/ofrep/v1/evaluate/flags/news", json=flag).json()["errorCode"] == "INVALID_CONTEXT"


@pytest.mark.parametrize(
    ("verb", "body", "error"),
    [
        ("decisions", {"unit": ""}, "TARGETING_KEY_MISSING"),
        ("decisions", {"unit": None}, "TARGETING_KEY_MISSING"),
        ("decisions", {}, "TARGETING_KEY_MISSING"),
        ("decisions", {"unit": 7}, "INVALID_CONTEXT"),
        ("decisions", {"unit": "u" * 401}, "INVALID_CONTEXT"),
        ("rewards", {"unit": "", "value": 1}, "TARGETING_KEY_MISSING"),
        ("observations", {"unit": None, "name": "x", "value": 1}, "TARGETING_KEY_MISSING"),
    ],
)
def test_units_that_are_none_are_refused_and_counted(
    served: Running, verb: str, body: dict[str, Any], error: str
) -> None:
    """One by one and within an array; what is wrong with another field is not counted so."""
    client = served.client
    refused = client.post(f"/v1/loops/news/{verb}", json=body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "unit")
    (item,) = _ok(client.post(f"/v1/loops/news/{verb}", json=[body]))
    assert item["error"]["field"] == "unit"
    assert client.post(f"/v1/loops/news/{verb}", json={**body, "unit": "u", "nonsense": 1}).status_code == 400
    (line,) = (
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith("foldline_refused_units_total{")
    )
    assert line == f'foldline_refused_units_total{{error="{error}",loop="news"}} 2.0'


def test_metrics_say_what_the_tally_holds(served: Running) -> None:
    """Exposures, records, units, values, limits, shares, progress, verdict; no unit's id, no number where none is."""
    client = served.client
    _started(served, window_s=1, sample_size=8, goal={**SETTINGS["goal"], "effect": 0.9})
    samples = _samples(served)
    assert samples["foldline_experiment_running", "ctr"] == 1
    assert not [
        name for name, *_ in samples if name in ("foldline_experiment_estimate", "foldline_experiment_value")
    ]
    seen: Counter[str] = Counter()
    for n in range(60):
        made = _ok(client.post("/v1/loops/news/decisions", json={"unit": f"secret-{n}"}))
        seen[made["variant"]] += 1
        if made["variant"] == "challenger" and n % 3:
            _ok(client.post("/v1/loops/news/rewards", json={"decision": made["decision"], "value": 1}))
    later = served.service.clock() + 59_000
    tick = Batch("news.events", 0, encode(Tick(time=later)), 1, later, later)
    served.log.append([tick])
    while (samples := _samples(served))["foldline_experiment_units", "ctr", "matured", "control"] < seen[
        "control"
    ]:
        served.log.wait({("news.roots", 0): 1 << 40}, 0.05)
    for variant, count in seen.items():
        assert samples["foldline_experiment_exposures_total", "ctr", variant] == count
        assert samples["foldline_experiment_units", "ctr", "enrolled", variant] == count
        assert samples["foldline_experiment_units", "ctr", "planned", variant] == 8
    assert samples["foldline_experiment_records_total", "ctr", "outside"] >= 0
    assert samples["foldline_experiment_sample_progress", "ctr"] == 1
    assert samples["foldline_experiment_mixed_units_ratio", "ctr"] == 0
    factor = sequential_ratio([seen["control"], seen["challenger"]], [1, 1])
    assert isinstance(factor, SampleRatio)
    assert samples["foldline_experiment_srm_log_bayes_factor", "ctr"] == pytest.approx(factor.statistic)
    low, high = (
        samples[f"foldline_experiment_limit_{end}", "challenger", "ctr", "proportion", "reward"]
        for end in ("low", "high")
    )
    assert low < samples["foldline_experiment_estimate", "challenger", "ctr", "proportion", "reward"] < high
    assert sum(name == "foldline_experiment_verdict" for name, *_ in samples) == 1
    assert "secret" not in client.get("/metrics").text


def _samples(served: Running) -> dict[tuple[str, ...], float]:
    """Every sample by name and label values, in the order of their labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(served.client.get("/metrics").text)
        for sample in family.samples
    }


def test_a_ramp_only_rises(served: Running) -> None:
    """Who is enrolled stays where they are; a fall is a conflict."""
    _started(served, coverage=0.2)
    client = served.client

    def variants() -> dict[str, str | None]:
        return {
            unit: _ok(client.post("/v1/loops/news/decisions", json={"unit": unit}))["variant"]
            for unit in (f"u{n}" for n in range(60))
        }

    before = variants()
    assert _ok(client.post(f"{CTR}/ramp", json={"coverage": 0.8}))["definition"]["coverage"] == 0.8
    after = variants()
    assert sum(map(bool, after.values())) > sum(map(bool, before.values()))
    assert all(after[unit] == variant for unit, variant in before.items() if variant)
    assert client.post(f"{CTR}/ramp", json={"coverage": 0.5}).status_code == 409


def test_new_weights_over_http(served: Running) -> None:
    """The definition that results; refused where every unit is enrolled, and where it is not sticky."""
    client = served.client
    _started(served, coverage=0.3, sticky=True)
    made = _ok(client.post(f"{CTR}/reweight", json={"weights": [1, 3], "coverage": 0.6}))["definition"]
    assert [variant["weight"] for variant in made["variants"]] == [1, 3]
    assert made["bands"] == [{"coverage": 0.3, "weights": [1, 1], "phase": 0}]
    assert (made["phase"], made["coverage"]) == (made["version"], 0.6)
    _ok(client.post(f"{CTR}/ramp", json={"coverage": 1.0}))
    late = client.post(f"{CTR}/reweight", json={"weights": [1, 1]})
    assert (late.status_code, late.json()["error"]["field"]) == (409, "weights")
    assert client.post(f"{CTR}/reweight", json={"weights": [1, 0]}).status_code == 400
    assert client.post(f"{CTR}/reweight", json={"weights": [1, 1, 1]}).status_code == 400


def test_promoted_and_rolled_back(served: Running) -> None:
    """The policy becomes the loop's, and is taken back; without a winner a variant is named."""
    _started(served)
    client = served.client
    nobody = client.post(f"{CTR}/promote", json={})
    assert (nobody.status_code, nobody.json()["error"]["field"]) == (400, "variant")
    some = _ok(client.post(f"{CTR}/promote", json={"variant": "challenger", "share": 0.5}))["definition"]
    assert (some["state"], some["promoted_share"]) == ("running", 0.5)
    assert client.post(f"{CTR}/promote", json={"variant": "challenger", "share": 0.1}).status_code == 409
    whole = _ok(client.post(f"{CTR}/promote", json={"variant": "challenger"}))["definition"]
    assert (whole["state"], whole["ended_by"]) == ("ended", "promotion")
    assert _ok(client.get("/v1/loops/news"))["definition"]["policy"] == {"kind": "fixed", "action": "b"}
    assert _ok(client.post(f"{CTR}/rollback"))["definition"]["promoted"] is None
    assert _ok(client.get("/v1/loops/news"))["definition"]["policy"]["kind"] == "epsilon_greedy"
    assert client.post(f"{CTR}/rollback").status_code == 409


def test_validating_writes_nothing(served: Running) -> None:
    """The design as it would be, or what contradicts what; and nothing stands on the log."""
    client = served.client
    ends = served.log.offsets("foldline.experiments", 0)
    assert _ok(client.post(f"{CTR}/validate", json=SETTINGS))["definition"]["power"] >= 0.9
    for changed, says in (
        ({"power": 0.9, "sample_size": 100}, "power"),
        ({"variants": SETTINGS["variants"][:1]}, "two or more"),
        ({"loop": "none"}, "no loop 'none'"),
        ({"condition": {"age": {"$near": 1}}}, "near"),
        (
            {"variants": [{"key": "x", "policy": {"kind": "fixed", "action": "z"}}, SETTINGS["variants"][1]]},
            "z",
        ),
    ):
        refused = client.post(f"{CTR}/validate", json={**SETTINGS, **changed})
        assert refused.status_code in (400, 404), refused.text
        assert says in refused.json()["error"]["message"]
        assert client.put(CTR, json={**SETTINGS, **changed}).status_code == refused.status_code
    assert served.log.offsets("foldline.experiments", 0) == ends
    assert _ok(client.get("/v1/experiments")) == {"experiments": []}


def test_what_is_not_there_or_stands_otherwise(served: Running) -> None:
    """404 for unknown experiments, 409 for other settings under a name and for states that cannot follow."""
    client = served.client
    for method, path in (
        ("GET", ""),
        ("POST", "/start"),
        ("GET", "/results"),
        ("POST", "/tokens"),
        ("GET", "/tokens"),
    ):
        answered = client.request(method, f"{CTR}{path}", json={} if method == "POST" else None)
        assert answered.status_code == 404, answered.text
        assert answered.json()["error"]["code"] == "input.unknown_experiment"
    _started(served)
    assert client.put(CTR, json={**SETTINGS, "max_days": 14}).status_code == 409
    _ok(client.post(f"{CTR}/stop"))
    assert client.post(f"{CTR}/start").status_code == 409
    assert client.get(f"{CTR}/results", params={"at": "soon"}).status_code == 400
    assert client.get(f"{CTR}/nothing").status_code == 404


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token_decides_and_reports_in_its_loop_alone(served: Running) -> None:
    """Until it is revoked, expires, or the experiment ends; results want another key; refusals are counted."""
    client = served.client
    _started(served)
    client.put("/v1/loops/other", json={"actions": ["x"]})
    _, admin = served.key("admin")
    made = _ok(client.post(f"{CTR}/tokens", json={"name": "shop"}, headers=_bearer(admin)), 201)
    assert made["token"].encode() not in b"".join(
        row.payload for row in served.log.read("foldline.keys", 0, 0)
    )
    mine = _bearer(made["token"])
    decided = _ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=mine))
    assert decided["variant"] in ("control", "challenger")
    reward = {"decision": decided["decision"], "value": 1}
    assert _ok(client.post("/v1/loops/news/rewards", json=reward, headers=mine))
    revenue = {"unit": "u1", "name": "revenue", "value": 12.5}
    assert _ok(client.post("/v1/loops/news/observations", json=revenue, headers=mine))
    for method, path, says in (
        ("GET", f"{CTR}/results", "want a key of their own"),
        ("POST", f"{CTR}/stop", "want a key of their own"),
        ("POST", "/v1/loops/other/decisions", "in loop 'news' alone"),
        ("GET", "/v1/loops/news", "want a key of their own"),
    ):
        refused = client.request(method, path, headers=mine, json={"unit": "u"} if "other" in path else None)
        assert refused.status_code == 403, path
        assert says in refused.json()["error"]["message"]
    assert _ok(client.get(f"{CTR}/results", headers=_bearer(admin)))["results"]["experiment"] == "ctr"
    wrong, expired = _bearer(made["token"][:-2] + "zz"), _bearer(_expired(served))
    for headers, says in (({}, "wants a key"), (wrong, "is unknown"), (expired, "'old' has expired")):
        refused = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=headers)
        assert (refused.status_code, says in refused.json()["error"]["message"]) == (401, True), says
    second = _ok(client.post(f"{CTR}/tokens", json={}, headers=_bearer(admin)), 201)
    listed = _ok(client.request("DELETE", f"{CTR}/tokens", params={"id": made["id"]}, headers=_bearer(admin)))
    assert {one["id"]: one["revoked"] for one in listed["tokens"] if one["name"] != "old"} == {
        made["id"]: True,
        second["id"]: False,
    }
    taken_back = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=mine)
    assert (taken_back.status_code, "'shop' was revoked" in taken_back.text) == (401, True)
    _ok(client.post(f"{CTR}/stop", headers=_bearer(admin)))
    over = client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=_bearer(second["token"]))
    assert over.status_code == 403
    assert "has ended" in over.json()["error"]["message"]
    metrics = client.get("/metrics", headers=_bearer(admin)).text
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
    _ok(client.put(CTR, json={**SETTINGS, "coverage": 0.5}, headers=_bearer(admin)), 201)
    made = _ok(client.post(f"{CTR}/tokens", json={}, headers=_bearer(admin)), 201)
    assert made["version"] == 1

    def ask(token: str) -> httpx.Response:
        return client.post("/v1/loops/news/decisions", json={"unit": "u1"}, headers=_bearer(token))

    def change(to: Change) -> None:
        loops = Catalogue()
        read_catalogue(served.log, loops)
        now = served.service.clock()
        change_experiment(served.log, ExperimentCatalogue(), loops, "ctr", to, holder="test", now=now)
        served.host.round()

    assert _ok(ask(made["token"]))
    change(lambda old: msgspec.structs.replace(there(old, "ctr"), window_ms=1000))
    refused = ask(made["token"])
    assert refused.status_code == 403
    assert (
        "of version 1 of experiment 'ctr', and version 2 has another window_ms"
        in refused.json()["error"]["message"]
    )
    second = _ok(client.post(f"{CTR}/tokens", json={}, headers=_bearer(admin)), 201)
    _ok(client.post(f"{CTR}/start", headers=_bearer(admin)))
    _ok(client.post(f"{CTR}/ramp", json={"coverage": 1.0}, headers=_bearer(admin)))
    assert _ok(ask(second["token"]))["variant"]
    listed = _ok(client.get(f"{CTR}/tokens", headers=_bearer(admin)))["tokens"]
    assert [one["version"] for one in listed] == [1, 2]
    metrics = client.get("/metrics", headers=_bearer(admin)).text
    assert 'foldline_refused_keys_total{experiment="ctr",why="version"} 1.0' in metrics


def test_an_open_service_is_not_closed_by_a_token(served: Running) -> None:
    """Nobody would be left who may do anything else."""
    _started(served)
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
    _started(served)
    key, admin = served.key("admin")
    for given in (id, key.id):
        refused = served.client.request(
            "DELETE", f"{CTR}/tokens", params={"id": given}, headers=_bearer(admin)
        )
        assert refused.status_code == 400
        assert "no token of experiment 'ctr'" in refused.json()["error"]["message"]
