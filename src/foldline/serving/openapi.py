"""The interface as OpenAPI 3.1, made from the table of routes."""

from collections.abc import Iterator
from typing import Any

import msgspec

import foldline
from foldline.loops.messages import ActivationEvent, DecisionEvent, FaultAnswer, OutcomeEvent, RewardEvent
from foldline.serving.routes import ROUTES, Route

_EVENTS = DecisionEvent | RewardEvent | OutcomeEvent | ActivationEvent

_EXPERIMENT: dict[str, Any] = {
    "loop": "news",
    "variants": [
        {"key": "control", "policy": {"kind": "fixed", "action": "a"}},
        {"key": "challenger", "policy": {"kind": "fixed", "action": "b"}},
    ],
    "goal": {"name": "reward", "baseline": 0.07, "effect": 0.04},
    "max_days": 28,
}

_EXAMPLES: dict[str, dict[str, Any]] = {
    "decide": {"unit": "u1", "context": {"device": "phone"}, "available": ["a", "b"], "decision": "order-17"},
    "reward": {"decision": "0.0.order-17", "value": 1, "reward_id": "click-88"},
    "activate": {"decision": "0.0.order-17"},
    "outcome": {"unit": "u1", "action": "b", "propensity": 0.95, "reward": 1, "decision": "visit-3"},
    "events": {
        "outbox": "c0ffee",
        "first": 0,
        "events": [{"type": "reward", "unit": "u1", "value": 1, "reward_id": "77ab"}],
    },
    "predict": {"unit": "card-7", "x": {"amount": 12.5, "shop": "food"}},
    "label": {"example": "0.0.9f2c", "y": True},
    "observe": {"unit": "u1", "name": "revenue", "value": 12.5, "observation_id": "order-17"},
    "put_experiment": _EXPERIMENT,
    "validate_experiment": _EXPERIMENT,
    "ramp_experiment": {"coverage": 0.5},
    "reweight_experiment": {"weights": [1, 1]},
    "promote": {"variant": "challenger", "share": 1},
    "make_token": {"name": "shop", "days": 60},
    "evaluate_flag": {"context": {"targetingKey": "u1", "device": "phone"}},
    "evaluate_flags": {"context": {"targetingKey": "u1"}},
    "seldon_predict": {"jsonData": {"unit": "u1", "context": {"device": "phone"}}},
    "seldon_feedback": {"response": {"meta": {"puid": "0.0.order-17"}}, "reward": 1},
    "put_loop": {
        "actions": ["a", "b"],
        "policy": {"kind": "epsilon_greedy", "epsilon": 0.1},
        "reward_wait_s": 5,
    },
}
"""Bodies of docs/http-api.md, by operation."""

_MEANINGS = {
    200: "done",
    201: "made",
    304: "the bundle is the one the caller has",
    400: "the request is not as it should be",
    401: "no valid key",
    403: "the key lacks the role",
    404: "no such loop or experiment",
    408: "the body did not come in time",
    409: "contradicts what stands",
    413: "too large",
    429: "the key's rate is used up",
    501: "what is asked for needs a part of Foldline that is not installed here",
    503: "cannot serve now; see Retry-After",
}


def openapi() -> dict[str, Any]:
    """The document."""
    types = [t for route in ROUTES for t in _types(route)]
    unique = list({repr(t): t for t in [*types, FaultAnswer, _EVENTS]}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template="#/components/schemas/{name}")
    by_type = {repr(t): schema for t, schema in zip(unique, schemas, strict=True)}
    components["EventsRequest"]["properties"]["events"] = {"type": "array", "items": by_type[repr(_EVENTS)]}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    for path, operation in _of_itself():
        paths[path] = {"get": operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Foldline", "version": foldline.__version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(route: Route) -> Iterator[Any]:
    if route.reads is not None:
        yield route.reads
    for _, kind in route.answers:
        if kind is not None:
            yield kind
    if route.fault is not None:
        yield route.fault


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": list(_parameters(route)),
        "responses": _responses(route, schemas),
    }
    if not route.public:
        operation["security"] = [{"key": []}]
    if route.reads is not None:
        schema = _one_or_many(schemas[repr(route.reads)], route.many)
        content = {"schema": schema, "example": _EXAMPLES[route.name]}
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in ("loop", "experiment", "flag"):
        if f"{{{name}}}" in route.path:
            schema = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
            yield {"name": name, "in": "path", "required": True, "schema": schema}
    for name, schema in route.query:
        yield {"name": name, "in": "query", "schema": schema}
    if route.name == "bundle":
        yield {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    fault = schemas[repr(FaultAnswer)]
    for status, kind in route.answers:
        content: dict[str, Any] = {}
        if kind is not None:
            schema = schemas[repr(kind)]
            if route.many:
                schema = {"oneOf": [schema, {"type": "array", "items": {"anyOf": [schema, fault]}}]}
            content["application/json"] = {"schema": schema}
        if route.name == "bundle" and status == 200:
            content["text/event-stream"] = {"schema": {"type": "string"}}
        responses[str(status)] = {
            "description": _MEANINGS[status],
            **({"content": content} if content else {}),
        }
    guarded = () if route.public else (401, 403, 429)
    for status in sorted({*route.errors, *guarded}):
        schema = schemas[repr(dict[str, Any])] if route.public else fault
        if route.fault is not None:
            schema = {"anyOf": [schemas[repr(route.fault)], fault]}
        responses[str(status)] = {
            "description": _MEANINGS[status],
            "content": {"application/json": {"schema": schema}},
        }
    return responses


def _one_or_many(schema: dict[str, Any], many: bool) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "array", "items": schema}]} if many else schema


def _of_itself() -> Iterator[tuple[str, dict[str, Any]]]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    document = {"application/json": {"schema": {"type": "object"}}}
    fault = {"application/json": {"schema": {"$ref": "#/components/schemas/FaultAnswer"}}}
    refusals = {
        str(status): {"description": _MEANINGS[status], "content": fault} for status in (401, 403, 429)
    }
    yield (
        "/metrics",
        {
            "operationId": "metrics",
            "summary": "What the service counts, for Prometheus",
            "security": [{"key": []}],
            "responses": {"200": {"description": "done", "content": text}, **refusals},
        },
    )
    yield (
        "/openapi.json",
        {
            "operationId": "openapi",
            "summary": "This document",
            "responses": {"200": {"description": "done", "content": document}},
        },
    )
