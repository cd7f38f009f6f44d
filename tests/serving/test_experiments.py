"""Experiments over HTTP: from the draft to results, what is refused, and who may."""

from collections import Counter
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import foldline as fl
from foldline.log.protocol import Batch
from foldline.records.codec import decode_each, encode
from foldline.records.types import Decision, Observation, Reward, Tick
from foldline.stats.sample_ratio import SampleRatio, sequential_ratio
from tests.serving.experiments import CTR, SETTINGS, ok, started
from tests.serving.running import Running


def test_from_draft_to_results(served: Running) -> None:
    """Defined, the same again; started, decided with, ramped, paused, gone on with, stopped; results now and then."""
    client = served.client
    made = ok(client.put(CTR, json=SETTINGS), 201)
    assert made["definition"]["state"] == "draft"
    assert made["definition"]["sample_sizes"] == [1124, 1124]
    assert not made["decides"]
    assert ok(client.put(CTR, json=SETTINGS))["definition"] == made["definition"]
    assert ok(client.post(f"{CTR}/start"))["decides"]
    decided = [ok(client.post("/v1/loops/news/decisions", json={"unit": f"u{n}"})) for n in range(40)]
    assert {(one["variant"], one["action"]) for one in decided} == {("control", "a"), ("challenger", "b")}
    ok(client.post("/v1/loops/news/rewards", json={"decision": decided[0]["decision"], "value": 1}))
    cut = f"0:{served.log.offsets('news.events', 0)[1]}"
    found = ok(client.get(f"{CTR}/results", params={"at": cut}))["results"]
    assert sum(variant["decisions"] for variant in found["variants"]) == 40
    assert found["verdict"] is None
    assert ok(client.get(f"{CTR}/results"))["announced"] == []
    assert ok(client.post(f"{CTR}/pause"))["definition"]["state"] == "paused"
    assert (
        "variant" not in ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}))
        or not ok(client.post("/v1/loops/news/decisions", json={"unit": "u1"}))["variant"]
    )
    assert ok(client.post(f"{CTR}/start"))["definition"]["state"] == "running"
    assert ok(client.post(f"{CTR}/stop"))["definition"]["ended_by"] == "hand"
    (line,) = ok(client.get("/v1/experiments"))["experiments"]
    assert (line["name"], line["state"], line["variants"]) == ("ctr", "ended", ["control", "challenger"])
    assert ok(client.get(CTR))["definition"]["version"] == 5


def test_every_decision_says_why(served: Running) -> None:
    """By the hash, by a list, not enrolled, paused, ended; answered, on the log and counted; plain loops too."""
    client = served.client

    def why(unit: str) -> tuple[str, str | None]:
        made = ok(client.post("/v1/loops/news/decisions", json={"unit": unit}))
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
    started(served, coverage=0.3, forced={"vip": "challenger"})
    found = {unit: why(unit) for unit in ("vip", *(f"u{n}" for n in range(20)))}
    assert before == ("none logged", None)
    assert found.pop("vip") == ("FORCED", "ctr")
    assert set(found.values()) == {("SPLIT", "ctr"), ("NOT_ENROLLED", None)}
    ok(client.post(f"{CTR}/pause"))
    assert why("u1") == ("EXPERIMENT_PAUSED", None)
    ok(client.post(f"{CTR}/stop"))
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
    started(served)
    client = served.client
    with fl.Client(served.url) as remote:
        news = remote.loop("news")
        for i in range(10):
            visitor, account = f"device-{i}", f"account-{i}"
            before = ok(client.post("/v1/loops/news/decisions", json={"unit": visitor}))["variant"]
            both = {"unit": account, "anonymous": visitor}
            assert ok(client.post("/v1/loops/news/decisions", json=both))["variant"] == before
            made = news.decide(account, anonymous=visitor)
            assert (made.variant, made.unit, made.account) == (before, visitor, account)
            context = {"targetingKey": account, "anonymousKey": visitor, "device": "phone"}
            flag = ok(client.post("/ofrep/v1/evaluate/flags/news", json={"context": context}))
            assert flag["variant"] == before
            news.reward(None, 1, unit=account, anonymous=visitor)
            ok(client.post("/v1/loops/news/observations", json={**both, "name": "revenue", "value": 2}))
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
    (item,) = ok(client.post(f"/v1/loops/news/{verb}", json=[body]))
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
    started(served, window_s=1, sample_size=8, goal={**SETTINGS["goal"], "effect": 0.9})
    samples = _samples(served)
    assert samples["foldline_experiment_running", "ctr"] == 1
    assert not [
        name for name, *_ in samples if name in ("foldline_experiment_estimate", "foldline_experiment_value")
    ]
    seen: Counter[str] = Counter()
    for n in range(60):
        made = ok(client.post("/v1/loops/news/decisions", json={"unit": f"secret-{n}"}))
        seen[made["variant"]] += 1
        if made["variant"] == "challenger" and n % 3:
            ok(client.post("/v1/loops/news/rewards", json={"decision": made["decision"], "value": 1}))
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
    started(served, coverage=0.2)
    client = served.client

    def variants() -> dict[str, str | None]:
        return {
            unit: ok(client.post("/v1/loops/news/decisions", json={"unit": unit}))["variant"]
            for unit in (f"u{n}" for n in range(60))
        }

    before = variants()
    assert ok(client.post(f"{CTR}/ramp", json={"coverage": 0.8}))["definition"]["coverage"] == 0.8
    after = variants()
    assert sum(map(bool, after.values())) > sum(map(bool, before.values()))
    assert all(after[unit] == variant for unit, variant in before.items() if variant)
    assert client.post(f"{CTR}/ramp", json={"coverage": 0.5}).status_code == 409


