"""The page that designs an experiment: its sizes while one types, what contradicts what, and a request to define it.

It writes nothing: the browser sends the request to the HTTP interface beside it, with a key where one is wanted.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded
from foldline.dashboard.design_form import Asked, Refusals, read_form
from foldline.dashboard.frame import Frame
from foldline.dashboard.views import Views
from foldline.engine.experimenting import check_in_loop
from foldline.errors import FoldlineError, InputError
from foldline.experiments.definition import DAY_MS, ExperimentDefinition, ExperimentName
from foldline.experiments.design import Design
from foldline.experiments.power_curve import always_valid_curve, duration_days, power_curve
from foldline.experiments.settings import settings_of
from foldline.loops.definition import LoopDefinition
from foldline.policies.registry import POLICIES, SETTLED

POINTS: Final = 48

_NAMED: Final = {"weights": "variants[0].weight", "units_per_day": "traffic", "variants": "variants[1].key"}
"""Fields of errors that the form has under another name."""


class DesignPage:
    """Answers `/design` and `/design.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The form."""
        loops = [view.definition for view in (await self._views.overview.get()).loops]
        about = {
            each.name: {
                "actions": each.actions,
                "reward": each.reward.name,
                "policies": [f"fixed:action={action}" for action in each.actions[:20]] + _ready(),
            }
            for each in loops
        }
        return await self._frame.page(
            request,
            "design.html",
            loops=loops,
            names=[(each.name, each.name) for each in loops],
            settled=" ".join(sorted(SETTLED)),
            about=msgspec.json.encode(about).decode(),
        )

    async def json(self, request: Request) -> Response:
        """What the form's values give: the design, and the body that defines the experiment; or all that is wrong."""
        loops = {view.definition.name: view.definition for view in (await self._views.overview.get()).loops}
        given = dict(request.query_params)
        try:
            status, found = (
                200,
                await asyncio.get_running_loop().run_in_executor(None, designed, given, loops),
            )
        except Refusals as refused:
            status, found = 400, {"errors": [_fault(each) for each in refused.faults]}
        except FoldlineError as error:
            status, found = 400, {"errors": [_fault(error)]}
        return Response(
            msgspec.json.encode(found),
            status,
            headers={"cache-control": "no-store"},
            media_type="application/json",
        )


def designed(given: Mapping[str, str], loops: Mapping[str, LoopDefinition]) -> dict[str, Any]:
    """The design of a form's values.

    Args:
        given: texts by the field's name, see `design_form`.
        loops: those there are.

    Raises:
        Refusals: several values are no numbers, or no policies.
        InputError, DefinitionError: a value cannot be, or some contradict each other; with what would be possible.
    """
    loop = loops.get(given.get("loop", ""))
    if loop is None:
        raise InputError(
            "input.unknown_loop",
            f"loop {given.get('loop')!r}; expected one of {sorted(loops)!r}, or define one first",
            field="loop",
        )
    asked = read_form({name: text for name, text in given.items() if name != "loop"})
    settings = settings_of(asked.settings)
    definition = settings.settle(_name(given.get("name", "new")), loop.name, salt="design", now=0)
    check_in_loop(definition, loop)
    # As many as are asked for, which may be more than needed.
    plan = replace(definition.design(), sample_sizes=definition.sample_sizes)
    return {"request": {"loop": loop.name, **asked.settings}, **rounded(_said(plan, definition, asked))}


def _name(text: str) -> str:
    try:
        return msgspec.convert(text.strip(), ExperimentName)
    except msgspec.ValidationError as error:
        raise InputError(
            "input.invalid",
            f"name is {text!r}; expected letters, digits, - and _, at most 64, such as new-test",
            field="name",
        ) from error


def _said(plan: Design, definition: ExperimentDefinition, asked: Asked) -> dict[str, Any]:
    """What the page shows of a design."""
    curve, by_then, exact, analysis = (
        power_curve(plan, POINTS),
        None,
        plan.exact_power(),
        plan.metric.analysis,
    )
    if definition.rule == "always_valid":
        curve, exact, analysis = always_valid_curve(plan, POINTS), None, "limits at every moment"
        by_then = curve[POINTS // 2 - 1].power
    days = None
    if asked.traffic is not None and definition.coverage:
        most = definition.max_duration_ms / DAY_MS
        days = duration_days(plan, asked.traffic, coverage=definition.coverage, max_days=most)
    return {
        "solved": asked.solved,
        "sample_sizes": list(plan.sample_sizes),
        "sample_size_total": plan.sample_size_total,
        "alternative": plan.alternative,
        "margin": plan.margin or None,
        "alpha": plan.alpha,
        "alpha_per_comparison": plan.alpha_per_comparison,
        "power": plan.power_at(plan.sample_size_per_variant),
        "power_always_valid": by_then,
        "exact_power": exact,
        "effect": plan.effect,
        "effect_relative": plan.effect_relative,
        "method": plan.metric.method,
        "analysis": analysis,
        "rule": definition.rule,
        "wait_s": (definition.window_ms + definition.maturity_ms) / 1000,
        "days": days,
        "curve": [[point.sample_size, point.power] for point in curve],
    }


def _ready() -> list[str]:
    """Kinds of policies that need no parameter."""
    return [str(each.__struct_config__.tag) for each in POLICIES if not _required(each)]


def _required(policy: type[msgspec.Struct]) -> bool:
    return any(field.required for field in msgspec.structs.fields(policy))


def _fault(error: FoldlineError) -> dict[str, Any]:
    field = _NAMED.get(error.field or "", error.field)
    return {"code": error.code, "message": str(error.args[0]), "field": field}
