"""Predictions and feedback in Seldon's shape: the token says where they belong."""

from typing import Any

from tests.serving.experiments import CTR, bearer, ok, started
from tests.serving.running import Running

PREDICT, FEEDBACK = "/api/v1.0/predictions", "/api/v1.0/feedback"


def test_a_token_predicts_and_feeds_back(served: Running) -> None:
    """The prediction is a decision of the experiment's loop; its feedback is the reward, once."""
    started(served)
    _, admin = served.key("admin")
    token = ok(served.client.post(f"{CTR}/tokens", json={}, headers=bearer(admin)), 201)["token"]
    mine = bearer(token)
    asked = {"jsonData": {"unit": "u1", "context": {"age": 3}}, "meta": {"puid": "visit-1"}}
    made = ok(served.client.post(PREDICT, json=asked, headers=mine))
    assert made["meta"]["puid"] == "0.0.visit-1"
    assert made["meta"]["tags"]["experiment"] == "ctr"
    assert made["strData"] == {"control": "a", "challenger": "b"}[made["meta"]["tags"]["variant"]]
    feedback: dict[str, Any] = {"request": {}, "response": made, "reward": 1.0, "truth": {"data": {}}}
    for _ in range(2):
        assert ok(served.client.post(FEEDBACK, json=feedback, headers=mine)) == {
            "meta": {"puid": "0.0.visit-1"}
        }
    served.client.headers["authorization"] = f"Bearer {admin}"
    counts = served.counts("news", rewards=1, duplicate_rewards=1)
    assert (counts["decisions"], counts["reward_sum"], counts["duplicate_rewards"]) == (1, 1.0, 1)


def test_what_names_no_loop_or_no_prediction_is_refused(served: Running) -> None:
    """Without a token the loop is named; feedback names its prediction; a body that lacks something says what."""
    client = served.client
    assert client.post(PREDICT, json={"jsonData": {"unit": "u1"}}).status_code == 404
    made = ok(client.post(PREDICT, params={"loop": "news"}, json={"jsonData": {"unit": "u1"}}))
    for path, body, says in (
        (PREDICT, {"jsonData": {"user": "u1"}}, "expected unit"),
        (PREDICT, {}, "jsonData"),
        (FEEDBACK, {"response": {}, "reward": 1}, r"response.meta.puid"),
        (FEEDBACK, {"response": made}, "reward"),
        (FEEDBACK, {"response": made, "reward": 7}, "outside the range"),
    ):
        refused = client.post(path, params={"loop": "news"}, json=body)
        assert refused.status_code == 400
        assert says in refused.json()["error"]["message"]
    assert (
        client.post(FEEDBACK, params={"loop": "none"}, json={"response": made, "reward": 1}).status_code
        == 404
    )
