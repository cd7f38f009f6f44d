"""Defining experiments and changing their state: the catalogue and the markers, in one atomic append under a lease."""

from collections.abc import Callable

import msgspec

from foldline.engine.defining import under_lease
from foldline.engine.restore import rows_from, rows_here
from foldline.errors import DefinitionError, InputError, LogError, within
from foldline.experiments.beside import check_beside
from foldline.experiments.catalogue import EXPERIMENTS, ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition, checked
from foldline.experiments.settings import ExperimentSettings
from foldline.experiments.succession import FREE, check_successor
from foldline.log.protocol import Batch, Lease, Log, Topic
from foldline.loops.definition import LoopDefinition
from foldline.loops.definition import checked as checked_loop
from foldline.loops.topics import topics_of, verdicts_of
from foldline.loops.variants import Definitions, variant_definition
from foldline.records.codec import encode

Change = Callable[[ExperimentDefinition | None], ExperimentDefinition]


def create_experiments(log: Log) -> None:
    """Create the topic of experiments if it is not there."""
    log.create(Topic(EXPERIMENTS, lasting=True))


def read_experiments(log: Log, catalogue: ExperimentCatalogue) -> None:
    """Read the topic of experiments to its end; a log without one has none."""
    try:
        for row in rows_from(log, EXPERIMENTS, 0, catalogue.offset):
            catalogue.apply(row.payload, row.end)
    except LogError as error:
        if error.code != "log.topic_missing":
            raise


def follow_experiments(log: Log, catalogue: ExperimentCatalogue) -> None:
    """Read what has come to this process; see `rows_here`."""
    for row in rows_here(log, EXPERIMENTS, 0, catalogue.offset):
        catalogue.apply(row.payload, row.end)


def change_experiment(
    log: Log,
    catalogue: ExperimentCatalogue,
    loops: Definitions,
    name: str,
    change: Change,
    *,
    holder: str,
    now: int,
) -> ExperimentDefinition:
    """Define an experiment, or its next version; the definition that stands afterwards.

    Args:
        log: the log.
        catalogue: brought up to date.
        loops: brought up to date before.
        name: the experiment's.
        change: from the newest version, or None, to the one wanted; the same object again changes nothing.
        holder: names this process in the lease.
        now: milliseconds, stamps definition and markers.

    Raises:
        InputError, DefinitionError: it is refused, for itself or beside those that run; nothing was written.
    """
    return under_lease(
        log,
        "define/experiments",  # one for all, since they must not take each other's units
        holder,
        lambda lease: _changed(log, catalogue, loops, name, change, lease, now),
    )


def _changed(
    log: Log,
    catalogue: ExperimentCatalogue,
    loops: Definitions,
    name: str,
    change: Change,
    lease: Lease,
    now: int,
) -> ExperimentDefinition:
    read_experiments(log, catalogue)
    old = catalogue.get(name)
    wanted = change(old)
    if wanted is old:
        return wanted
    if old is not None:
        wanted = msgspec.structs.replace(wanted, version=old.version + 1, time=now)
        check_successor(old, wanted)
    loop = loops.one(wanted.loop)
    check_in_loop(wanted, loop)
    if wanted.state == "running" and (old is None or old.state != "running"):
        check_beside(wanted, [catalogue.one(other) for other in catalogue.names() if other != name])
    for topic in topics_needed(wanted, loop):
        log.create(topic)
    log.append(_batches(wanted, loop, now), lease=lease)
    read_experiments(log, catalogue)
    return wanted


def check_in_loop(definition: ExperimentDefinition, loop: LoopDefinition) -> None:
    """Refuse an experiment that cannot run on its loop.

    Raises:
        InputError, DefinitionError: it, or a variant's policy with the loop's actions and rewards, is incoherent.
    """
    checked(definition)
    if loop.complete:
        raise DefinitionError(
            "definition.incoherent",
            f"experiment {definition.name!r}: loop {loop.name!r} takes complete outcomes, which name no variant; "
            "use a loop of decisions and rewards",
            field="loop",
        )
    for i, key in enumerate(definition.keys):
        with within(f"variants[{i}].policy"):
            checked_loop(variant_definition(loop, definition, key))


def drafted(settings: ExperimentSettings, name: str, loop: str, *, salt: str, now: int) -> Change:
    """The change that defines it as a draft; the same settings again change nothing.

    Args:
        settings: as given.
        name: the experiment's.
        loop: its loop's.
        salt: of a new one whose settings name none.
        now: milliseconds.
    """

    def change(old: ExperimentDefinition | None) -> ExperimentDefinition:
        wanted = settings.settle(name, loop, salt=salt if old is None else old.salt, now=now)
        if old is None:
            return wanted
        moving = {field: getattr(old, field) for field in FREE}
        if msgspec.structs.replace(wanted, **moving) != old:
            raise DefinitionError(
                "definition.conflict",
                f"experiment {name!r} stands on the log with other settings; give it another name",
                field="name",
            )
        return old

    return change


def there(old: ExperimentDefinition | None, name: str) -> ExperimentDefinition:
    """The version that stands.

    Raises:
        InputError: `input.unknown_experiment`.
    """
    if old is None:
        raise InputError(
            "input.unknown_experiment", f"no experiment {name!r} stands on this log; define it first"
        )
    return old


def started(old: ExperimentDefinition, now: int) -> ExperimentDefinition:
    """Running, for the first time or again after a pause."""
    if old.state == "running":
        return old
    return msgspec.structs.replace(
        old, state="running", started=old.started if old.started is not None else now
    )


def paused(old: ExperimentDefinition) -> ExperimentDefinition:
    """With nobody assigned for now."""
    return old if old.state == "paused" else msgspec.structs.replace(old, state="paused")


def ended(old: ExperimentDefinition, now: int, by: str = "hand") -> ExperimentDefinition:
    """Over."""
    return (
        old if old.state == "ended" else msgspec.structs.replace(old, state="ended", ended=now, ended_by=by)
    )


def ramped(old: ExperimentDefinition, coverage: float) -> ExperimentDefinition:
    """With another share of the eligible units enrolled."""
    return old if old.coverage == coverage else msgspec.structs.replace(old, coverage=coverage)


def _batches(definition: ExperimentDefinition, loop: LoopDefinition, now: int) -> list[Batch]:
    """The catalogue's record and a marker for every partition; all stand, or none."""
    marker, events = encode(definition.marker(now)), topics_of(loop).events
    markers = [Batch(events, p, marker, 1, now, now) for p in range(loop.partitions)]
    return [Batch(EXPERIMENTS, 0, msgspec.json.encode(definition), 1, now, now), *markers]


def topics_needed(definition: ExperimentDefinition, loop: LoopDefinition) -> list[Topic]:
    """The topics of an experiment, as they are made."""
    needed = []
    for key in definition.keys:
        topics = topics_of(variant_definition(loop, definition, key))
        needed += [
            Topic(topics.roots, loop.partitions, "compact"),
            Topic(topics.bundles),
            Topic(topics.policy, 1, "compact"),
        ]
    return [*needed, Topic(verdicts_of(loop, definition.name), lasting=True)]
