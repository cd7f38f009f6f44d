"""The views that pages show, one of each kind for all who look."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from starlette.concurrency import run_in_threadpool

from foldline.dashboard.experiment_reader import ExperimentReader, ExperimentView
from foldline.dashboard.model_reader import ModelReader, ModelView, model_of
from foldline.dashboard.reader import LoopReader, LoopView, Place
from foldline.dashboard.shared import Shared
from foldline.engine.defining import read_catalogue
from foldline.engine.experimenting import read_experiments
from foldline.engine.root import page_hash
from foldline.engine.segmenting import SegmentReader
from foldline.errors import LogError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.segments import Segmented
from foldline.log.protocol import Log, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition


@dataclass(frozen=True, slots=True)
class LoopsView:
    """Every loop, by name."""

    version: str
    loops: list[LoopView]


@dataclass(frozen=True, slots=True)
class StreamsView:
    """Every topic with the first and end offset of each partition, and how far the folds of each loop have come."""

    version: str
    topics: list[tuple[Topic, list[tuple[int, int]]]]
    places: dict[str, list[Place]]


@dataclass(frozen=True, slots=True)
class ExperimentsView:
    """Every experiment, by name."""

    version: str
    experiments: list[ExperimentView]


@dataclass(frozen=True, slots=True)
class SegmentsView:
    """An experiment's results by one attribute."""

    version: str
    definition: ExperimentDefinition
    found: Segmented


class Views:
    """Reads the log for all pages."""

    def __init__(self, log: Log, *, every_s: float) -> None:
        self._log = log
        self._every_s = every_s
        self._catalogue = Catalogue()
        self._turn = threading.Lock()
        self._readers: dict[str, LoopReader] = {}
        self._loops: dict[str, Shared[LoopView]] = {}
        self.overview: Shared[LoopsView] = Shared(self._read_loops, every_s=every_s)
        self._experiments = ExperimentCatalogue()
        self._experiment_readers: dict[str, ExperimentReader] = {}
        self._trials: dict[str, Shared[ExperimentView]] = {}
        self._segments: dict[tuple[str, str, int], Shared[SegmentsView]] = {}
        self._models: dict[tuple[str, str], Shared[ModelView]] = {}
        self.streams: Shared[StreamsView] = Shared(self._read_streams, every_s=every_s)
        self.experiments: Shared[ExperimentsView] = Shared(self._read_experiments, every_s=every_s)

    async def loop(self, name: str) -> Shared[LoopView]:
        """The view of a loop.

        Raises:
            InputError: `input.unknown_loop`.
        """
        await run_in_threadpool(self._current, name)
        if name not in self._loops:
            self._loops[name] = Shared(self._reading(name), every_s=self._every_s)
        return self._loops[name]

    async def experiment(self, name: str) -> Shared[ExperimentView]:
        """The view of an experiment.

        Raises:
            InputError: `input.unknown_experiment`.
        """
        await run_in_threadpool(self._current_experiment, name)
        if name not in self._trials:
            self._trials[name] = Shared(self._reading_experiment(name), every_s=self._every_s)
        return self._trials[name]

    async def model(self, loop: str, name: str) -> Shared[ModelView]:
        """The view of a loop's model.

        Raises:
            InputError: `input.unknown_loop`, `input.unknown_model`.
        """
        definition, _ = await run_in_threadpool(self._current, loop)
        model_of(definition, name)
        key = loop, name
        if key not in self._models:
            reader = ModelReader(self._log, name)
            self._models[key] = Shared(lambda: reader.read(self._current(loop)[0]), every_s=self._every_s)
        return self._models[key]

    async def segments(self, name: str, attribute: str) -> Shared[SegmentsView]:
        """The view of an experiment by a declared attribute; the first look reads its loop's whole log.

        Raises:
            InputError: `input.unknown_experiment`; `input.invalid` where the attribute was not declared.
        """
        loop, definition, _ = await run_in_threadpool(self._current_experiment, name)
        # A draft may still change in everything; once started, what is measured is fixed.
        key = name, attribute, definition.version if definition.started is None else 0
        if key not in self._segments:
            reader = SegmentReader(self._log, loop, definition, attribute)
            self._segments[key] = Shared(lambda: _segments_view(definition, reader), every_s=self._every_s)
        return self._segments[key]

    def _reading_experiment(self, name: str) -> Callable[[], ExperimentView]:
        return lambda: self._read_experiment(name)

    def _read_experiment(self, name: str) -> ExperimentView:
        loop, definition, reader = self._current_experiment(name)
        return reader.read(loop, definition)

    def _current_experiment(self, name: str) -> tuple[LoopDefinition, ExperimentDefinition, ExperimentReader]:
        with self._turn:
            self._read_catalogue()
            read_experiments(self._log, self._experiments)
            definition = self._experiments.one(name)
            reader = self._experiment_readers.setdefault(name, ExperimentReader(self._log))
            return self._catalogue.one(definition.loop), definition, reader

    def _read_experiments(self) -> ExperimentsView:
        with self._turn:
            read_experiments(self._log, self._experiments)
            names = self._experiments.names()
        found = [self._read_experiment(name) for name in names]
        return ExperimentsView(_version([view.version for view in found]), found)

    def _reading(self, name: str) -> Callable[[], LoopView]:
        return lambda: self._read_loop(name)

    def _read_loop(self, name: str) -> LoopView:
        definition, reader = self._current(name)
        return reader.read(definition)

    def _current(self, name: str) -> tuple[LoopDefinition, LoopReader]:
        with self._turn:
            self._read_catalogue()
            definition = self._catalogue.one(name)
            return definition, self._readers.setdefault(name, LoopReader(self._log))

    def _read_loops(self) -> LoopsView:
        loops = [self._read_loop(name) for name in self._names()]
        return LoopsView(_version([view.version for view in loops]), loops)

    def _read_streams(self) -> StreamsView:
        topics = [
            (topic, [self._log.offsets(topic.name, p) for p in range(topic.partitions)])
            for topic in self._log.topics()
        ]
        places = {name: self._read_loop(name).places for name in self._names()}
        marks = [
            [(topic.id, offsets) for topic, offsets in topics],
            [[(place.n, place.written) for place in each] for each in places.values()],
        ]
        return StreamsView(_version(marks), topics, places)

    def _names(self) -> list[str]:
        with self._turn:
            self._read_catalogue()
            return self._catalogue.names()

    def _read_catalogue(self) -> None:
        try:
            read_catalogue(self._log, self._catalogue)
        except LogError as error:
            if error.code != "log.topic_missing":
                raise


def _segments_view(definition: ExperimentDefinition, reader: SegmentReader) -> SegmentsView:
    found = reader.read()
    return SegmentsView(_version([definition.name, found.attribute, found.cut]), definition, found)


def _version(marks: Sequence[object]) -> str:
    return page_hash(msgspec.json.encode(marks))[:16]
