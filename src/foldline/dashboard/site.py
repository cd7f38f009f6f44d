"""Routes and middleware of the dashboard."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from foldline.dashboard.assets import Assets
from foldline.dashboard.design import DesignPage
from foldline.dashboard.experiment import ExperimentPage
from foldline.dashboard.experiments import Experiments
from foldline.dashboard.frame import Frame, Headers, log_name
from foldline.dashboard.live import Live
from foldline.dashboard.loop import LoopPage
from foldline.dashboard.model import ModelPage
from foldline.dashboard.overview import Overview
from foldline.dashboard.segments import SegmentsPage
from foldline.dashboard.streams import Streams
from foldline.dashboard.views import Views
from foldline.errors import FoldlineError
from foldline.log.protocol import Log

COMPRESSED_BYTES = 1024
"""Answers from this size on are compressed."""


def site(log: Log, *, clock: Callable[[], int], every_s: float) -> Starlette:
    """The application; see `foldline.dashboard.asgi.dashboard`."""
    assets = Assets()
    frame, views = Frame(assets, clock, log_name(log.url)), Views(log, every_s=every_s)
    overview, loop, streams = Overview(frame, views), LoopPage(frame, views), Streams(frame, views)
    experiments, experiment = Experiments(frame, views), ExperimentPage(frame, views)
    model = ModelPage(frame, views)
    segments, design, live = SegmentsPage(frame, views), DesignPage(frame, views), Live(views)
    routes = [
        Route("/", overview.page),
        Route("/loops.json", overview.json),
        Route("/loops/{name}", loop.page),
        Route("/loops/{name}/series.json", loop.json),
        Route("/loops/{name}/models/{model}", model.page),
        Route("/loops/{name}/models/{model}/report.json", model.json),
        Route("/experiments", experiments.page),
        Route("/experiments.json", experiments.json),
        Route("/experiments/{name}", experiment.page),
        Route("/experiments/{name}/results.json", experiment.json),
        Route("/experiments/{name}/segments/{attribute}.json", segments.json),
        Route("/experiments/{name}/segments/{attribute}", segments.page),
        Route("/design", design.page),
        Route("/design.json", design.json),
        Route("/streams", streams.page),
        Route("/streams.json", streams.json),
        Route("/live", live.serve),
        Route("/static/{name:path}", assets.serve),
    ]
    application = Starlette(
        routes=routes,
        middleware=[
            Middleware(Headers),
            Middleware(GZipMiddleware, minimum_size=COMPRESSED_BYTES, compresslevel=5),
        ],
        exception_handlers={404: frame.missing, FoldlineError: frame.trouble},
    )
    application.state.live = live
    return application
