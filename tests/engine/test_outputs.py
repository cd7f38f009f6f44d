"""Folds with output records: numbered alike whatever the batches, there once whatever died."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from foldline.engine.host import Host
from foldline.engine.identity import identity_of
from foldline.engine.learner import Learner, Pace
from foldline.engine.output_reader import Output, OutputReader
from foldline.engine.outputs import BATCH_BYTES, Source, source_of
from foldline.engine.restore import rows_from
from foldline.engine.worker import Worker, WorkerTopics
from foldline.errors import DefinitionError, FoldError, LogError
from foldline.fold.outputs import Outputs
from foldline.fold.protocol import Applied
from foldline.log.protocol import Batch, Lease, Log, Topic
from foldline.loops.definition import LoopDefinition
from foldline.loops.folds import FOLD_KINDS, AttachedFold
from foldline.loops.topics import topics_of
from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.testing.check_fold import check_fold
from tests.engine.conftest import Define
from tests.engine.running_fold import Running, RunningFold, expected_outputs, plain
from tests.engine.traffic import START, append, definition, records

NOW = START + 10
TOPIC = "news.running"


def _running(_definition: LoopDefinition) -> RunningFold:
    return RunningFold()


def _learner(log: Log, loop: LoopDefinition, holder: str = "one", **settings: Any) -> Learner:
    pace = Pace(max_records=settings.pop("max_records", 50), root_every_ms=0)
    return Learner(log, loop, holder, pace, fold_of=_running, leads=False, **settings)


def _raw(log: Log) -> int:
    """How many records stand on the topic of outputs, repeats counted."""
    partitions = log.topic(TOPIC).partitions
    return sum(row.count for p in range(partitions) for row in rows_from(log, TOPIC, p, 0))


@pytest.mark.parametrize("outputs_first", [False, True])
@pytest.mark.parametrize("max_records", [1, 7, 1000])
def test_outputs_are_the_same_for_any_batch_size(
    log: Log, defined: Define, max_records: int, outputs_first: bool
) -> None:
    """Micro-batches of 1, 7 and 1000 records give the outputs of folding record by record, with equal numbers."""
    loop = definition(2)
    defined(loop)
    append(log, loop, 1, 120)
    learner = _learner(log, loop, max_records=max_records, outputs_first=outputs_first)
    while learner.step(now=NOW):
        pass
    expected = expected_outputs(log, loop)
    assert len(expected) > 100
    assert plain(OutputReader(log, TOPIC).read()) == expected
    assert _raw(log) == len(expected)


@pytest.mark.parametrize("outputs_first", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_learners_dropped_at_random_leave_each_output_once(
    log: Log, defined: Define, seed: int, outputs_first: bool
) -> None:
    """In the root's commit each stands once on the log itself; ahead of it repeats may stand, which readers drop."""
    loop = definition(1)
    defined(loop)
    append(log, loop, seed, 600, rows=7)
    rng, reader, found = random.Random(seed), OutputReader(log, TOPIC, offsets={0: 0}), list[Output]()
    log.create(Topic(TOPIC))
    now = NOW
    for _ in range(40):
        learner = _learner(log, loop, max_records=rng.choice([1, 7, 30]), outputs_first=outputs_first)
        learner.pace = replace(learner.pace, root_every_ms=rng.choice([0, 2]))
        for _ in range(rng.randrange(1, 6)):
            now += 1
            learner.step(now=now)
        found += reader.read()
        # Dropped without being closed; the next asks as the same holder, so it need not wait for the lease.
    while learner.step(now=now):
        now += 2
    found += reader.read()
    expected = expected_outputs(log, loop)
    assert plain(found) == expected
    assert _raw(log) == len(expected) + reader.repeats
    assert outputs_first or reader.repeats == 0


