"""Honest logs: decisions that a decider made, with masks, contexts, retries, outcomes and old bundles, learnt from."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from foldline.engine.audit import Audit, audit
from foldline.engine.defining import define
from foldline.engine.findings import FindingKind
from foldline.engine.learner import Learner, Pace
from foldline.engine.publisher import Publisher
from foldline.log.places import appended_places
from foldline.log.protocol import Batch, Log
from foldline.log.sqlite.log import SqliteLog
from foldline.loops.bundle import Bundle, encode_bundle
from foldline.loops.catalogue import Catalogue
from foldline.loops.deciding import Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import encode_lines
from foldline.records.hashing import partition_of
from foldline.records.types import Activation, Decision, Outcome, Record, Reward, Tick
from tests.engine.traffic import START

PACE = Pace(max_records=50, root_every_ms=0, publish_every_ms=0)


@dataclass
class Honest:
    """A loop on a log, with its learner and publisher, driven by hand.

    `placed` holds every decision and outcome with its partition and offset; `deciders` one for each bundle.
    """

    log: Log
    loop: LoopDefinition
    seed: int = 1
    placed: list[tuple[int, int, Decision | Outcome]] = field(default_factory=list)
    deciders: list[Decider] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue()
        self.rng = random.Random(self.seed)
        self.now = START
        self._made = 0
        define(self.log, self.catalogue, self.loop.name, lambda _: self.loop, holder="test", now=START)
        self._learner = Learner(self.log, self.loop, "one", PACE)
        self._publisher = Publisher(self.log, self.catalogue, self.loop, "one")
        self.learn()

    def redefine(self, **changes: Any) -> None:
        """Define the next version, and follow it."""
        self.loop = msgspec.structs.replace(self.loop, version=self.loop.version + 1, **changes)
        define(self.log, self.catalogue, self.loop.name, lambda _: self.loop, holder="test", now=self.now)
        self._learner.redefine(self.loop, now=self.now)
        self._publisher.redefine(self.loop)

    def learn(self) -> None:
        """Fold and publish until nothing is left to fold."""
        while True:
            self.now += 1
            folded = self._learner.step(now=self.now)
            bundle = self._publisher.step(now=self.now, every_ms=0)
            if bundle is not None:
                self.deciders.append(Decider(bundle))
            if not folded:
                return

    def run(self, rounds: int, per_round: int = 30) -> None:
        """Decide, reward and learn in turn."""
        for _ in range(rounds):
            self.append(self._round(per_round))
            if self.rng.random() < 0.8:
                self.learn()
        self.learn()

    def append(self, made: list[Record], partition: int | None = None) -> list[tuple[int, int]]:
        """Append records where they belong, or to one partition; partition and offset of each."""
        parts: dict[int, list[Record]] = defaultdict(list)
        places: list[tuple[int, int]] = []
        for record in made:
            home = self._home(record) if partition is None else partition
            places.append((home, len(parts[home])))
            parts[home].append(record)
        offsets: dict[int, list[int]] = defaultdict(list)
        for home, some in parts.items():
            for low in range(0, len(some), 7):
                few = some[low : low + 7]
                times = [record.time for record in few]
                batch = Batch(self.events, home, encode_lines(few), len(few), min(times), max(times))
                [offset] = self.log.append([batch])
                offsets[home] += [at for at, _ in appended_places(self.log, offset, len(few))]
        placed = [(home, offsets[home][place]) for home, place in places]
        for (home, offset), record in zip(placed, made, strict=True):
            if isinstance(record, Decision | Outcome):
                self.placed.append((home, offset, record))
        return placed

    @property
    def events(self) -> str:
        """The event topic."""
        return topics_of(self.loop).events

    def append_bundle(self, topic: str, bundle: Bundle) -> int:
        """Append a bundle to the bundles or the policy topic; its offset."""
        key = self.loop.name.encode() if topic == topics_of(self.loop).policy else None
        [offset] = self.log.append([Batch(topic, 0, encode_bundle(bundle), 1, START, START, key)])
        return offset

    @property
    def newest(self) -> Bundle:
        """The newest bundle."""
        return self.deciders[-1].bundle

    def decide(self, unit: str | None = None, *, with_: Decider | None = None, **given: Any) -> Decision:
        """One honest decision, by the newest bundle unless told otherwise; not appended."""
        self._made += 1
        decider = with_ or self.deciders[-1]
        return decider.decide(unit or f"u{self.rng.randrange(40)}", f"d.{self._made}", self.now, **given)

    def _round(self, count: int) -> list[Record]:
        made: list[Record] = []
        for _ in range(count):
            self.now += self.rng.randrange(0, 300)
            made.append(self._one(made))
        return made

    def _one(self, made: list[Record]) -> Record:
        rng, kind = self.rng, self.rng.random()
        decisions = [record for record in made if isinstance(record, Decision)]
        if kind < 0.45 or not decisions:
            return self._decide_somehow()
        if kind < 0.5:
            return self._retry(rng.choice(decisions))
        if kind < 0.6:
            fields = outcome_fields(self._decide_somehow())
            return Outcome(**fields, reward=rng.choice([0.1, 1 / 3, 1.0]))
        if kind < 0.63:
            first = rng.choice(self.loop.actions)
            return Decision(
                time=self.now, id=f"0.0.f{self._made}-{len(made)}", unit=f"u{rng.randrange(40)}", action=first,
                propensity=1.0, bundle="fallback", definition=0,
            )  # fmt: skip
        if kind < 0.66:
            return Activation(time=self.now, decision=rng.choice(decisions).id)
        return Reward(
            time=self.now,
            id=f"r{rng.randrange(10**9)}",
            decision=rng.choice(decisions).id,
            value=rng.choice([0.1, 1 / 3, 0.0, 1.0]),
        )

    def _decide_somehow(self) -> Decision:
        """With the newest bundle, or late with an old one; with or without mask, context, claimed time."""
        given: dict[str, Any] = {}
        decider = self.rng.choice(self.deciders) if self.rng.random() < 0.1 else self.deciders[-1]
        if self.rng.random() < 0.3:
            actions = decider.actions
            given["available"] = self.rng.sample(actions, self.rng.randrange(1, len(actions) + 1))
        if self.rng.random() < 0.2:
            given["context"] = {"hour": self.rng.randrange(24)}
        if self.rng.random() < 0.1:
            given["occurred"] = self.now - 5_000
        return self.decide(with_=decider, **given)

    def _retry(self, earlier: Decision) -> Decision:
        """The same id again, perhaps with another bundle by now."""
        decider = self.rng.choice(self.deciders)
        if earlier.available is not None and not set(earlier.available) <= set(decider.actions):
            return earlier
        local = earlier.id.split(".", 2)[2]
        if earlier.bundle == "fallback":
            return earlier
        return decider.decide(earlier.unit, local, self.now, available=earlier.available)

    def _home(self, record: Record) -> int:
        if isinstance(record, Tick):
            return 0
        if isinstance(record, Reward | Activation):
            return int((record.decision or "0.0").split(".")[1])
        unit: str = record.unit  # type: ignore[attr-defined]  # all others made here have one
        return partition_of(unit, self.loop.partitions) if self.loop.partitions > 1 else 0


def rewrite(log: Log, topic: str, partition: int, offset: int, line: bytes) -> None:
    """Put another line in place of a record, as nobody may: in the SQLite file, or among the rows in memory."""
    [row] = log.read(topic, partition, offset, max_records=1, end=offset + 1)
    if isinstance(log, SqliteLog):
        connection = apsw.Connection(str(log.path))
        query = "SELECT position, payload FROM batches WHERE instr(payload, ?)"
        stored: Any = connection.execute(query, (row.payload,)).fetchall()
        for position, payload in stored:
            changed = payload.replace(row.payload, line)
            connection.execute("UPDATE batches SET payload = ? WHERE position = ?", (changed, position))
        connection.close()
    else:
        rows = log._topics[topic].partitions[partition].rows  # type: ignore[attr-defined]  # a memory log
        for place, whole in enumerate(rows):
            changed = whole.payload.replace(row.payload, line)
            rows[place] = msgspec.structs.replace(whole, payload=changed)


def audited(log: Log, **given: Any) -> Audit:
    """Audit the loop `news`."""
    return audit(log, Catalogue(), "news", **given)


def found(result: Audit) -> list[tuple[FindingKind, str, int, int]]:
    """Kind and place of each finding listed."""
    return [(f.kind, f.topic, f.partition, f.offset) for f in result.findings]


def outcome_fields(decision: Decision) -> dict[str, Any]:
    """What an outcome has of a decision: all but experiment, variant and its probability."""
    fields = msgspec.structs.asdict(decision)
    return {name: value for name, value in fields.items() if name in Outcome.__struct_fields__}