def test_new_weights_over_http(served: Running) -> None:
    """The definition that results; refused where every unit is enrolled, and where it is not sticky."""
    client = served.client
    started(served, coverage=0.3, sticky=True)
    made = ok(client.post(f"{CTR}/reweight", json={"weights": [1, 3], "coverage": 0.6}))["definition"]
    assert [variant["weight"] for variant in made["variants"]] == [1, 3]
    assert made["bands"] == [{"coverage": 0.3, "weights": [1, 1], "phase": 0}]
    assert (made["phase"], made["coverage"]) == (made["version"], 0.6)
    ok(client.post(f"{CTR}/ramp", json={"coverage": 1.0}))
    late = client.post(f"{CTR}/reweight", json={"weights": [1, 1]})
    assert (late.status_code, late.json()["error"]["field"]) == (409, "weights")
    assert client.post(f"{CTR}/reweight", json={"weights": [1, 0]}).status_code == 400
    assert client.post(f"{CTR}/reweight", json={"weights": [1, 1, 1]}).status_code == 400


def test_promoted_and_rolled_back(served: Running) -> None:
    """The policy becomes the loop's, and is taken back; without a winner a variant is named."""
    started(served)
    client = served.client
    nobody = client.post(f"{CTR}/promote", json={})
    assert (nobody.status_code, nobody.json()["error"]["field"]) == (400, "variant")
    some = ok(client.post(f"{CTR}/promote", json={"variant": "challenger", "share": 0.5}))["definition"]
    assert (some["state"], some["promoted_share"]) == ("running", 0.5)
    assert client.post(f"{CTR}/promote", json={"variant": "challenger", "share": 0.1}).status_code == 409
    whole = ok(client.post(f"{CTR}/promote", json={"variant": "challenger"}))["definition"]
    assert (whole["state"], whole["ended_by"]) == ("ended", "promotion")
    assert ok(client.get("/v1/loops/news"))["definition"]["policy"] == {"kind": "fixed", "action": "b"}
    assert ok(client.post(f"{CTR}/rollback"))["definition"]["promoted"] is None
    assert ok(client.get("/v1/loops/news"))["definition"]["policy"]["kind"] == "epsilon_greedy"
    assert client.post(f"{CTR}/rollback").status_code == 409


def test_validating_writes_nothing(served: Running) -> None:
    """The design as it would be, or what contradicts what; and nothing stands on the log."""
    client = served.client
    ends = served.log.offsets("foldline.experiments", 0)
    assert ok(client.post(f"{CTR}/validate", json=SETTINGS))["definition"]["power"] >= 0.9
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
    assert ok(client.get("/v1/experiments")) == {"experiments": []}


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
    started(served)
    assert client.put(CTR, json={**SETTINGS, "max_days": 14}).status_code == 409
    ok(client.post(f"{CTR}/stop"))
    assert client.post(f"{CTR}/start").status_code == 409
    assert client.get(f"{CTR}/results", params={"at": "soon"}).status_code == 400
    assert client.get(f"{CTR}/nothing").status_code == 404
