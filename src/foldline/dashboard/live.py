"""Server-sent events: a page is told when what it shows has changed, and asks for it again."""

import logging
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from foldline.dashboard.frame import json_error
from foldline.dashboard.shared import Shared, Versioned
from foldline.dashboard.views import Views
from foldline.errors import FoldlineError, InputError

MOST_LISTENERS = 200
"""Open pages told of changes, at most."""

RETRY_MS = 3000
"""How soon a page asks again after its connection broke."""

_logger = logging.getLogger("foldline.dashboard")


class Live:
    """Answers `/live?of=` with `overview`, `streams`, `experiments` or the path of a loop, a model, an experiment.

    Attributes:
        listeners: pages told of changes now.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self.listeners = 0

    async def serve(self, request: Request) -> Response:
        """A stream of `event: changed`, `data:` the version of the view."""
        of = request.query_params.get("of", "")
        try:
            shared = await self._shared(of)
        except InputError as error:
            return json_error(error.code, error.args[0], 404)
        if self.listeners >= MOST_LISTENERS:
            message = (
                f"{MOST_LISTENERS} pages listen already; close one, or load this page again now and then"
            )
            answer = json_error("http.overloaded", message, 503)
            answer.headers["retry-after"] = "30"
            return answer
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        return _Listened(self, self._events(shared), headers=headers, media_type="text/event-stream")

    async def _shared(self, of: str) -> Shared[Versioned]:
        shared: object
        if of == "overview":
            shared = self._views.overview
        elif of == "streams":
            shared = self._views.streams
        elif of == "experiments":
            shared = self._views.experiments
        elif of.startswith("models/"):
            loop, _, name = of.removeprefix("models/").partition("/")
            shared = await self._views.model(loop, name)
        elif of.startswith("experiments/"):
            shared = await self._views.experiment(of.removeprefix("experiments/"))
        else:
            shared = await self._views.loop(of.removeprefix("loops/"))
        return shared  # type: ignore[return-value]  # a view of any kind

    async def _events(self, shared: Shared[Versioned]) -> AsyncIterator[str]:
        try:
            yield f"retry: {RETRY_MS}\n\n"
            async for version in shared.versions():
                yield f"event: changed\ndata: {version}\n\n" if version is not None else ": alive\n\n"
        except FoldlineError as error:
            # The page asks again and then shows what is wrong.
            _logger.warning("a page is no longer told of changes: %s", error)


class _Listened(StreamingResponse):
    """A stream that is counted for as long as somebody is connected."""

    def __init__(self, live: Live, events: AsyncIterator[str], **settings: Any) -> None:
        super().__init__(events, **settings)
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._live.listeners += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.listeners -= 1
