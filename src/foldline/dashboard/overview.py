"""The page of all loops: what each earns against its baseline, and whether it is well."""

from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import rounded, versioned_json
from foldline.dashboard.frame import Frame
from foldline.dashboard.reader import LoopView
from foldline.dashboard.sparkline import paths
from foldline.dashboard.views import LoopsView, Views


@dataclass(frozen=True, slots=True)
class Row:
    """A loop in the table.

    Attributes:
        view: the loop.
        average: average reward of all decisions learnt.
        baseline: what deciding every action equally often would have earned.
        rate: records a second, in the newest bucket that has a rate.
        lines: SVG paths of average and baseline over time.
    """

    view: LoopView
    average: float | None
    baseline: float | None
    rate: float | None
    lines: list[str]

    @property
    def lift(self) -> float | None:
        """By which share the average exceeds the baseline; None where there is none, or it is not positive."""
        return lift(self.average, self.baseline)


def lift(average: float | None, baseline: float | None) -> float | None:
    """By which share an average exceeds a positive baseline."""
    if average is None or baseline is None or baseline <= 0:
        return None
    return average / baseline - 1


def row_of(view: LoopView) -> Row:
    """The loop's row."""
    series = view.outline
    rates = [rate for rate in series.rate[-2:] if rate is not None]
    return Row(
        view,
        series.average[-1] if series.average else None,
        series.baseline[-1] if series.baseline else None,
        rates[-1] if rates else None,
        paths(series.times, series.average, series.baseline),
    )


class Overview:
    """Answers `/` and `/loops.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._views.overview.get()
        rows = await self._rows(view)
        return await self._frame.page(request, "overview.html", rows=rows, live="overview", seen=view.version)

    async def json(self, request: Request) -> Response:
        """The same numbers."""
        view = await self._views.overview.get()
        rows = [as_json(row) for row in await self._rows(view)]
        return versioned_json(request, view.version, {"version": view.version, "loops": rounded(rows)})

    async def _rows(self, view: LoopsView) -> list[Row]:
        return await run_in_threadpool(lambda: [row_of(loop) for loop in view.loops])


def as_json(row: Row) -> dict[str, Any]:
    """A row for machines."""
    view = row.view
    return {
        "name": view.definition.name,
        "version": view.definition.version,
        "policy": view.definition.policy["kind"],
        "actions": len(view.definition.actions),
        "decisions": view.counts["decisions"] + view.counts["outcomes"],
        "average": row.average,
        "baseline": row.baseline,
        "lift": row.lift,
        "rate": row.rate,
        "late": view.counts["late"],
        "unmatched": view.counts["unmatched"],
        "dead": view.dead,
        "bundle": view.bundle.hash if view.bundle is not None else None,
        "published": view.bundle.time if view.bundle is not None else None,
        "behind": view.behind,
    }
