"""Warming up: what folding a loop needs is compiled, or loaded from the cache, before any clock runs.

Compiling holds Python's lock for seconds on a new machine. Done while requests wait, it would hold them up too.
"""

import gc
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from foldline.engine.defining import create_catalogue, define
from foldline.engine.freed_memory import keep_freed_memory
from foldline.engine.host import Host
from foldline.errors import MissingExtra
from foldline.kernels import lose_patience
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.made import Made
from foldline.loops.reports import Reports
from foldline.loops.topics import topics_of
from foldline.models.definition import MODEL_KIND, ModelDefinition, model_definition
from foldline.models.fold import ModelFold
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.types import Example, Label, Record, Value

_UNITS = 200
"""For a batch large enough to be scanned rather than decoded line by line."""

_PLAIN = LoopDefinition(
    name="warming",
    version=1,
    time=0,
    actions=("a", "b"),
    policy={"kind": "epsilon_greedy"},
    partitions=2,
    salt="s",
)


def warm_up(definitions: Sequence[LoopDefinition] = ()) -> None:
    """Fold some traffic of a plain loop, and of each loop given, on logs in memory.

    Takes some seconds on a machine that has never compiled this version, half a second else.
    """
    lose_patience()
    keep_freed_memory()
    kinds = {_kind(each): each for each in (_PLAIN, *definitions) if each.decides}
    for definition in kinds.values():
        _fold_some(msgspec.structs.replace(definition, version=1, partitions=min(2, definition.partitions)))
    models = {values["name"]: values for each in definitions for values in each.folds if _is_model(values)}
    for values in models.values():
        # A role that does not learn can do without River; one that learns hears of it where it would need it.
        with suppress(MissingExtra):
            _predict_some(model_definition(values))
    # What is loaded by now is here to stay: the collector need not go through it whenever a batch is decoded.
    gc.collect()
    gc.freeze()


def _is_model(values: dict[str, Any]) -> bool:
    return values.get("kind") == MODEL_KIND


def _predict_some(definition: ModelDefinition) -> None:
    """Examples with a label, without one, and with one that came late; and a snapshot, which nobody will read."""
    fold = ModelFold(definition, lambda: bytes(32))
    label = definition.classes[-1] if fold.model.task != "regression" else 1.0
    x: dict[str, Value | None] = dict.fromkeys(definition.features or ("x",), 0.5)
    records: list[Record] = []
    for i in range(_UNITS):
        records.append(Example(time=i, id=f"0.0.{i}", unit=f"unit-{i}", x=x, y=label if i % 2 else None))
        if i % 4 == 0:
            records.append(Label(time=i, example=f"0.0.{i}", y=label))
    state = fold.empty()
    fold.apply(state, decode(encode_lines(records)))
    fold.dump(state)


def _kind(definition: LoopDefinition) -> tuple[str, bool, bool]:
    return definition.policy["kind"], definition.complete, definition.partitions > 1


def _fold_some(definition: LoopDefinition) -> None:
    now = 1_000_000
    with MemoryLog() as log:
        create_catalogue(log)
        define(log, Catalogue(), definition.name, lambda _: definition, holder="warming", now=now)
        host = Host(log, holder="warming", learn=True, clock=lambda: now, every_loop=True)
        host.round()
        log.append(_traffic(definition, now))
        while host.round():
            continue
        host.close()


def _traffic(definition: LoopDefinition, now: int) -> list[Batch]:
    reports, lines = Reports(definition), dict[int, list[bytes]]()
    for i in range(_UNITS * definition.partitions):
        made = Made(f"{i:032x}", f"unit-{i}", definition.actions[i % len(definition.actions)], 0.5)
        if definition.complete:
            placed = [reports.outcome(made, definition.low, time=now)]
        else:
            placed = [
                reports.made(made, time=now),
                reports.reward(made.local, definition.low, id=f"{i:032x}", time=now, unit=made.unit),
            ]
        lines.setdefault(placed[0].partition, []).extend(encode(record) for _, record in placed)
    topic = topics_of(definition).events
    return [Batch(topic, p, b"\n".join(rows), len(rows), now, now) for p, rows in lines.items()]
