"""The page that designs an experiment: its sizes while one types, what contradicts what, and a request to define it.

It writes nothing: the browser sends the request to the HTTP interface beside it, with a key where one is wanted.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded
from foldline.dashboard.frame import Frame
from foldline.dashboard.views import Views
from foldline.engine.experimenting import check_in_loop
from foldline.errors import FoldlineError, InputError
from foldline.experiments.design import Design
from foldline.experiments.power_curve import duration_days, power_curve
from foldline.experiments.settings import read_settings
from foldline.loops.definition import LoopDefinition
from foldline.policies.registry import parse_policy

POINTS: Final = 48

NUMBERS: Final = (
    "baseline",
    "sd",
    "effect",
    "alpha",
    "power",
    "sample_size",
    "max_days",
    "coverage",
    "window_s",
)
GOAL: Final = ("baseline", "sd", "effect")


class DesignPage:
    """Answers `/design` and `/design.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The form."""
        loops = (await self._views.overview.get()).loops
        definitions = [view.definition for view in loops]
        return await self._frame.page(request, "design.html", loops=definitions)

    async def json(self, request: Request) -> Response:
        """What the form's values give: the design, and the body that defines the experiment; or what is wrong."""
        given = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
        loops = {view.definition.name: view.definition for view in (await self._views.overview.get()).loops}
        headers = {"cache-control": "no-store"}
        try:
            found = await asyncio.get_running_loop().run_in_executor(None, designed, given, loops)
        except FoldlineError as error:
            fault = {"code": error.code, "message": str(error.args[0]), "field": error.field}
            return Response(
                msgspec.json.encode({"error": fault}), 400, headers=headers, media_type="application/json"
            )
        return Response(msgspec.json.encode(found), headers=headers, media_type="application/json")


def designed(given: Mapping[str, str], loops: Mapping[str, LoopDefinition]) -> dict[str, Any]:
    """The design of a form's values.

    Args:
        given: by the field's name; texts.
        loops: those there are.

    Raises:
        InputError, DefinitionError: a value cannot be, or some contradict each other; with what would be possible.
    """
    loop = loops.get(given.get("loop", ""))
    if loop is None:
        raise InputError(
            "input.unknown_loop",
            f"loop {given.get('loop')!r}; expected one of {sorted(loops)!r}, or define one first",
            field="loop",
        )
    body = _body(given, loop)
    settings = read_settings(msgspec.json.encode({k: v for k, v in body.items() if k != "loop"}), "json")
    definition = settings.settle(given.get("name") or "new", loop.name, salt="design", now=0)
    check_in_loop(definition, loop)
    plan = definition.design()
    traffic = given.get("traffic")
    found: dict[str, Any] = rounded(
        {
            "request": body,
            "sample_sizes": list(definition.sample_sizes),
            "sample_size_total": sum(definition.sample_sizes),
            "power": definition.power,
            "alpha": definition.alpha,
            "method": plan.metric.method,
            "analysis": plan.metric.analysis,
            "curve": _curve(plan),
            "days": None
            if traffic is None or not definition.coverage
            else duration_days(
                plan,
                _number("traffic", traffic),
                coverage=definition.coverage,
                max_days=definition.max_duration_ms / 86_400_000,
            ),
        }
    )
    return found


def _curve(plan: Design) -> list[list[float]]:
    return [[point.sample_size, point.power] for point in power_curve(plan, POINTS)]


def _body(given: Mapping[str, str], loop: LoopDefinition) -> dict[str, Any]:
    """The request that defines the experiment."""
    numbers = {name: _number(name, given[name]) for name in NUMBERS if name in given}
    if "sample_size" in numbers:
        numbers["sample_size"] = _whole("sample_size", given["sample_size"])
    goal: dict[str, Any] = {
        "kind": given.get("kind", "proportion"),
        "name": given.get("metric", "reward"),
        "direction": given.get("direction", "increase"),
    }
    goal |= {name: numbers.pop(name) for name in GOAL if name in numbers}
    if "effect" not in goal:
        raise InputError(
            "input.invalid", "an effect is needed: the difference that is worth finding", field="effect"
        )
    weights = [_whole("weights", each) for each in given.get("weights", "1,1").split(",")]
    keys = ("control", "challenger")
    if len(weights) != len(keys):
        raise InputError(
            "input.invalid", f"weights are {given['weights']!r}; expected two, such as 1,1", field="weights"
        )
    variants: list[dict[str, Any]] = []
    for key, weight in zip(keys, weights, strict=True):
        policy = msgspec.to_builtins(parse_policy(given.get(key) or f"fixed:action={loop.actions[0]}"))
        variants.append({"key": key, "policy": policy, "weight": weight})
    return {
        "loop": loop.name,
        "variants": variants,
        "goal": goal,
        "rule": given.get("rule", "fixed"),
        "max_days": numbers.pop("max_days", 28.0),
        **numbers,
    }


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError("input.invalid", f"{name} is {text!r}; expected a number", field=name)
    return found


def _whole(name: str, text: str) -> int:
    found = _number(name, text)
    if found != int(found):
        raise InputError("input.invalid", f"{name} is {text!r}; expected a whole number", field=name)
    return int(found)
