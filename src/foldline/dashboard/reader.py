"""What the log says about one loop, as its pages show it."""

import threading
from dataclasses import dataclass
from functools import cached_property

import msgspec

from foldline.engine.known import FoldStates, KnownStates
from foldline.engine.root import page_hash
from foldline.engine.tail import newest_rows
from foldline.engine.timelines import timelines
from foldline.log.protocol import Log
from foldline.loops.bundle import Bundle, decode_bundle
from foldline.loops.cut import Cut
from foldline.loops.deciding import Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.estimate import Counts, Estimate, counts_of, estimates_of
from foldline.loops.series import Series, series_of
from foldline.loops.timeline import Timeline
from foldline.loops.topics import topics_of
from foldline.policies.protocol import WHOLE
from foldline.records.dead_letter import DeadLetter

HIGHLIGHTED = 6
"""Actions drawn in colour: as many as can be told apart."""

NEWEST = 8
"""Bundles and dead letters shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a fold has come in one partition.

    Attributes:
        fold: its name.
        partition: of the event topic.
        n: the offset its newest root covers, 0 before the first.
        end: the partition's end offset.
        written: when that root was written, milliseconds; None before the first.
    """

    fold: str
    partition: int
    n: int
    end: int
    written: int | None

    @property
    def lag(self) -> int:
        """Records not covered yet."""
        return max(0, self.end - self.n)


@dataclass(frozen=True)
class LoopView:
    """One loop at one moment.

    Attributes:
        version: another one wherever anything differs.
        definition: the newest version.
        counts: what became of its records, as the policy's roots say.
        estimates: of each active action, by the policy.
        timeline: merged over the partitions.
        cut: the offsets the timeline covers.
        bundle: the newest, None before the first.
        bundles: headers of the last ones, newest first.
        places: of the policy's fold, then of the timeline's.
        dead: dead letters there are.
        letters: the last ones, newest first.
    """

    version: str
    definition: LoopDefinition
    counts: Counts
    estimates: list[Estimate]
    timeline: Timeline
    cut: Cut
    bundle: Bundle | None
    bundles: list[Bundle]
    places: list[Place]
    dead: int
    letters: list[DeadLetter]

    @property
    def unit_bits(self) -> int:
        """Rewards are in units of 2^-unit_bits."""
        return self.definition.reward.unit_bits

    @property
    def behind(self) -> int:
        """Records the newest bundle does not cover."""
        ends = [place.end for place in self.places if place.fold == "policy"]
        cut = self.bundle.cut if self.bundle is not None else (0,) * len(ends)
        return sum(max(0, end - n) for end, n in zip(ends, cut, strict=True))

    @cached_property
    def series(self) -> Series:
        """For plots. Some ten milliseconds on first use."""
        return series_of(self.timeline, self.unit_bits, highlighted=HIGHLIGHTED)

    @cached_property
    def outline(self) -> Series:
        """Without the series of actions."""
        return series_of(self.timeline, self.unit_bits, highlighted=0, drawn=0)

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """What the newest bundle gives each action with all available."""
        if self.bundle is None:
            return {}
        compiled = Decider(self.bundle).compiled
        return dict(zip(compiled.actions, (compiled.weights / WHOLE).tolist(), strict=True))


class LoopReader:
    """Follows one loop; each look costs only what is new. Thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._turn = threading.Lock()
        self._definition: LoopDefinition | None = None
        self._policy: KnownStates
        self._timeline: FoldStates[Timeline]
        self._seen: LoopView | None = None

    def read(self, definition: LoopDefinition) -> LoopView:
        """The loop now; the same object as before where nothing has changed."""
        with self._turn:
            if definition != self._definition:
                self._policy, self._timeline = (
                    KnownStates(self._log, definition),
                    timelines(self._log, definition),
                )
                self._definition, self._seen = definition, None
            self._policy.read()
            self._timeline.read()
            places = self._places("policy", self._policy) + self._places("timeline", self._timeline)
            topics = topics_of(definition)
            marks = [
                definition.version,
                [(place.n, place.end) for place in places],
                self._log.offsets(topics.policy, 0),
                [self._log.offsets(topics.dead, p) for p in range(definition.partitions)],
            ]
            version = page_hash(msgspec.json.encode(marks))[:16]
            if self._seen is None or self._seen.version != version:
                self._seen = self._look(version, definition, places)
            return self._seen

    def _look(self, version: str, definition: LoopDefinition, places: list[Place]) -> LoopView:
        topics, known = topics_of(definition), self._policy.merged()
        newest = newest_rows(self._log, topics.policy, 0, 1)
        headers = newest_rows(self._log, topics.bundles, 0, NEWEST)
        dead = [self._log.offsets(topics.dead, p) for p in range(definition.partitions)]
        return LoopView(
            version=version,
            definition=definition,
            counts=counts_of(known, definition.reward.unit_bits),
            estimates=estimates_of(self._policy.fold, known),
            timeline=self._timeline.merged(),
            cut=self._timeline.cut,
            bundle=decode_bundle(newest[-1].payload) if newest else None,
            bundles=[decode_bundle(line) for row in reversed(headers) for line in _lines(row.payload)],
            places=places,
            dead=sum(end - first for first, end in dead),
            letters=self._letters(topics.dead, definition.partitions),
        )

    def _places(self, fold: str, states: FoldStates[Timeline] | KnownStates) -> list[Place]:
        places = []
        for identity, root in zip(states.identities, states.roots, strict=True):
            end = self._log.offsets(identity.topic, identity.partition)[1]
            n, written = (root.n, root.time) if root is not None else (0, None)
            places.append(Place(fold, identity.partition, n, end, written))
        return places

    def _letters(self, topic: str, partitions: int) -> list[DeadLetter]:
        """The newest of all partitions; a letter written twice, by a worker that was killed, stands once."""
        letters = {}
        for partition in range(partitions):
            for row in newest_rows(self._log, topic, partition, NEWEST):
                for line in _lines(row.payload):
                    letter = msgspec.json.decode(line, type=DeadLetter)
                    letters[letter.fold, letter.partition, letter.offset] = letter
        return sorted(letters.values(), key=lambda letter: (letter.time, letter.offset))[: -NEWEST - 1 : -1]


def _lines(payload: bytes) -> list[bytes]:
    return payload.split(b"\n")
