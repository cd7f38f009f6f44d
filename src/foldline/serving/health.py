"""Whether the process answers, and whether it can do its work."""

import asyncio
from datetime import UTC, datetime

from foldline.errors import FoldlineError
from foldline.log.outbox.log import OutboxLog
from foldline.log.outbox.status import OutboxStatus
from foldline.loops.topics import CATALOGUE
from foldline.serving.calls import Answer, Call, answer
from foldline.serving.service import Service


async def show_health(_service: Service, _call: Call) -> Answer:
    """The process answers."""
    return answer({"status": "ok"})


async def show_readiness(service: Service, _call: Call) -> Answer:
    """The log can be read and every loop has a bundle; else what is missing.

    While the cluster is away and what comes is kept in the outbox, the service is ready and says that it is degraded.
    """
    missing = await asyncio.get_running_loop().run_in_executor(None, _missing, service)
    if missing:
        return answer({"status": "not ready", "missing": missing}, 503, (b"retry-after", b"1"))
    if degraded := _degraded(service):
        return answer({"status": "degraded", "missing": [], "degraded": degraded})
    return answer({"status": "ready", "missing": []})


def _degraded(service: Service) -> list[str]:
    degraded = [f"ingest {name!r} has stopped: {error}" for name, error in tuple(service.failures.items())]
    for name in service.host.catalogue.names():
        degraded += [f"loop {name!r} has stopped learning: {error}" for error in service.host.failed(name)]
    if isinstance(service.log, OutboxLog):
        degraded += _waiting(service.log.status())
    return degraded


def _waiting(status: OutboxStatus) -> list[str]:
    degraded = []
    if status.away_since is not None:
        since = datetime.fromtimestamp(status.away_since / 1000, UTC).isoformat(timespec="seconds")
        degraded.append(f"the cluster has been away since {since}: {status.why}")
    if status.waiting:
        degraded.append(f"{status.waiting} records wait in the outbox")
    return degraded


def _missing(service: Service) -> list[str]:
    missing = []
    try:
        service.log.offsets(CATALOGUE, 0)
    except FoldlineError as error:
        missing.append(f"the log: {error}")
    if service.host.failure is not None:
        missing.append(f"the thread that learns and follows has stopped: {service.host.failure}")
    if service.closing.is_set():
        missing.append("the service is closing")
    for name in service.host.catalogue.names():
        replica = service.host.replica(name)
        decides = service.host.catalogue.one(name).decides
        if replica is None or (decides and replica.decider is None):
            missing.append(f"a bundle of loop {name!r}; does a learner run on this log?")
    return missing
