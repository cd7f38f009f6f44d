"""The document says what the service does: schemathesis asks all that it allows and much that it does not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from foldline.serving.openapi import openapi
from foldline.serving.routes import ROUTES
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct
from tests.serving.experiments import SETTINGS
from tests.serving.running import Running, running

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW_PARTITIONS = 8


STATES = {"start": "draft", "pause": "running", "stop": "ended", "ramp": "ramped", "reweight": "reweighted"}
"""An experiment of its own for each operation that changes the state."""


@dataclass
class Asked:
    """A service with a loop that has a bundle, and experiments in several states.

    Attributes:
        url: where it listens.
        running: the service.
        tokens: a token's id, and an admin's key.
    """

    url: str
    running: Running
    tokens: tuple[str, str]


@pytest.fixture(scope="module")
def served() -> Iterator[Asked]:
    """A service to ask."""
    with running(loops={"news": NEWS}) as made:
        made.client.post("/v1/loops/news/decisions", json={"unit": "u"})
        made.counts("news", decisions=1)
        for name in ("ctr", *STATES.values()):
            answered = made.client.put(
                f"/v1/experiments/{name}", json={**SETTINGS, "coverage": 0.0, "sticky": True}
            )
            assert answered.status_code == 201, answered.text
        for name in ("running", "ended", "reweighted"):
            assert made.client.post(f"/v1/experiments/{name}/start").status_code == 200
        _, admin = made.key("admin")
        shown = {"authorization": f"Bearer {admin}"}
        token = made.client.post("/v1/experiments/ctr/tokens", json={}, headers=shown).json()["id"]
        yield Asked(made.url, made, (token, admin))


def _experiment(case: Any) -> str:
    return STATES.get(case.path.rpartition("/")[2], "ctr")


schema = schemathesis.openapi.from_dict(openapi())


def _seconds(wait: Any) -> bool:
    """Whether this is a wait that the service grants."""
    try:
        return 0.01 < float(wait) <= 60
    except (TypeError, ValueError):
        return False


@pytest.fixture
def answered() -> Iterator[set[int]]:
    """The statuses an operation was answered with; one of them must be what it is there for."""
    seen: set[int] = set()
    yield seen
    assert seen & {200, 201}
    assert seen < set(range(500))


@schema.parametrize()
@settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_schemathesis_finds_nothing(case: Any, served: Asked, answered: set[int]) -> None:
    """No 5xx, and no status, content type or form of an answer that the document does not name."""
    for name, there in (("loop", "news"), ("flag", "news"), ("experiment", _experiment(case))):
        if (
            len(str(case.path_parameters.get(name, ""))) % 2
            and case.operation.label != "PUT /v1/loops/{loop}"
        ):
            # A name made up is answered with 404 alone: half of the cases ask for what there is.
            case.path_parameters[name] = there
    if isinstance(case.body, dict) and isinstance(case.body.get("partitions"), int):
        # As many learners as partitions would be started: a few show the same.
        case.body["partitions"] = min(case.body["partitions"], FEW_PARTITIONS)
    if isinstance(case.body, dict) and isinstance(case.body.get("weights"), list):
        # One for each variant: another number of them is refused whatever they are.
        case.body["weights"] = case.body["weights"][:2]
    if isinstance(case.query, dict) and _seconds(case.query.get("wait")):
        # As long as it says it would wait for a bundle that does not come: a moment shows the same.
        case.query["wait"] = 0.01
    if "id" in case.query or case.operation.label.startswith("DELETE"):
        case.query = {"id": served.tokens[0]}
    if "/api/" in case.path:
        case.query = {**(case.query or {}), "loop": "news"}
    response = case.call(base_url=served.url, headers={"Authorization": f"Bearer {served.tokens[1]}"})
    answered.add(response.status_code)
    assert response.status_code < 500
    case.validate_response(response, checks=CHECKS)


def test_the_document_names_every_route(asked: Direct) -> None:
    """Each with its summary, its statuses, and its key where it wants one."""
    document = asked.ask("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"] == route.summary
        assert ("security" in operation) != route.public
        assert {str(status) for status, _ in route.answers} <= operation["responses"].keys()
    assert set(document["paths"]) == {route.path for route in ROUTES} | {"/metrics", "/openapi.json"}


def test_examples_are_taken(served: Asked) -> None:
    """Every body the document shows does what it says."""
    client = served.running.client
    client.headers["authorization"] = f"Bearer {served.tokens[1]}"
    paths = client.get("/openapi.json").json()["paths"]
    models = [{"kind": "model", "name": "m", "model": "LogisticRegression"}]
    client.put("/v1/loops/shown", json={"actions": ["a", "b"], "salt": "s", "folds": models})
    for path, methods in paths.items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                shown = operation["requestBody"]["content"]["application/json"]["example"]
                url = (
                    path.replace("{loop}", "shown")
                    .replace("{experiment}", "shown")
                    .replace("{flag}", "shown")
                )
                answered = client.request(method, url, json=shown, params={"loop": "shown"})
                assert answered.status_code in (200, 201), (url, answered.text)
