"""Recomputing every published bundle from its cut, and comparing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import msgspec

from foldline.engine.findings import Finding
from foldline.engine.published import Published, chains, read_again
from foldline.engine.reading import Reading, read_batch
from foldline.engine.shelf import Shelf
from foldline.errors import FoldError
from foldline.log.places import records_before
from foldline.log.protocol import Log
from foldline.loops.bundle import Bundle, compile_bundle, content_hash, header_of
from foldline.loops.cut import Cut, format_cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import LoopTopics, topics_of
from foldline.loops.variants import Definitions
from foldline.policies.fold import Known, PolicyFold, PolicyState
from foldline.records.columns import Columns

Progress = Callable[[int], None]


@dataclass(slots=True)
class BundleTally:
    """What became of the headers: how many were recomputed or found impossible, how many of them agree."""

    bundles: int = 0
    agree: int = 0
    found: list[Finding] = field(default_factory=list)

    def add(self, other: "BundleTally") -> None:
        """Take in what became of other headers."""
        self.bundles += other.bundles
        self.agree += other.agree
        self.found += other.found


class Recomputer:
    """Recomputes the bundles of one loop, once, and shelves them.

    Bundles of equal learning parameters share a fold, whatever their definition version, which only says how the
    state is compiled. Each such fold reads the events once, from offset 0 to its last cut, and stops at each cut on
    the way; so the cost is one replay for each fold the loop ever had (and each chain of cuts, normally one), plus a
    merge and a compilation for each different bundle. Memory: one state a partition, and offsets and cut of each
    bundle.

    Args:
        log: only read.
        catalogue: read to its end after the bundles.
        definition: any version of the loop.
        at: bundles that lie wholly beyond this cut are shelved as headers, not recomputed; None for all.
        batch: records a micro-batch; the result does not depend on it.
        progress: called with the number of records folded since the last call.
    """

    def __init__(
        self,
        log: Log,
        catalogue: Definitions,
        definition: LoopDefinition,
        at: Cut | None,
        *,
        batch: int,
        progress: Progress,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._name = definition.name
        self._topics: LoopTopics = topics_of(definition)
        self._at = at
        self._batch = batch
        self._progress = progress
        ranges = [log.offsets(self._topics.events, p) for p in range(definition.partitions)]
        self._starts = [start for start, _ in ranges]
        self._ends = tuple(end for _, end in ranges)

    def run(self, published: Sequence[Published], shelf: Shelf) -> BundleTally:
        """Recompute and compare; every bundle, and every header that cannot be one, goes on the shelf."""
        tally = BundleTally()
        folds: dict[bytes, list[Published]] = {}
        key_of = cache(self._fold_key)
        for one in published:
            why = self._impossible(one)
            if why is not None:
                self._refuse(one, why, shelf, tally)
            elif not self._is_wanted(one):
                self._claim(one, read_again(self._log, one), shelf)
            else:
                folds.setdefault(key_of(one.definition), []).append(one)
        for ones in folds.values():
            for chain in chains(ones):
                self._run_chain(chain, shelf, tally)
        return tally

    def _impossible(self, one: Published) -> str | None:
        """Why nobody can have published this, or None."""
        if len(one.cut) != len(self._ends):
            return f"its cut names {len(one.cut)} partitions, the loop has {len(self._ends)}"
        if any(not 0 <= n <= end for n, end in zip(one.cut, self._ends, strict=True)):
            return f"its cut lies outside the log, which ends at {format_cut(self._ends)}"
        newest = self._catalogue.one(self._name).version
        if not 1 <= one.definition <= newest:
            return f"its definition version is none of the catalogue's, 1 to {newest}"
        return None

    def _is_wanted(self, one: Published) -> bool:
        """Whether a decision before the cut asked for may name it, and the log still holds what it takes."""
        if any(start > 0 and n > 0 for start, n in zip(self._starts, one.cut, strict=True)):
            return False
        return (
            self._at is None
            or one.cut == self._at
            or any(n < at for n, at in zip(one.cut, self._at, strict=True))
        )

    def _fold_key(self, version: int) -> bytes:
        parameters = self._catalogue.at(self._name, version).fold().parameters()
        return msgspec.json.encode(parameters, order="deterministic")

    def _run_chain(self, chain: list[Published], shelf: Shelf, tally: BundleTally) -> None:
        line = _Line(
            self._log,
            self._catalogue.at(self._name, chain[0].definition).fold(),
            self._topics.events,
            len(self._ends),
            self._batch,
            self._progress,
        )
        last: tuple[Cut, int] | None = None
        again: Bundle | str = ""
        for one in chain:
            if (one.cut, one.definition) != last:
                again, last = self._recompute(line, one), (one.cut, one.definition)
            if isinstance(again, str):
                self._refuse(one, again, shelf, tally)
            else:
                self._compare(one, again, shelf, tally)

    def _recompute(self, line: "_Line", one: Published) -> Bundle | str:
        """The bundle its cut gives, or why it gives none."""
        try:
            parts = line.parts(one.cut)
            version = max(part.vocabulary.version for part in parts)
            if version != one.definition:
                return f"its cut holds definition version {version}, it says {one.definition}"
            definition = self._catalogue.at(self._name, one.definition)
            return compile_bundle(definition, one.cut, parts, time=0)
        except FoldError as error:
            return str(error)

    def _compare(self, one: Published, again: Bundle, shelf: Shelf, tally: BundleTally) -> None:
        bundle = read_again(self._log, one)
        logged, recomputed = _differing(bundle, again)
        if one.topic == self._topics.bundles:
            tally.bundles += 1
            tally.agree += not logged
            shelf.put(again)
            if bundle.hash != again.hash:
                shelf.claim(bundle.hash, again)
        if logged:
            tally.found.append(_finding(one, bundle, logged, recomputed, ""))

    def _refuse(self, one: Published, why: str, shelf: Shelf, tally: BundleTally) -> None:
        bundle = read_again(self._log, one)
        tally.bundles += one.topic == self._topics.bundles
        self._claim(one, bundle, shelf)
        logged = {"cut": format_cut(one.cut), "definition": one.definition}
        tally.found.append(_finding(one, bundle, logged, None, why))

    def _claim(self, one: Published, bundle: Bundle, shelf: Shelf) -> None:
        if one.topic == self._topics.bundles:
            shelf.claim(bundle.hash, header_of(bundle))


def _differing(bundle: Bundle, again: Bundle) -> tuple[dict[str, object], dict[str, object]]:
    """The fields in which a published bundle differs from the recomputed one, on both sides.

    Parameters, where they are there, are compared and shown by the content's hash.
    """
    ours, theirs = msgspec.to_builtins(header_of(bundle)), msgspec.to_builtins(header_of(again))
    if bundle.parameters is not None:
        ours["content"], theirs["content"] = content_hash(bundle), again.hash
    names = [name for name in ours if name != "time" and ours[name] != theirs[name]]
    return {name: ours[name] for name in names}, {name: theirs[name] for name in names}


def _finding(one: Published, bundle: Bundle, logged: object, recomputed: object, note: str) -> Finding:
    return Finding(
        kind="bundle_differs",
        topic=one.topic,
        partition=0,
        offset=one.offset,
        subject=bundle.hash,
        logged=logged,
        recomputed=recomputed,
        note=note,
    )


class _Line:
    """One fold over every partition, moved forward from cut to cut."""

    def __init__(
        self, log: Log, fold: PolicyFold, topic: str, partitions: int, batch: int, progress: Progress
    ) -> None:
        self._readers = [_Reader(log, fold, topic, p, batch, progress) for p in range(partitions)]

    def parts(self, cut: Cut) -> list[Known]:
        """What each partition knows at a cut, none of whose offsets lies before the last one's.

        Raises:
            FoldError: the fold cannot go on; neither can later cuts be reached.
        """
        return [reader.at(offset) for reader, offset in zip(self._readers, cut, strict=True)]


class _Reader:
    """One partition's state; rows are read and decoded in large batches, however close the cuts lie."""

    def __init__(
        self, log: Log, fold: PolicyFold, topic: str, partition: int, batch: int, progress: Progress
    ) -> None:
        self._log, self._fold, self._topic, self._partition = log, fold, topic, partition
        self._batch, self._progress = batch, progress
        self._state: PolicyState = fold.empty()
        self._n = 0
        self._done = 0
        self._reading: Reading | None = None
        self._error: FoldError | None = None

    def at(self, offset: int) -> Known:
        if self._error is not None:
            raise self._error
        while self._n < offset:
            reading = self._held()
            if reading is None:
                break
            target = records_before(reading.rows, offset)
            while self._done < target:
                stop = min(target, self._done + self._batch)
                self._apply(reading.columns.slice(self._done, stop))
                self._done = stop
            self._n = min(offset, reading.end)
        return self._state.known

    def _apply(self, columns: Columns) -> None:
        try:
            self._fold.apply(self._state, columns)
        except FoldError as error:
            self._error = error
            raise
        self._progress(len(columns))

    def _held(self) -> Reading | None:
        """The rows among which n lies, read anew where it has passed the last; None where there are no more."""
        if self._reading is None or self._n >= self._reading.end:
            self._reading = read_batch(self._log, self._topic, self._partition, self._n, self._batch)
            self._done = 0
        return self._reading
