"""The audit: everything published and decided is recomputed from the log, and every disagreement named.

A bundle names its cut, a decision its bundle. So bundles are recomputed by folding to their cuts, never taken from
what was published, and each decision's action and propensity from the bundle it names and its id.

A decision stands on its partition at or after the cut of its bundle there: the bundle was published after the
records of its cut, the decision made after the bundle, and appended later still, however late by an edge client. It
may name any bundle as old as it likes. So bundles are recomputed first and shelved (in memory, beyond some megabytes
in a temporary file), then decisions are read once, in order.
"""

from collections.abc import Callable
from dataclasses import dataclass

from foldline.engine.defining import read_catalogue
from foldline.engine.experimenting import read_experiments
from foldline.engine.findings import Finding, FindingKind, Findings
from foldline.engine.published import read_published
from foldline.engine.reading import records_of
from foldline.engine.recompute import BundleTally, Recomputer
from foldline.engine.replay import check_cut
from foldline.engine.shelf import Shelf
from foldline.engine.verify import DecisionTally, Verifier
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.log.places import offsets_of
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.loops.variants import Definitions, VariantCatalogue

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        loop: its name.
        cut: decisions before it were verified.
        bundles: bundle headers recomputed, or found to be none that can be.
        bundles_agree: those that are what their cut gives.
        decisions: decisions read.
        outcomes: outcomes read.
        fallback: decisions and outcomes of edge clients that no bundle had reached yet.
        external: decisions and outcomes made by something else than a bundle: only their action was checked.
        unchecked: decisions and outcomes whose bundle could not be recomputed; a finding says why.
        counts: findings of each kind.
        findings: the first of them: what is published, then decisions in order of partition and offset.
    """

    loop: str
    cut: Cut
    bundles: int
    bundles_agree: int
    decisions: int
    outcomes: int
    fallback: int
    external: int
    unchecked: int
    counts: dict[FindingKind, int]
    findings: list[Finding]

    @property
    def agree(self) -> bool:
        """Nothing was found."""
        return not any(self.counts.values())


def audit(
    log: Log,
    catalogue: Catalogue,
    name: str,
    cut: Cut | None = None,
    *,
    batch: int = 10_000,
    keep: int = 20,
    progress: Progress = lambda _phase, _count: None,
) -> Audit:
    """Audit a loop: every decision before a cut, and every bundle that one of them may name.

    Reads the events twice: to fold them (see `Recomputer` for its cost) and to verify decisions (see `Verifier`).
    Memory does not grow with the log but for some hundred bytes a bundle.

    Args:
        log: only read; what is appended meanwhile is left out.
        catalogue: brought up to date.
        name: the loop.
        cut: one offset for each partition; the log's ends by default.
        batch: records a micro-batch; the result does not depend on it.
        keep: findings listed; all are counted.
        progress: called with what is being done, `folding` or `verifying`, and the records since the last call.

    Raises:
        InputError: the loop is unknown; the cut lies beyond the log.
    """
    read_catalogue(log, catalogue)
    definition = catalogue.one(name)
    topics = topics_of(definition)
    ends = tuple(log.offsets(topics.events, p)[1] for p in range(definition.partitions))
    if cut is not None:
        check_cut(cut, ends)
    findings = Findings(keep)
    findings.add(_lost(log, topics.events, definition.partitions))
    lost_headers = _lost(log, topics.bundles, 1)
    findings.add(lost_headers)
    # In this order every bundle that a decision before the ends names has been read, and every version it is of.
    read = [(one, read_published(log, topics_of(one.one(name)))) for one in _catalogues(log, catalogue, name)]
    read_catalogue(log, catalogue)
    bundles = BundleTally()
    with Shelf() as shelf:
        for one, (published, unreadable) in read:
            recomputer = Recomputer(
                log, one, one.one(name), cut, batch=batch, progress=lambda count: progress("folding", count)
            )
            bundles.add(recomputer.run(published, shelf))
            findings.add(unreadable)
        findings.add(bundles.found)
        verifier = Verifier(definition, shelf, catalogue.actions(name), headers_lost=bool(lost_headers))
        _verify(log, definition, cut or ends, verifier, findings, batch, progress)
    return _audit(name, cut or ends, bundles, verifier.tally, findings)


def _catalogues(log: Log, catalogue: Catalogue, name: str) -> list[Definitions]:
    """The loop's own definitions, and those of every variant of its experiments."""
    experiments = ExperimentCatalogue()
    read_experiments(log, experiments)
    tried = map(experiments.one, experiments.names(name))
    return [catalogue, *(VariantCatalogue(catalogue, one, key) for one in tried for key in one.keys)]


def _lost(log: Log, topic: str, partitions: int) -> list[Finding]:
    """A finding for each partition that no longer begins at offset 0."""
    starts = [(p, log.offsets(topic, p)[0]) for p in range(partitions)]
    return [
        Finding(
            kind="uncomputable",
            topic=topic,
            partition=p,
            offset=start,
            subject="",
            logged=start,
            recomputed=None,
            note=f"the log begins at offset {start}; the audit needs it from offset 0",
        )
        for p, start in starts
        if start > 0
    ]


def _verify(
    log: Log,
    definition: LoopDefinition,
    target: Cut,
    verifier: Verifier,
    findings: Findings,
    batch: int,
    progress: Progress,
) -> None:
    topic = topics_of(definition).events
    for partition, end in enumerate(target):
        offset = log.offsets(topic, partition)[0]
        while offset < end:
            rows = log.read(topic, partition, offset, max_records=batch, end=end)
            if not rows:
                break
            records = records_of(rows)
            findings.add(verifier.verify(partition, offsets_of(rows), records))
            progress("verifying", len(records))
            offset = rows[-1].end


def _audit(name: str, cut: Cut, bundles: BundleTally, decisions: DecisionTally, findings: Findings) -> Audit:
    return Audit(
        loop=name,
        cut=cut,
        bundles=bundles.bundles,
        bundles_agree=bundles.agree,
        decisions=decisions.decisions,
        outcomes=decisions.outcomes,
        fallback=decisions.fallback,
        external=decisions.external,
        unchecked=decisions.unchecked,
        counts=findings.counts,
        findings=findings.first,
    )
