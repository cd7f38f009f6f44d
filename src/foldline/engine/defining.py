"""Defining loops: the catalogue and the markers, in one atomic append under a lease."""

import logging
import time as clock
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from foldline.engine.restore import rows_from, rows_here
from foldline.errors import LeaseLost, LogError
from foldline.log.protocol import Batch, Lease, Log, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition, check_successor, checked
from foldline.loops.folds import attached_folds
from foldline.loops.topics import CATALOGUE, topics_of
from foldline.records.codec import encode

LEASE_S = 5.0

TRIES: Final = 5
"""How often a change is begun again whose lease ran out on a machine that was busy."""

Result = TypeVar("Result")

_logger = logging.getLogger("foldline.engine")


def read_catalogue(log: Log, catalogue: Catalogue) -> None:
    """Read the catalogue topic to its end."""
    for row in rows_from(log, CATALOGUE, 0, catalogue.offset):
        catalogue.apply(row.payload, row.end)


def follow_catalogue(log: Log, catalogue: Catalogue) -> None:
    """Read what has come to this process; see `rows_here`."""
    for row in rows_here(log, CATALOGUE, 0, catalogue.offset):
        catalogue.apply(row.payload, row.end)


def create_catalogue(log: Log) -> None:
    """Create the catalogue topic if it is not there."""
    log.create(Topic(CATALOGUE, lasting=True))


def define(
    log: Log,
    catalogue: Catalogue,
    name: str,
    settle: Callable[[LoopDefinition | None], LoopDefinition],
    *,
    holder: str,
    now: int,
) -> LoopDefinition:
    """Define a loop or its next version; the definition that stands afterwards.

    Args:
        log: the log.
        catalogue: brought up to date.
        name: the loop's name.
        settle: from the newest version, or None, to the one wanted; the same object again changes nothing.
        holder: names this process in the lease.
        now: milliseconds, stamps definition and markers.

    Raises:
        InputError, DefinitionError: the definition is refused; nothing was written.
    """
    return under_lease(
        log, f"define/{name}", holder, lambda lease: _defined(log, catalogue, name, settle, lease, now)
    )


def under_lease(log: Log, name: str, holder: str, act: Callable[[Lease], Result]) -> Result:
    """Do something under a lease; again from its beginning where the lease was lost, since then nothing was written.

    Raises:
        LeaseLost: it was lost `TRIES` times.
        LogError: `log.unavailable` where another process holds it for too long.
    """
    tries = 0
    while True:
        lease = taken_lease(log, name, holder)
        try:
            return act(lease)
        except LeaseLost as error:
            tries += 1
            if tries == TRIES:
                raise
            _logger.warning("starting again: %s", error)
        finally:
            log.release(lease)


def _defined(
    log: Log,
    catalogue: Catalogue,
    name: str,
    settle: Callable[[LoopDefinition | None], LoopDefinition],
    lease: Lease,
    now: int,
) -> LoopDefinition:
    read_catalogue(log, catalogue)
    old = catalogue.get(name)
    wanted = settle(old)
    if wanted is old:
        return wanted
    checked(wanted)
    attached_folds(wanted)
    if old is not None:
        check_successor(old, wanted)
    for topic in topics_needed(wanted):
        log.create(topic)
    log.append(_batches(wanted, now), lease=lease)
    read_catalogue(log, catalogue)
    return wanted


def _batches(definition: LoopDefinition, now: int) -> list[Batch]:
    """The catalogue's record and a marker for every partition; all stand, or none."""
    marker, events = encode(definition.marker(now)), topics_of(definition).events
    markers = [Batch(events, p, marker, 1, now, now) for p in range(definition.partitions)]
    return [Batch(CATALOGUE, 0, msgspec.json.encode(definition), 1, now, now), *markers]


def topics_needed(definition: LoopDefinition) -> list[Topic]:
    """The topics of a loop, as they are made; those of its folds' outputs are made as the folds start."""
    topics, partitions = topics_of(definition), definition.partitions
    return [
        Topic(topics.events, partitions),
        Topic(topics.dead, partitions),
        Topic(topics.roots, partitions, "compact"),
        Topic(topics.bundles),
        Topic(topics.policy, 1, "compact"),
    ]


def taken_lease(log: Log, name: str, holder: str) -> Lease:
    """A lease, waited for while another process holds it.

    Raises:
        LogError: `log.unavailable` where it does not become free in time.
    """
    deadline = clock.monotonic() + 2 * LEASE_S
    while clock.monotonic() < deadline:
        lease = log.acquire(name, holder, LEASE_S)
        if lease is not None:
            return lease
        clock.sleep(0.01)
    raise LogError(
        "log.unavailable", f"another process has held the lease {name!r} for {2 * LEASE_S:g} s; try again"
    )
