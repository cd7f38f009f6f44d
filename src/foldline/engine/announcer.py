"""The announcer: appends an experiment's verdict to the log, once, and a breach of each guardrail, which pauses it.

One process announces, under a lease. It reads the tally's roots, never a worker's memory, so what it announces any
reader of the log recomputes. The first verdict stands. What comes late and changes its figures is appended as a
revision beside it; so is another verdict, should a later Foldline compute it from the same log.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from foldline.engine.examining import tallies
from foldline.engine.experimenting import change_experiment, paused
from foldline.engine.restore import rows_from
from foldline.errors import LogError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.revision import Revision
from foldline.experiments.verdict import Breach, Verdict
from foldline.experiments.walk import Walk
from foldline.log.protocol import Batch, Lease, Log, Row
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import verdicts_of
from foldline.loops.variants import Definitions


class Announcement(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="announcement"):
    """A record of an experiment's topic of verdicts.

    Attributes:
        kind: `verdict`, `revision` or `breach`.
        experiment: its name.
        cut: offsets covered by the tally it was computed from, one a partition.
        time: when it was appended, milliseconds; the verdict's own time is stream time.
        verdict: of a verdict; of a revision, where a later Foldline computed another from the same records.
        revision: of a revision, by what came late.
        breach: of a breach.
    """

    kind: Literal["verdict", "revision", "breach"]
    experiment: str
    cut: tuple[int, ...]
    time: int
    verdict: Verdict | None = None
    revision: Revision | None = None
    breach: Breach | None = None


_DECODER = msgspec.json.Decoder(Announcement)


def read_announcements(log: Log, loop: LoopDefinition, experiment: str) -> list[Announcement]:
    """What was announced of an experiment, in order; nothing where its topic is not there yet."""
    try:
        rows = list(rows_from(log, verdicts_of(loop, experiment), 0, 0))
    except LogError as error:
        if error.code != "log.topic_missing":
            raise
        return []
    return [one for row in rows for one in announcements_of(row)]


def announcements_of(row: Row) -> list[Announcement]:
    """Those of one row of an experiment's topic of verdicts."""
    return [_DECODER.decode(line) for line in row.payload.split(b"\n")]


class Announcer:
    """Announces one experiment while it holds the lease.

    Args:
        log: the log.
        loops: the loops' definitions, for the pause that a breach makes.
        loop: of the experiment.
        experiment: any version from its start on.
        holder: names this process in the lease.
        lease_s: a lease lives this long without renewal.
    """

    def __init__(
        self,
        log: Log,
        loops: Definitions,
        loop: LoopDefinition,
        experiment: ExperimentDefinition,
        holder: str,
        *,
        lease_s: float,
    ) -> None:
        self._log, self._loops, self._loop, self._holder, self._lease_s = log, loops, loop, holder, lease_s
        self._topic = verdicts_of(loop, experiment.name)
        self._states = tallies(log, loop, experiment)
        self._name = experiment.name
        self._lease: Lease | None = None
        self._asked_at = self._looked_at = 0
        self._walk: Walk | None = None
        self._announced: list[Announcement] = []

    def step(
        self, experiment: ExperimentDefinition, *, now: int, stamp: int, every_ms: int
    ) -> list[Announcement]:
        """Look at what the roots say, at most once every `every_ms`, and announce what is new.

        Args:
            experiment: its newest version.
            now: milliseconds, of the pace.
            stamp: milliseconds, stamps what is appended.
            every_ms: least time between two looks.

        Raises:
            LeaseLost: another process announces by now.
        """
        if now - self._looked_at < every_ms or not self._owns(now):
            return []
        self._looked_at = now
        before = self._states.cut
        self._states.follow()
        if self._walk is not None and self._states.cut == before:
            return []
        self._walk = Walk(experiment, self._states.parts(), after=self._walk)
        self._walk.run()
        return self._announce(experiment, self._walk, stamp)

    def close(self) -> None:
        """Give the lease up."""
        if self._lease is not None:
            self._log.release(self._lease)
            self._lease = None

    def _owns(self, now: int) -> bool:
        if not self._asked_at or now - self._asked_at >= self._lease_s * 1000 / 3:
            held = self._lease
            self._lease = self._log.acquire(f"announce/{self._topic}", self._holder, self._lease_s)
            self._asked_at = now
            if self._lease is not None and self._lease != held:
                self._announced = read_announcements(self._log, self._loop, self._name)
        return self._lease is not None

    def _announce(self, experiment: ExperimentDefinition, walk: Walk, stamp: int) -> list[Announcement]:
        made = [
            *self._verdicts(experiment, walk, stamp),
            *self._revisions(experiment, walk, stamp),
            *self._breaches(experiment, walk, stamp),
        ]
        if made:
            payload = b"\n".join(map(msgspec.json.encode, made))
            self._log.append([Batch(self._topic, 0, payload, len(made), stamp, stamp)], lease=self._lease)
            self._announced += made
        if any(one.kind == "breach" for one in made) and experiment.state == "running":
            self._pause(experiment, stamp)
        return made

    def _verdicts(self, experiment: ExperimentDefinition, walk: Walk, stamp: int) -> list[Announcement]:
        said = [one.verdict for one in self._announced if one.verdict is not None]
        if walk.verdict is None or walk.verdict in said:
            return []
        kind: Literal["verdict", "revision"] = "revision" if said else "verdict"
        return [_of(experiment, self._states.cut, stamp, kind=kind, verdict=walk.verdict)]

    def _revisions(self, experiment: ExperimentDefinition, walk: Walk, stamp: int) -> list[Announcement]:
        said = [one.revision for one in self._announced]
        new = [revision for revision in walk.revisions if revision not in said]
        return [_of(experiment, self._states.cut, stamp, kind="revision", revision=each) for each in new]

    def _breaches(self, experiment: ExperimentDefinition, walk: Walk, stamp: int) -> list[Announcement]:
        said = [one.breach for one in self._announced]
        new: Sequence[Breach] = [breach for breach in walk.breaches if breach not in said]
        return [_of(experiment, self._states.cut, stamp, kind="breach", breach=breach) for breach in new]

    def _pause(self, experiment: ExperimentDefinition, stamp: int) -> None:
        def change(old: ExperimentDefinition | None) -> ExperimentDefinition:
            standing = old or experiment
            return paused(standing) if standing.state == "running" else standing

        change_experiment(
            self._log,
            ExperimentCatalogue(),
            self._loops,
            experiment.name,
            change,
            holder=self._holder,
            now=stamp,
        )


def _of(
    experiment: ExperimentDefinition,
    cut: tuple[int, ...],
    stamp: int,
    *,
    kind: Literal["verdict", "revision", "breach"],
    verdict: Verdict | None = None,
    revision: Revision | None = None,
    breach: Breach | None = None,
) -> Announcement:
    return Announcement(
        kind=kind,
        experiment=experiment.name,
        cut=cut,
        time=stamp,
        verdict=verdict,
        revision=revision,
        breach=breach,
    )
