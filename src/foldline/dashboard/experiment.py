"""The page of one experiment: its effect over time, its shares, guardrails and progress, and its verdict."""

from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded, unchanged, versioned_json
from foldline.dashboard.experiment_reader import ExperimentView
from foldline.dashboard.experiments import leading
from foldline.dashboard.frame import Frame
from foldline.dashboard.scale import Scale, effect_scale
from foldline.dashboard.views import Views
from foldline.experiments.effects import Effect
from foldline.experiments.verdict import Breach
from foldline.loops.cut import format_cut
from foldline.policies.registry import SETTLED

ROWS = 24
"""Rows of the table of numbers, newest first; the JSON has all."""

LEARNS = {
    "own": "the decisions of its own units",
    "shared": "all decisions of the loop",
    "frozen": "only the decisions before the start",
}
"""Of what a variant's policy learns, in words."""

RESULTS = {
    "challenger_wins": "The challenger wins",
    "control_wins": "The control wins",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
}


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    """A guardrail and a challenger in the table.

    Attributes:
        effect: with limits that hold at every moment.
        margin: how much worse is tolerated.
        direction: which way is better.
        breach: where it did not hold.
        scale: of its bar.
        limit: the difference that is tolerated, on the worse side.
    """

    effect: Effect
    margin: float
    direction: str
    breach: Breach | None
    scale: Scale | None
    limit: float


def guardrail_rows(view: ExperimentView) -> list[GuardrailRow]:
    """Every guardrail with every challenger."""
    definition, results = view.definition, view.results
    challengers = len(definition.keys) - 1
    broken = {(b.effect.metric, b.effect.kind, b.effect.challenger): b for b in results.breaches}
    rows = []
    for i, effect in enumerate(results.guardrails):
        rail = definition.guardrails[i // challengers]
        limit = -rail.better * rail.margin
        breach = broken.get((effect.metric, effect.kind, effect.challenger))
        rows.append(
            GuardrailRow(effect, rail.margin, rail.direction, breach, effect_scale([effect], limit), limit)
        )
    return rows


def context_of(view: ExperimentView) -> dict[str, Any]:
    """What the template shows."""
    definition, results = view.definition, view.results
    final = results.verdict.effects if results.verdict is not None else ()
    return {
        "view": view,
        "definition": definition,
        "results": results,
        "verdict": results.verdict,
        "verdict_words": RESULTS,
        "learns": LEARNS,
        "settled": SETTLED,
        "leading": leading(view),
        "enrolled": sum(variant.enrolled for variant in results.variants),
        "mixed": sum(variant.mixed for variant in results.variants),
        "lagging": min(results.variants, key=lambda v: v.matured / v.planned),
        "scale": effect_scale([*results.effects, *final]),
        "final": final if results.verdict is not None and results.rule == "fixed" else (),
        "guardrails": guardrail_rows(view),
        "numbers": view.points[: -ROWS - 1 : -1],
        "format_cut": format_cut,
        "live": f"experiments/{definition.name}",
        "seen": view.version,
    }


def series_of(view: ExperimentView) -> dict[str, Any]:
    """The points as columns, for plots."""
    points, keys = view.points, view.definition.keys

    def limits(challenger: int, name: str) -> list[float | None]:
        return [getattr(point.effects[challenger], name) for point in points]

    return {
        "times": [point.time for point in points],
        "effects": [
            {
                "action": key,
                "means": limits(i, "difference"),
                "lows": limits(i, "low"),
                "highs": limits(i, "high"),
            }
            for i, key in enumerate(keys[1:])
        ],
        "units": [
            {"action": key, "planned": planned, "matured": [point.matured[k] for point in points]}
            for k, (key, planned) in enumerate(zip(keys, view.definition.sample_sizes, strict=True))
        ],
        "sample_ratio_p": [point.sample_ratio_p for point in points],
    }


def json_of(view: ExperimentView) -> bytes:
    """Results as `foldline experiments results --json` gives them, and what the plots draw."""
    content = {
        "experiment": view.definition.name,
        "version": view.version,
        "cut": format_cut(view.results.cut),
        "results": msgspec.to_builtins(view.results),
        "announced": msgspec.to_builtins(view.announced),
        "series": rounded(series_of(view)),
    }
    return msgspec.json.encode(content)


class ExperimentPage:
    """Answers `/experiments/NAME` and `/experiments/NAME/results.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views
        self._encoded: dict[str, tuple[str, bytes]] = {}

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._view(request)
        return await self._frame.page(request, "experiment.html", **await run_in_threadpool(context_of, view))

    async def json(self, request: Request) -> Response:
        """The same numbers."""
        view = await self._view(request)
        name = view.definition.name
        if (known := unchanged(request, view.version)) is not None:
            return known
        if self._encoded.get(name, ("", b""))[0] != view.version:
            self._encoded[name] = view.version, await run_in_threadpool(json_of, view)
        return versioned_json(request, view.version, self._encoded[name][1])

    async def _view(self, request: Request) -> ExperimentView:
        shared = await self._views.experiment(request.path_params["name"])
        return await shared.get()
