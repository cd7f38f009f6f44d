"""The page of streams: topics, partitions, offsets, and how far each fold is behind."""

from starlette.requests import Request
from starlette.responses import Response

from foldline.dashboard.answers import versioned_json
from foldline.dashboard.frame import Frame
from foldline.dashboard.views import StreamsView, Views


class Streams:
    """Answers `/streams` and `/streams.json`."""

    def __init__(self, frame: Frame, views: Views) -> None:
        self._frame = frame
        self._views = views

    async def page(self, request: Request) -> Response:
        """The page."""
        view = await self._views.streams.get()
        return await self._frame.page(request, "streams.html", view=view, live="streams", seen=view.version)

    async def json(self, request: Request) -> Response:
        """The same numbers."""
        view = await self._views.streams.get()
        return versioned_json(request, view.version, as_json(view))


def as_json(view: StreamsView) -> dict[str, object]:
    """The view for machines."""
    return {
        "version": view.version,
        "topics": [
            {
                "topic": topic.name,
                "cleanup": topic.cleanup,
                "retention_ms": topic.retention_ms,
                "offsets": offsets,
            }
            for topic, offsets in view.topics
        ],
        "folds": [
            {
                "loop": loop,
                "fold": place.fold,
                "partition": place.partition,
                "n": place.n,
                "end": place.end,
                "lag": place.lag,
                "root": place.written,
            }
            for loop, places in view.places.items()
            for place in places
        ],
    }
