"""The page of one model: how well it predicts over time and on each partition, how fast, and what it costs."""

from typing import Any

import msgspec
import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded, unchanged, versioned_json
from foldline.dashboard.frame import Frame
from foldline.dashboard.model_reader import ModelView
from foldline.dashboard.views import Views
from foldline.models.expression import model_text


def course_series(view: ModelView) -> dict[str, Any]:
    """The windows of all partitions over one row of times; null where a partition has no point."""
    times = sorted({int(time) for points in view.courses for time in points[:, 0].tolist()})
    place = {time: at for at, time in enumerate(times)}
    lines = []
    for number, points in enumerate(view.courses):
        columns: dict[str, Any] = {}
        for name, column in (("first", 2), ("f1", 3), ("recall", 4), ("roc_auc", 5)):
            values: list[float | None] = [None] * len(times)
            for time, value in zip(points[:, 0].tolist(), points[:, column].tolist(), strict=True):
                values[place[int(time)]] = None if np.isnan(value) else value
            columns[name] = values
        lines.append({"action": f"partition {number}", **columns})
    return {"times": times, "partitions": lines, "drifts": [list(each) for each in view.drifts]}


def context_of(view: ModelView) -> dict[str, Any]:
    """What the template shows."""
    report, latencies = view.report, view.latencies
    most = max((max(each.negative_share, each.positive_share) for each in view.scores), default=0.0)
    quantile = (lambda q: float(np.percentile(latencies, q))) if latencies else (lambda _: None)
    return {
        "view": view,
        "definition": view.definition,
        "report": report,
        "metrics": report.metrics,
        "counts": report.counts,
        "model": model_text(view.definition.expression()),
        "most_share": most,
        "latency": {"p50": quantile(50), "p99": quantile(99), "count": len(latencies)},
        "bytes": sum(part.bytes for part in report.partitions),
        "alarms": sum(part.drift_alarms for part in report.partitions),
        "series": course_series(view),
        "live": f"models/{view.loop.name}/{view.definition.name}",
        "seen": view.version,
    }


class ModelPage:
    """Answers `/loops/NAME/models/MODEL` and `/loops/NAME/models/MODEL/report.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._view(request)
        return await self._frame.page(request, "model.html", **await run_in_threadpool(context_of, view))

    async def json(self, request: Request) -> Response:
        """What it shows, and what the plots draw."""
        view = await self._view(request)
        if (known := unchanged(request, view.version)) is not None:
            return known
        content = {
            "version": view.version,
            "loop": view.loop.name,
            "report": msgspec.to_builtins(view.report),
            "series": rounded(course_series(view)),
        }
        return versioned_json(request, view.version, content)

    async def _view(self, request: Request) -> ModelView:
        shared = await self._views.model(request.path_params["name"], request.path_params["model"])
        return await shared.get()
