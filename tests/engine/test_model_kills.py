"""SIGKILL of consumers that run models: every inference stands, none is learnt twice, metrics are the uninterrupted."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

import foldline as fl
from foldline.engine.model_replica import ModelStates
from foldline.engine.restore import rows_from
from foldline.models.fold import ModelFold
from foldline.models.known import KnownModel, dump_known
from foldline.models.report import report_of
from foldline.records.codec import decode
from foldline.records.types import Example, Label, Record
from tests.models.streams import messy

PARTITIONS = 4
KILLS = 2
CHUNK = 600
PHRASE = "a secret of the test, long enough"

MODELS = [
    fl.Model(
        name="tree",
        model="tree.HoeffdingTreeClassifier:grace_period=30",
        label_window_s=1,
        snapshot_every_s=0.05,
    ),
    fl.Model(
        name="trees", model="HalfSpaceTrees:window_size=40,seed=3", label_window_s=1, snapshot_every_s=0.2
    ),
]


@pytest.fixture(params=["sqlite", "kafka"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A log of each kind that outlives a process."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kills.db"
    found: str = request.getfixturevalue("kafka_url")
    return found


def _consumer(url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "foldline", "learn", "--log", url, "--json"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "FOLDLINE_SECRET": PHRASE}
    )


def _ready(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        assert json.loads(lines.readline())["learns"]


def _until(holds: Callable[[], bool], what: str, timeout_s: float = 90.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)


def _cut(app: fl.Foldline, loop: fl.Loop, model: fl.Model) -> tuple[int, ...]:
    """How far the last snapshots reach; beyond it a stopped learner may have left ticks, which nobody has read."""
    states = ModelStates(app.log, loop.definition, model, PHRASE.encode)
    states.parts()
    for partition, offset in enumerate(states.cut):
        for row in rows_from(app.log, f"{loop.name}.events", partition, offset):
            assert msgspec.json.decode(row.payload)["type"] == "tick"
    return states.cut


def _expected(
    app: fl.Foldline, loop: fl.Loop, model: fl.Model, cut: Sequence[int]
) -> tuple[list[dict[str, Any]], list[KnownModel]]:
    """Outputs and states of a fold from offset 0 to a cut, a row at a time."""
    told: list[dict[str, Any]] = []
    parts = []
    for partition in range(PARTITIONS):
        fold = ModelFold(model, PHRASE.encode)
        state = fold.empty()
        for row in rows_from(app.log, f"{loop.name}.events", partition, 0, cut[partition]):
            made = fold.apply(state, decode([row.payload], counts=[row.count])).outputs
            told += [] if made is None else map(msgspec.json.decode, made.split())
        parts.append(fold.load_known(dump_known(state.known, fold.model)))
    return told, parts


@pytest.mark.timeout(300)
def test_killed_consumers_lose_nothing_and_learn_nothing_twice(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two consumers, two kills, labels at once, late and never; the outputs, read once each, are the fold's."""
    monkeypatch.setenv("FOLDLINE_SECRET", PHRASE)
    rng = random.Random(5)
    records = messy((KILLS + 1) * CHUNK, 9)
    units = {record.id: record.unit for record in records if isinstance(record, Example)}
    with fl.open(url, learn=False, clock=lambda: now) as app:
        now = records[0].time
        cards = app.loop("cards", models=MODELS, partitions=PARTITIONS)
        readers: dict[str, Any] = dict.fromkeys(model.name for model in MODELS)
        found: dict[str, list[dict[str, Any]]] = {model.name: [] for model in MODELS}
        running = [_consumer(url) for _ in range(2)]
        try:
            for process in running:
                _ready(process)
            size = -(-len(records) // (KILLS + 1))
            for kill in range(KILLS + 1):
                for record in records[kill * size : (kill + 1) * size]:
                    now = record.time
                    _append(cards, record, units)
                if kill == KILLS:
                    break

                def come(least: int = len(found["tree"]) + rng.randrange(30, 300)) -> bool:
                    _read(cards, readers, found)
                    return len(found["tree"]) >= least

                _until(come, "inferences")
                victim = rng.randrange(2)
                running[victim].send_signal(signal.SIGKILL)
                running[victim].wait()
                running[victim] = _consumer(url)
                _ready(running[victim])
            cards.catch_up(90.0)
            for process in running:
                process.send_signal(signal.SIGTERM)
            assert [process.wait(60) for process in running] == [0, 0]
        finally:
            for process in running:
                process.kill()
                process.wait()
        _read(cards, readers, found)
        appended = Counter(record.id for record in records if isinstance(record, Example))
        for model in MODELS:
            cut = _cut(app, cards, model)
            told, parts = _expected(app, cards, model, cut)
            assert sorted(map(_key, found[model.name])) == sorted(map(_key, told))
            reported = report_of(ModelFold(model), dict(enumerate(parts)))
            assert msgspec.to_builtins(cards.models()[model.name]) == msgspec.to_builtins(reported)
            inferred = Counter(_local(each["example"]) for each in told if each["type"] == "inference")
            assert inferred.keys() == set(map(_local, appended))
            # One that was appended again may have been forgotten by then: a learner's tick closes its window.
            assert all(inferred[_local(id)] == 1 for id, count in appended.items() if count == 1)


def _append(cards: fl.Loop, record: Record, units: dict[str, str]) -> None:
    """As an app would; ticks and ids are the loop's own."""
    if isinstance(record, Example):
        cards.example(record.x, unit=record.unit, id=_local(record.id), y=record.y)
    elif isinstance(record, Label):
        cards.label(_local(record.example), record.y, unit=units[record.example])


def _local(id: str) -> str:
    return id.rpartition(".")[2]


def _read(cards: fl.Loop, readers: dict[str, Any], found: dict[str, list[dict[str, Any]]]) -> None:
    """What has come on the topics of inferences, without repeats, less what the engine adds."""
    for name, known in list(readers.items()):
        try:
            reader = readers[name] = known or cards.outputs(name)
        except fl.FoldlineError:
            continue
        for output in reader.read():
            values = msgspec.json.decode(output.line)
            del values["time"], values["source"]
            found[name].append(values)


def _key(values: dict[str, Any]) -> bytes:
    return msgspec.json.encode(values, order="deterministic")
