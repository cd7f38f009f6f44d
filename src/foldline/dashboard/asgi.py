"""The dashboard as an ASGI application, to be mounted or served."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from foldline.errors import MissingExtra
from foldline.log.clock import now_ms
from foldline.log.protocol import Log

if TYPE_CHECKING:
    from starlette.applications import Starlette


def dashboard(log: Log, *, clock: Callable[[], int] = now_ms, every_s: float = 1.0) -> "Starlette":
    """Pages over a log: `/` (loops), `/experiments`, `/design`, `/streams`, of each one, JSON, `/live`, `/static`.

    It only reads the log, in worker threads, and at most once in `every_s` a page however many look at it; while
    nobody looks it reads nothing. It needs no lifespan, so it may be mounted under any path of another application
    (links follow `root_path`), such as `Mount("/", dashboard(log))` after the routes of `/v1`. Whoever mounts it
    decides who may look: it asks for no key, and answers GET and HEAD only.

    Pages are told of changes over server-sent events, which stay open. A server that is to stop must close them:
    give uvicorn `timeout_graceful_shutdown`.

    Args:
        log: open for as long as the application runs; not closed by it.
        clock: milliseconds since 1970-01-01 UTC, for ages.
        every_s: least time between two looks at the log for one page, seconds.

    Raises:
        MissingExtra: the extra `serve` is not installed.

    Example:
        >>> from foldline.log.open import open_log
        >>> [route.path for route in dashboard(open_log("memory://")).routes][:3]
        ['/', '/loops.json', '/loops/{name}']
    """
    try:
        from foldline.dashboard.site import site
    except ImportError as error:
        raise MissingExtra("serve", "the dashboard") from error
    return site(log, clock=clock, every_s=every_s)
