"""An experiment over HTTP, made and started."""

from typing import Any

import httpx

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


def ok(response: httpx.Response, status: int = 200) -> Any:
    """The content of an answer of that status."""
    assert response.status_code == status, response.text
    return response.json()


def started(served: Running, name: str = "ctr", **changed: Any) -> Any:
    """An experiment that runs, as the service shows it."""
    ok(served.client.put(f"/v1/experiments/{name}", json={**SETTINGS, **changed}), 201)
    view = ok(served.client.post(f"/v1/experiments/{name}/start"))
    assert view["decides"]
    return view


def bearer(token: str) -> dict[str, str]:
    """The header of a token or key."""
    return {"authorization": f"Bearer {token}"}
