"""The page of all experiments: how far each is, what it shows so far, and its verdict."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded, versioned_json
from foldline.dashboard.experiment_reader import ExperimentView
from foldline.dashboard.frame import Frame
from foldline.dashboard.views import Views
from foldline.experiments.effects import Effect


def leading(view: ExperimentView) -> Effect | None:
    """The goal's effect of the challenger that is best so far; None where none can be said."""
    better = view.definition.goal.better
    known = [effect for effect in view.results.effects if effect.difference is not None]
    return max(known, key=lambda effect: better * (effect.difference or 0.0), default=None)


class Experiments:
    """Answers `/experiments` and `/experiments.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._views.experiments.get()
        rows = [(one, leading(one)) for one in view.experiments]
        return await self._frame.page(
            request, "experiments.html", rows=rows, live="experiments", seen=view.version
        )

    async def json(self, request: Request) -> Response:
        """The same numbers."""
        view = await self._views.experiments.get()
        rows = [as_json(one) for one in view.experiments]
        return versioned_json(request, view.version, {"version": view.version, "experiments": rounded(rows)})


def as_json(view: ExperimentView) -> dict[str, Any]:
    """A row for machines."""
    effect, verdict = leading(view), view.results.verdict
    return {
        "name": view.definition.name,
        "loop": view.definition.loop,
        "state": view.definition.state,
        "rule": view.definition.rule,
        "metric": view.definition.goal.name,
        "progress": view.results.progress,
        "challenger": effect.challenger if effect is not None else None,
        "difference": effect.difference if effect is not None else None,
        "low": effect.low if effect is not None else None,
        "high": effect.high if effect is not None else None,
        "sample_ratio_p": view.results.sample_ratio_p,
        "verdict": verdict.result if verdict is not None else None,
        "winner": verdict.winner if verdict is not None else None,
    }
