"""The page of one loop: what it earns over time, what it knows of each action, and what became of its records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded, unchanged, versioned_json
from foldline.dashboard.frame import Frame
from foldline.dashboard.overview import row_of
from foldline.dashboard.reader import HIGHLIGHTED, LoopView
from foldline.dashboard.scale import Scale
from foldline.dashboard.views import Views
from foldline.loops.cut import format_cut
from foldline.models.definition import MODEL_KIND
from foldline.models.expression import model_from, model_text

ROWS = 24
"""Rows of the table of numbers, newest first; the JSON has all."""

ACTIONS = 200
"""Rows of the table of actions."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action in the table.

    Attributes:
        action: its name.
        active: whether the newest definition allows it.
        rank: 1 to `HIGHLIGHTED` where it is drawn in colour, else 0.
        probability: in the newest bundle, all actions available; None where it is not in it.
        decisions: how often it was decided; None without a timeline.
        pulls: how many of its decisions were learnt.
        mean: average reward.
        low: lower limit of the 95 % interval.
        high: upper limit.
    """

    action: str
    active: bool
    rank: int
    probability: float | None
    decisions: int | None
    pulls: int
    mean: float | None
    low: float | None
    high: float | None


def action_rows(view: LoopView) -> list[ActionRow]:
    """Every action, the most decided first; by the policy alone where no timeline is kept."""
    probability = view.probabilities.get
    if not view.series.actions:
        return [
            ActionRow(e.action, True, 0, probability(e.action), None, e.pulls, e.mean, None, None)
            for e in view.estimates
        ]
    return [
        ActionRow(
            a.action,
            a.active,
            place if place <= HIGHLIGHTED else 0,
            probability(a.action),
            a.decisions,
            a.pulls,
            a.mean,
            a.low,
            a.high,
        )
        for place, a in enumerate(view.series.actions, start=1)
    ]


def scale_of(actions: Sequence[ActionRow], baseline: float | None) -> Scale | None:
    """A scale for all intervals; None where there are none."""
    limits = [limit for a in actions for limit in (a.low, a.high) if limit is not None]
    if not limits or baseline is None:
        return None
    low, high = min(*limits, baseline), max(*limits, baseline)
    return Scale(low, high) if low < high else None


def number_rows(view: LoopView) -> list[tuple[Any, ...]]:
    """The newest points of the series: time, average, baseline, rate, rewards, late, unmatched, dead."""
    s = view.series
    rows = zip(s.times, s.average, s.baseline, s.rate, s.rewards, s.late, s.unmatched, s.dead, strict=True)
    return list(rows)[: -ROWS - 1 : -1]


def context_of(view: LoopView) -> dict[str, Any]:
    """What the template shows."""
    actions, row = action_rows(view), row_of(view)
    return {
        "view": view,
        "row": row,
        "scale": scale_of(actions, row.baseline),
        "definition": view.definition,
        "counts": view.counts,
        "series": view.series,
        "actions": actions[:ACTIONS],
        "more_actions": len(actions[ACTIONS:]),
        "best": max((a for a in actions if a.mean is not None), key=lambda a: a.mean or 0.0, default=None),
        "models": [
            {
                "name": values["name"],
                "text": model_text(model_from(values["model"], values.get("parameters"))),
                "shadow": values.get("shadow", False),
            }
            for values in view.definition.folds
            if values.get("kind") == MODEL_KIND
        ],
        "numbers": number_rows(view),
        "format_cut": format_cut,
        "live": f"loops/{view.definition.name}",
        "seen": view.version,
    }


def json_of(view: LoopView) -> bytes:
    """What the plots draw. Some ten milliseconds."""
    content = {
        "loop": view.definition.name,
        "version": view.version,
        "cut": format_cut(view.cut),
        "reward": view.definition.reward.name,
        "series": rounded(msgspec.to_builtins(view.series)),
    }
    return msgspec.json.encode(content)


class LoopPage:
    """Answers `/loops/NAME` and `/loops/NAME/series.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views
        self._encoded: dict[str, tuple[str, bytes]] = {}

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._view(request)
        return await self._frame.page(request, "loop.html", **await run_in_threadpool(context_of, view))

    async def json(self, request: Request) -> Response:
        """What the plots draw."""
        view = await self._view(request)
        name = view.definition.name
        if (known := unchanged(request, view.version)) is not None:
            return known
        if self._encoded.get(name, ("", b""))[0] != view.version:
            self._encoded[name] = view.version, await run_in_threadpool(json_of, view)
        return versioned_json(request, view.version, self._encoded[name][1])

    async def _view(self, request: Request) -> LoopView:
        shared = await self._views.loop(request.path_params["name"])
        return await shared.get()
