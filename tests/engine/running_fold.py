"""A fold with output records, which counts decisions and rewards and tells so after each; and what it must tell."""

from collections.abc import Collection
from typing import Any

import msgspec
import numpy as np

from foldline.engine.identity import identity_of
from foldline.engine.output_reader import Output
from foldline.engine.outputs import Source
from foldline.engine.restore import rows_from
from foldline.fold.outputs import Outputs
from foldline.fold.protocol import Applied, Dump
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import decode
from foldline.records.columns import Columns, Kind
from tests.engine.traffic import START


class Running(msgspec.Struct):
    """How far it has counted."""

    seen: int = 0
    rewarded: int = 0


class RunningFold:
    """Every decision gives one output, every third decision another: what they say is a function of the prefix."""

    name = "running"
    version = 1
    has_outputs = True

    def __init__(self, every: int = 3) -> None:
        self.every = every

    def parameters(self) -> dict[str, Any]:
        """How often it says something more."""
        return {"every": self.every}

    def empty(self) -> Running:
        """Nothing counted."""
        return Running()

    def apply(self, state: Running, columns: Columns, *, muted: bool = False) -> Applied:
        """See `Fold.apply`."""
        if muted:
            return Applied()
        lines: list[bytes] = []
        rows: list[int] = []
        changed = False
        for row, kind in enumerate(columns.kind.tolist()):
            if kind == Kind.REWARD:
                state.rewarded += 1
                changed = True
            elif kind == Kind.DECISION:
                state.seen += 1
                changed = True
                lines.append(b'{"type":"seen","seen":%d,"rewarded":%d}' % (state.seen, state.rewarded))
                rows.append(row)
                if state.seen % self.every == 0:
                    lines.append(b'{"type":"third","seen":%d}' % state.seen)
                    rows.append(row)
        return Applied(changed, outputs=Outputs(b"\n".join(lines), np.array(rows, np.int64)))

    def due(self, state: Running) -> int | None:
        """Nothing is ever pending."""
        return None

    def dump(self, state: Running, *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """See `Fold.dump`."""
        return Dump(msgspec.json.encode(state), [])

    def load(self, dump: Dump) -> Running:
        """See `Fold.load`."""
        return msgspec.json.decode(dump.known, type=Running)


def plain(outputs: list[Output]) -> list[tuple[Source | None, dict[str, Any]]]:
    """Sources, and what the fold said: without the time of appending."""
    found: list[tuple[Source | None, dict[str, Any]]] = []
    for output in outputs:
        values = msgspec.json.decode(output.line)
        assert values.pop("time") >= START
        assert msgspec.convert(values.pop("source"), Source) == output.source
        found.append((output.source, values))
    return found


def expected_outputs(log: Log, loop: LoopDefinition) -> list[tuple[Source, dict[str, Any]]]:
    """Record by record, with nothing of the engine but the fold's identity."""
    expected = []
    for partition in range(loop.partitions):
        fold = RunningFold()
        state, identity = fold.empty(), identity_of(fold, log.topic(topics_of(loop).events), partition)
        numbers: dict[int, int] = {}
        for row in rows_from(log, topics_of(loop).events, partition, 0):
            for record, line in enumerate(row.payload.split(b"\n")):
                offset = row.place(record)[0]
                made = fold.apply(state, decode(line)).outputs
                assert made is not None
                for said in made.split():
                    source = Source(
                        fold="running", key=identity.key(), topic=identity.topic, partition=partition,
                        offset=offset, index=numbers.get(offset, 0),
                    )  # fmt: skip
                    numbers[offset] = source.index + 1
                    expected.append((source, msgspec.json.decode(said)))
    return expected