def test_a_reader_goes_on_from_what_it_kept(log: Log, defined: Define) -> None:
    """Offsets and marks taken from one reader and given to another lose and repeat nothing, also amid repeats."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 200)
    learner = _learner(log, loop)
    while learner.step(now=NOW):
        pass
    rows = list(rows_from(log, TOPIC, 0, 0))
    for row in rows[:3]:
        log.append([Batch(TOPIC, 0, row.payload, row.count, row.least, row.greatest)])
    first = OutputReader(log, TOPIC)
    found = first.read(max_records=1)
    while more := (second := OutputReader(log, TOPIC, offsets=first.offsets, marks=first.marks)).read(1):
        found += more
        first = second
    assert plain(found) == expected_outputs(log, loop)
    assert not OutputReader(log, TOPIC, offsets=second.offsets, marks=second.marks).wait(0.01)


def test_records_of_others_are_kept(log: Log) -> None:
    """A line without a source, or with one written in another form, is read as it stands."""
    log.create(Topic(TOPIC))
    reordered = b'{"source": {"index":0,"offset":3,"partition":0,"topic":"t","key":"k","fold":"f"}, "x": 1}'
    text = b'{"text":",\\"source\\":{}}"}'
    lines = [b'{"type":"other"}', reordered, b"nonsense", text, reordered]
    log.append([Batch(TOPIC, 0, b"\n".join(lines), 5, START, START)])
    reader = OutputReader(log, TOPIC)
    read = reader.read()
    assert [output.line for output in read] == lines[:4]
    assert read[1].source == Source(fold="f", key="k", topic="t", partition=0, offset=3, index=0)
    assert [output.source for output in read[:1] + read[2:]] == [None] * 3
    assert reader.repeats == 1


def test_many_outputs_go_in_several_batches(log: Log, defined: Define) -> None:
    """What one root commits with it may be larger than one batch; its numbers go on."""

    class Loud(RunningFold):
        def apply(self, state: Running, columns: Columns, *, muted: bool = False) -> Applied:
            text = b'{"text":"%b"}' % (b"x" * 1000)
            state.seen += len(columns)
            rows = np.repeat(np.arange(len(columns)), 30)
            return Applied(True, outputs=Outputs(b"\n".join([text] * len(rows)), rows))

    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 200)
    learner = _learner(log, loop, max_records=1000)
    learner.fold_of = lambda _: Loud()
    while learner.step(now=NOW):
        pass
    rows = list(rows_from(log, TOPIC, 0, 0))
    assert len(rows) > 5
    assert max(len(row.payload) for row in rows) < BATCH_BYTES + 2000
    sources = [output.source for output in OutputReader(log, TOPIC).read(100_000)]
    end = log.offsets(topics_of(loop).events, 0)[1]
    assert [(s.offset, s.index) for s in sources if s] == [(o, i) for o in range(end) for i in range(30)]


@pytest.mark.parametrize(
    ("lines", "rows"),
    [(b"{}", [0, 0]), (b"{}\n{}", [0]), (b"{}\n{}", [1, 0]), (b"{}", [10_000]), (b"{}", [-1]), (b"", [0])],
)
def test_outputs_that_cannot_be_numbered_stop_the_fold(
    log: Log, defined: Define, lines: bytes, rows: list[int]
) -> None:
    """A fold whose lines and rows do not fit is stopped with an error that says so; nothing is written."""

    class Wrong(RunningFold):
        def apply(self, state: Running, columns: Columns, *, muted: bool = False) -> Applied:
            return Applied(True, outputs=Outputs(lines, np.array(rows)))

    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 20)
    learner = _learner(log, loop)
    learner.fold_of = lambda _: Wrong()
    learner.step(now=NOW)
    assert learner.failed[0].code == "fold.bad_outputs"
    assert "fold 'running'" in str(learner.failed[0])
    assert _raw(log) == 0


def test_a_fold_that_says_it_has_no_outputs_has_none(log: Log, defined: Define) -> None:
    """Outputs without a topic to go to are refused, never dropped."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 20)
    fold = RunningFold()
    identity = identity_of(fold, log.topic(topics_of(loop).events), 0)
    lease = log.acquire("w", "one", 60.0)
    assert isinstance(lease, Lease)
    worker = Worker(log, fold, identity, WorkerTopics(topics_of(loop).roots, None), lease, now=NOW)
    with pytest.raises(FoldError, match="says it has none"):
        worker.step(now=NOW)


