"""The page of an experiment's results by segment: exploratory, read from the events while somebody looks."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import versioned_json
from foldline.dashboard.frame import Frame
from foldline.dashboard.scale import effect_scale
from foldline.dashboard.views import SegmentsView, Views
from foldline.loops.cut import format_cut


class SegmentsPage:
    """Answers `/experiments/NAME/segments/ATTRIBUTE` and the same with `.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._view(request)
        effects = [effect for segment in view.found.segments for effect in segment.effects]
        return await self._frame.page(
            request,
            "segments.html",
            definition=view.definition,
            found=view.found,
            scale=effect_scale(effects),
            format_cut=format_cut,
        )

    async def json(self, request: Request) -> Response:
        """The same numbers."""
        view = await self._view(request)
        return versioned_json(request, view.version, msgspec.to_builtins(view.found))

    async def _view(self, request: Request) -> SegmentsView:
        shared = await self._views.segments(
            request.path_params["name"], request.path_params["attribute"].removesuffix(".json")
        )
        return await shared.get()
