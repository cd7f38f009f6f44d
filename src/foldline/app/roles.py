"""The roles a process can play on a log: serve, learn, or both."""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.app.secret import DeploymentSecret
from foldline.engine.defining import create_catalogue, read_catalogue
from foldline.engine.host import Host
from foldline.engine.learner import Pace
from foldline.engine.warming import warm_up
from foldline.engine.webhook import WebhookSettings
from foldline.errors import LogError
from foldline.experiments.catalogue import EXPERIMENTS
from foldline.log.open import open_log
from foldline.log.outbox.log import OutboxLog
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.folds import attached_folds
from foldline.loops.mapping_settings import MappingSettings
from foldline.loops.settings import LoopSettings
from foldline.loops.topics import CATALOGUE, POLICY
from foldline.models.signing import Secret
from foldline.serving.settings import ServiceSettings

_logger = logging.getLogger("foldline.app")

Result = TypeVar("Result")

START_S: Final = 60.0
"""How long a role waits at its start for a cluster that was reached, but cannot do what is asked just now."""

RETRY_S: Final = 0.5


def serve(
    url: str,
    settings: ServiceSettings,
    *,
    learn: bool,
    pace: Pace | None = None,
    loops: Mapping[str, LoopSettings] | None = None,
    ingests: Mapping[str, MappingSettings] | None = None,
    webhooks: Mapping[str, WebhookSettings] | None = None,
    ready: Callable[[str], None] = lambda _: None,
) -> int:
    """Answer requests until SIGINT or SIGTERM, then finish what is under way and return.

    Args:
        url: of the log.
        settings: of the service.
        learn: whether this process learns and publishes too.
        pace: of learning.
        loops: to define first.
        ingests: foreign topics to copy meanwhile; one that cannot go on is told of by `/readyz`, and stops no other.
        webhooks: who is told of verdicts and breaches meanwhile.
        ready: called with the service's address once it answers.

    Returns:
        How many records wait in the outbox for a cluster that is away.

    Raises:
        FoldlineError: the log cannot be opened, the address cannot be had, a loop is refused.
        MissingExtra: the extra `serve` is not installed.
    """
    from foldline.errors import MissingExtra

    try:
        from foldline.dashboard.asgi import dashboard
        from foldline.serving.asgi import ServiceApp
        from foldline.serving.server import check_open, run_server
        from foldline.serving.service import Service
    except ImportError as error:
        raise MissingExtra("serve", "the HTTP service") from error
    from foldline.app.ingesting import Ingesting, holder_name
    from foldline.app.telling import Telling
    from foldline.serving.keys import Keyring

    outbox = settings if url.startswith("kafka://") and settings.outbox else None
    secret = DeploymentSecret(url)
    with hosting(url, learn=learn, pace=pace, loops=loops or {}, outbox=outbox, secret=secret) as (log, host):
        keyring = Keyring(log)
        keyring.read()
        check_open(settings.host, keyring.closed)
        pages: Any = dashboard(log) if settings.pages else None
        holder = holder_name()
        with (
            Telling(log, webhooks or {}, holder),
            Ingesting(log, ingests or {}, holder, patient=True) as ingesting,
        ):
            failures = ingesting.failures
            run_server(
                ServiceApp(lambda: Service(log, host, settings, failures=failures, secret=secret), pages),
                settings,
                ready,
            )
        return log.status().waiting if isinstance(log, OutboxLog) else 0


def learn(
    url: str,
    *,
    pace: Pace | None = None,
    loops: Mapping[str, LoopSettings] | None = None,
    webhooks: Mapping[str, WebhookSettings] | None = None,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Learn and publish until SIGINT or SIGTERM, then write what is known and return.

    Meanwhile webhooks are told of verdicts and breaches.
    """
    from foldline.app.ingesting import holder_name
    from foldline.app.telling import Telling

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with (
        hosting(url, learn=True, pace=pace, loops=loops or {}, wait=stop.wait) as (log, host),
        Telling(log, webhooks or {}, holder_name()),
    ):
        ready()
        # Python runs signal handlers between waits only, so the wait is not for ever.
        while not stop.wait(0.2) and host.failure is None:
            pass
        if host.failure is not None:
            raise host.failure


@contextmanager
def hosting(
    url: str,
    *,
    learn: bool,
    pace: Pace | None,
    loops: Mapping[str, LoopSettings],
    outbox: ServiceSettings | None = None,
    wait: Callable[[float], object] = time.sleep,
    secret: Secret | None = None,
) -> Iterator[tuple[Log, Host]]:
    """An open log and a host that follows every loop on it; both are closed in the end.

    With `outbox` the log takes what is appended also while its cluster is away, see `OutboxLog`. `wait` waits so many
    seconds between two tries, and returns whether to give up.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    with open_log(url) if outbox is None else _with_outbox(url, outbox, learn=learn) as log:
        patiently = partial(_patiently, url, wait)
        patiently(lambda: create_catalogue(log))
        for name, settings in loops.items():
            if isinstance(log, OutboxLog) and log.away:
                _logger.warning("the cluster is away: loop %r stays as it was last defined", name)
                continue
            define_loop(log, name, settings, holder=holder, now=wall_clock())
        catalogue = Catalogue()
        patiently(lambda: read_catalogue(log, catalogue))
        warm_up([catalogue.one(name) for name in catalogue.names()])
        host = Host(
            log,
            holder=holder,
            learn=learn,
            clock=wall_clock,
            pace=pace,
            every_loop=True,
            folds=partial(attached_folds, secret=secret or DeploymentSecret(url)),
        )
        patiently(host.round)
        host.start()
        try:
            yield log, host
        finally:
            host.close()


def _patiently(url: str, wait: Callable[[float], object], act: Callable[[], Result]) -> Result:
    """Do what needs the log; where a cluster cannot do it just now, as while leaders change, again and again."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return act()
        except LogError as error:
            if (
                error.code != "log.unavailable"
                or not url.startswith("kafka://")
                or time.monotonic() > deadline
            ):
                raise
            _logger.warning("the log does not answer, trying again: %s", error)
            if wait(RETRY_S):
                raise


def _with_outbox(url: str, settings: ServiceSettings, *, learn: bool) -> OutboxLog:
    from foldline.serving.keys import KEYS
    from foldline.serving.outboxes import OUTBOXES

    followed = {CATALOGUE, EXPERIMENTS, KEYS, OUTBOXES}
    return OutboxLog(
        url,
        settings.outbox,
        lambda: open_log(url),
        mirrored=lambda topic: topic in followed or topic.endswith(POLICY),
        probe=CATALOGUE,
        # Who learns has nothing to do without the cluster, and should say so.
        needs=None if learn else POLICY,
        max_bytes=settings.outbox_max_bytes,
    )