def test_outputs_that_could_not_be_sent_go_with_the_root(log: Log, defined: Define) -> None:
    """Ahead of the root: an append that failed loses nothing, the outputs are sent again."""
    loop = definition(1)
    defined(loop)
    append(log, loop, 4, 100)
    learner = _learner(log, loop, outputs_first=True)
    learner.step(now=NOW)
    sent = learner.workers[0].n
    log.delete(TOPIC)
    with pytest.raises(LogError):
        learner.step(now=NOW)
    log.create(Topic(TOPIC))
    while learner.step(now=NOW):
        pass
    expected = [(source, said) for source, said in expected_outputs(log, loop) if source.offset >= sent]
    assert expected
    assert plain(OutputReader(log, TOPIC).read()) == expected


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The running fold as a kind that definitions may name; call it to give the fold another name."""

    def register(name: str) -> None:
        def attach(values: dict[str, Any], _: Any) -> AttachedFold:
            return AttachedFold(name, lambda _: RunningFold(values["every"]), root_every_ms=0)

        monkeypatch.setitem(FOLD_KINDS, "running", attach)

    register("running")
    return register


def test_a_definition_names_the_folds_that_run(
    log: Log, defined: Define, kind: Callable[[str], None]
) -> None:
    """The host runs what the loop's version names beside policy and timeline; the next version may change it."""
    loop = msgspec.structs.replace(definition(1), folds=({"kind": "running", "every": 3},))
    defined(loop)
    append(log, loop, 4, 100)
    host = Host(log, holder="one", learn=True, clock=lambda: NOW)
    host.add(loop)
    while host.round():
        pass
    assert plain(OutputReader(log, TOPIC).read()) == expected_outputs(log, loop)
    more = msgspec.structs.replace(loop, version=2, folds=({"kind": "running", "every": 2},))
    defined(more)
    while host.round():
        pass
    outputs = OutputReader(log, TOPIC).read()
    assert len({output.source.key for output in outputs if output.source}) == 2
    count = _raw(log)
    without = msgspec.structs.replace(loop, version=3, folds=())
    defined(without)
    append(log, loop, 5, 50)
    while host.round():
        pass
    host.close()
    assert _raw(log) == count


@pytest.mark.parametrize("name", ["timeline", "events", "policy"])
def test_a_folds_name_cannot_be_the_loops_own(
    defined: Define, kind: Callable[[str], None], name: str
) -> None:
    """Names of the loop's own folds and topics are refused when it is defined, and so is a kind that is not known."""
    kind(name)
    with pytest.raises(DefinitionError, match="is taken"):
        defined(msgspec.structs.replace(definition(1), folds=({"kind": "running", "every": 3},)))
    with pytest.raises(DefinitionError, match="has kind 'nothing'"):
        defined(msgspec.structs.replace(definition(1), folds=({"kind": "nothing"},)))


def test_the_running_fold_conforms() -> None:
    """The conformance suite takes a fold with outputs, and reaches some."""
    made = records(7, 300, 0)
    assert "outputs" in check_fold(RunningFold(), decode(encode_lines(made)))


def test_the_suite_finds_outputs_that_depend_on_batches() -> None:
    """A fold that numbers its outputs by the batch fails the suite, and so does one that tells while muted."""

    class ByBatch(RunningFold):
        def apply(self, state: Running, columns: Columns, *, muted: bool = False) -> Applied:
            applied = super().apply(state, columns, muted=muted)
            if applied.outputs is None or not len(applied.outputs):
                return applied
            lines = applied.outputs.text().replace(b'"seen"', b'"of%d"' % len(columns))
            return Applied(True, outputs=Outputs(lines, applied.outputs.rows))

    class Muted(RunningFold):
        def apply(self, state: Running, columns: Columns, *, muted: bool = False) -> Applied:
            return super().apply(msgspec.structs.replace(state) if muted else state, columns)

    class Silent(RunningFold):
        has_outputs = False

    columns = decode(encode_lines(records(7, 300, 0)))
    with pytest.raises(AssertionError, match="outputs"):
        check_fold(ByBatch(), columns)
    with pytest.raises(AssertionError, match="muted"):
        check_fold(Muted(), columns)
    with pytest.raises(AssertionError, match="has_outputs"):
        check_fold(Silent(), columns)


def test_source_of_is_the_last_field() -> None:
    """What a fold says of a source of its own in a text does not mislead who reads."""
    source = b'{"fold":"f","key":"k","topic":"t","partition":0,"offset":1,"index":2}'
    found = source_of(b'{"text":",\\"source\\":{","time":1,"source":%b}' % source)
    assert found is not None
    assert (found.offset, found.index) == (1, 2)
