"""The frame of every page: templates, headers, and what is said when something is wrong."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import foldline
from foldline.dashboard import wording
from foldline.dashboard.assets import Assets
from foldline.errors import CODES, FoldlineError, InputError

PAGES = (("/", "Loops"), ("/experiments", "Experiments"), ("/design", "Design"), ("/streams", "Streams"))
"""Path and name in the navigation."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Frame:
    """Renders templates into answers."""

    def __init__(self, assets: Assets, clock: Callable[[], int], log_name: str) -> None:
        self.clock = clock
        self._environment = Environment(
            loader=PackageLoader("foldline.dashboard"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            count=wording.count,
            brief=wording.brief,
            percent=wording.percent,
            signed=wording.signed,
            span=wording.span,
            moment=wording.moment,
            age=wording.age,
        )
        self._environment.globals.update(
            asset=assets.path, pages=PAGES, log_name=log_name, version=foldline.__version__
        )

    async def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        """A page of a template, rendered in a thread."""
        text = await run_in_threadpool(
            self._environment.get_template(template).render,
            root=request.scope.get("root_path", ""),
            path=request.url.path.removeprefix(request.scope.get("root_path", "")),
            now=self.clock(),
            **context,
        )
        return HTMLResponse(text, status, headers={"cache-control": "no-cache"})

    async def trouble(self, request: Request, error: Exception) -> Response:
        """What is wrong, and what to do: 503, or 404 for what is not there."""
        code = getattr(error, "code", "")
        status = 404 if isinstance(error, InputError) else 503
        if wants_json(request):
            text = error.args[0] if isinstance(error, FoldlineError) else str(error)
            return json_error(code, text, status)
        return await self.page(
            request, "trouble.html", status, title=str(error), code=code, remedy=CODES.get(code, "")
        )

    async def missing(self, request: Request, _error: Exception) -> Response:
        """No such page."""
        if wants_json(request):
            return json_error("http.not_found", f"no page {request.url.path!r}", 404)
        title = f"There is no page {request.url.path}"
        return await self.page(request, "trouble.html", 404, title=title, code="", remedy="")


def wants_json(request: Request) -> bool:
    """Whether a machine asks."""
    return request.url.path.endswith(".json")


def json_error(code: str, message: str, status: int) -> Response:
    """An error in the form of the HTTP interface."""
    import msgspec

    body = {"error": {"code": code, "message": message, "field": None, "value": None, "expected": None}}
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def log_name(url: str) -> str:
    """How pages name the log: its scheme and the last part of its path, no folders.

    Example:
        >>> log_name("sqlite:////srv/data/news.db"), log_name("memory://")
        ('sqlite news.db', 'memory')
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme} {PurePosixPath(rest).name}".strip()


class Headers:
    """Middleware: every answer carries `HEADERS`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
