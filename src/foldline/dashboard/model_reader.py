"""What the log says about one model of a loop, as its page shows it: from its snapshots and its newest inferences."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.engine.model_replica import ModelStates
from foldline.engine.root import page_hash
from foldline.errors import InputError, LogError
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.models.definition import MODEL_KIND, ModelDefinition, model_definition
from foldline.models.known import KnownModel
from foldline.models.report import ModelReport, report_of
from foldline.models.signing import no_secret

BINS = 20
"""Of the distribution of scores."""

LATENCIES = 500
"""Inferences of a partition from which latency is told, the newest."""


@dataclass(frozen=True, slots=True)
class ScoreBin:
    """Scores from `low` to `high`: how many of each class, and their shares of it."""

    low: float
    high: float
    negatives: int
    positives: int
    negative_share: float
    positive_share: float


@dataclass(frozen=True, slots=True)
class ModelView:
    """A model at one moment.

    Attributes:
        version: another one wherever anything differs.
        loop: the newest version of its loop.
        definition: of the model.
        report: counts and metrics, by partition.
        courses: of each partition's window, see `Course`.
        drifts: record times of each partition's last drift alarms, milliseconds.
        scores: how they lie, by class; none without scores.
        latencies: of the newest inferences, milliseconds, rising.
        behind: records of the loop that the snapshots do not cover yet.
    """

    version: str
    loop: LoopDefinition
    definition: ModelDefinition
    report: ModelReport
    courses: tuple[npt.NDArray[np.float64], ...]
    drifts: tuple[tuple[int, ...], ...]
    scores: tuple[ScoreBin, ...]
    latencies: tuple[int, ...]
    behind: int


class ModelReader:
    """Follows one model; each look costs only what is new. Thread-safe."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self._name = name
        self._turn = threading.Lock()
        self._loop: LoopDefinition | None = None
        self._states: ModelStates
        self._seen: ModelView | None = None

    def read(self, loop: LoopDefinition) -> ModelView:
        """The model now; the same object as before where nothing has changed.

        Raises:
            InputError: `input.unknown_model` where the loop has none of that name.
        """
        with self._turn:
            if self._loop is None or self._loop.version != loop.version:
                self._states = ModelStates(self._log, loop, model_of(loop, self._name), no_secret)
                self._loop = loop
            parts = self._states.parts()
            ends = [self._log.offsets(topics_of(loop).events, p)[1] for p in range(loop.partitions)]
            cut = self._states.cut
            version = page_hash(msgspec.json.encode([loop.version, cut, ends]))[:16]
            if self._seen is None or self._seen.version != version:
                behind = sum(max(0, end - n) for end, n in zip(ends, cut, strict=True))
                self._seen = self._look(version, loop, parts, behind)
            return self._seen

    def _look(
        self, version: str, loop: LoopDefinition, parts: Sequence[KnownModel], behind: int
    ) -> ModelView:
        fold = self._states.fold
        return ModelView(
            version=version,
            loop=loop,
            definition=self._states.definition,
            report=report_of(fold, dict(enumerate(parts))),
            courses=tuple(part.course.points for part in parts),
            drifts=tuple(tuple(part.drift.places[:, 0].tolist()) for part in parts),
            scores=score_bins(fold.merge_all(parts)),
            latencies=tuple(sorted(self._latencies(loop))),
            behind=behind,
        )

    def _latencies(self, loop: LoopDefinition) -> list[int]:
        topic, found = topics_of(loop).outputs(self._name), list[int]()
        for partition in range(loop.partitions):
            try:
                start, end = self._log.offsets(topic, partition)
                rows = self._log.read(
                    topic, partition, max(start, end - LATENCIES), max_records=2 * LATENCIES
                )
            except LogError as error:
                if error.code != "log.topic_missing":
                    raise
                continue
            for row in rows:
                for line in row.payload.split(b"\n"):
                    one = _LINE.decode(line)
                    if one.type == "inference":
                        found.append(one.time - one.at)
        return found


class _Line(msgspec.Struct):
    type: str
    at: int
    time: int


_LINE = msgspec.json.Decoder(_Line)


def model_of(loop: LoopDefinition, name: str) -> ModelDefinition:
    """A loop's model by its name.

    Raises:
        InputError: `input.unknown_model`.
        MissingExtra: it is River's, which is not installed.
    """
    found = {values["name"]: values for values in loop.folds if values.get("kind") == MODEL_KIND}
    if name not in found:
        raise InputError(
            "input.unknown_model",
            f"loop {loop.name!r} has no model {name!r}; it has {list(found)!r}",
            field="model",
            value=name,
        )
    return model_definition(found[name])


def score_bins(known: KnownModel) -> tuple[ScoreBin, ...]:
    """How scores lie between the least and the greatest, by class; none without scores."""
    scores, of = known.classification.ranking.distribution()
    totals = of.sum(axis=0)
    if not len(scores):
        return ()
    low, high = min(0.0, float(scores[0])), max(1.0, float(scores[-1]))
    edges = np.linspace(low, high, BINS + 1)
    at = np.clip(np.searchsorted(edges, scores, side="right") - 1, 0, BINS - 1)
    counts = np.zeros((BINS, 2), np.int64)
    np.add.at(counts, at, of)
    shares = counts / np.maximum(totals, 1)
    return tuple(
        ScoreBin(float(edges[i]), float(edges[i + 1]), *counts[i].tolist(), *shares[i].tolist())
        for i in range(BINS)
    )
