"""Models over HTTP: examples answered at once, labels, what the fold makes of them, in shadow too."""

import time
from typing import Any

import pytest

import foldline as fl
from tests.serving.running import Running

MODELS = [
    {"kind": "model", "name": "tree", "model": "LogisticRegression:lr=0.5", "snapshot_every_s": 0.0},
    {
        "kind": "model",
        "name": "other",
        "model": "HalfSpaceTrees:window_size=20",
        "shadow": True,
        "snapshot_every_s": 0.0,
    },
]


@pytest.fixture
def cards(served: Running) -> Running:
    """A service with a loop that only has models, one in shadow."""
    answer = served.client.put("/v1/loops/cards", json={"folds": MODELS, "partitions": 2})
    assert answer.status_code == 201, answer.text
    return served


def _counts(running: Running) -> list[dict[str, int]]:
    answer = running.client.get("/v1/loops/cards/models")
    assert answer.status_code == 200
    return [model["counts"] for model in answer.json()["models"]]


def _until(running: Running, name: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while any(counts[name] < count for counts in _counts(running)):
        assert time.monotonic() < deadline, _counts(running)
        time.sleep(0.02)


def _predicted(running: Running, amount: float, learnt: int) -> dict[str, Any]:
    """The answer to an example, once snapshots in which more than so many were learnt are followed."""
    deadline = time.monotonic() + 60
    while True:
        item = {"unit": "card-1", "x": {"amount": amount}}
        one: dict[str, Any] = running.client.post("/v1/loops/cards/examples", json=item).json()
        if one["predictions"][0]["learnt"] > learnt:
            return one
        assert time.monotonic() < deadline, one
        time.sleep(0.02)


def test_examples_are_answered_and_learnt(cards: Running) -> None:
    """Many at a time, labelled at once; then the answer is what was learnt, of the served model alone."""
    items = [{"unit": f"card-{i % 5}", "x": {"amount": i % 10 / 10}, "y": i % 10 > 4} for i in range(400)]
    answer = cards.client.post("/v1/loops/cards/examples", json=items)
    assert answer.status_code == 200
    assert [len(each["predictions"]) for each in answer.json()] == [1] * 400
    _until(cards, "examples", 400)
    for amount, fraud in ((0.9, True), (0.0, False)):
        one = _predicted(cards, amount, 100)
        (prediction,) = one["predictions"]
        assert prediction["model"] == "tree"
        assert prediction["value"] is fraud
        assert prediction["learnt"] > 100
        assert one["example"].startswith("0.")
    (tree, other) = cards.client.get("/v1/loops/cards/models").json()["models"]
    assert (tree["shadow"], other["shadow"]) == (False, True)
    assert tree["metrics"]["accuracy"] > 0.8
    assert other["metrics"]["accuracy"] is None
    assert other["counts"]["examples"] >= 400


def test_a_label_finds_its_example(cards: Running) -> None:
    """By the id answered, and by the caller's own with the unit; an unknown one waits and is not lost."""
    post = cards.client.post
    first = post("/v1/loops/cards/examples", json={"unit": "u", "x": {"a": 1}}).json()["example"]
    post("/v1/loops/cards/examples", json={"unit": "u", "x": {"a": 2}, "example": "mine"})
    assert post("/v1/loops/cards/labels", json={"example": first, "y": True}).status_code == 200
    many = post("/v1/loops/cards/labels", json=[{"example": "mine", "unit": "u", "y": False}]).json()
    assert many == [{}]
    _until(cards, "labelled", 2)
    assert [counts["learnt"] for counts in _counts(cards)] == [2, 2]


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("examples", {"unit": "u", "x": {"a": [1]}}, 400, "x"),
        ("examples", {"unit": "u"}, 400, "x"),
        ("examples", {"unit": "", "x": {}}, 400, "unit"),
        ("labels", {"example": "nonsense", "y": 1}, 400, "decision"),
        ("labels", {"example": "0.0.a"}, 400, "y"),
        ("labels", {"example": "0.9.a", "y": True}, 400, "decision"),
    ],
)
def test_what_cannot_be_used_is_refused(
    cards: Running, path: str, body: dict[str, Any], status: int, field: str
) -> None:
    """With the field that is at fault."""
    answer = cards.client.post(f"/v1/loops/cards/{path}", json=body)
    assert answer.status_code == status, answer.text
    assert field in answer.json()["error"]["message"] or answer.json()["error"]["field"] == field


def test_a_loop_of_models_decides_nothing(cards: Running) -> None:
    """And a loop of actions predicts nothing; the service is ready all the same."""
    answer = cards.client.post("/v1/loops/cards/decisions", json={"unit": "u"})
    assert answer.status_code == 400
    assert "only has models" in answer.json()["error"]["message"]
    assert cards.client.get("/readyz").status_code == 200
    assert cards.client.put("/v1/loops/plain", json={"actions": ["a"]}).status_code == 201
    refused = cards.client.post("/v1/loops/plain/examples", json={"unit": "u", "x": {}})
    assert refused.status_code == 400
    assert "no models" in refused.json()["error"]["message"]
    unknown = cards.client.put(
        "/v1/loops/new", json={"folds": [{"kind": "model", "name": "m", "model": "tree.No"}]}
    )
    assert unknown.status_code in (400, 409, 422)
    assert "tree.No" in unknown.json()["error"]["message"]


def test_the_client_predicts_and_labels(served: Running) -> None:
    """As it decides and rewards elsewhere."""
    with fl.Client(served.url) as client:
        cards = client.loop("cards")
        cards.define(models=[fl.Model(name="tree", model="LogisticRegression", snapshot_every_s=0)])
        told = cards.predict({"amount": 3.5, "shop": None}, unit="card-1")
        cards.label(told.example, True)
        cards.predict({"amount": 1.0}, unit="card-2", y=False, id="mine")
        deadline = time.monotonic() + 60
        while cards.models()[0].counts["labelled"] < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert cards.models()[0].metrics.count == 2
