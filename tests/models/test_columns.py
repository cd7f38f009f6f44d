"""Examples and labels as columns: outputs and states are the same bytes as one by one, whatever comes how late."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.kernels import lose_patience
from foldline.models.fold import ModelFold, ModelState
from foldline.models.held import Held, HeldInferences
from foldline.models.kept import Kept
from foldline.models.known import Count
from foldline.models.stepping import take
from foldline.models.waiting import Waiting, WaitingExamples
from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.records.examples import Examples
from foldline.records.labels import Labels
from foldline.records.types import Example, Label, Record, Tick, Value
from tests.models.test_fold import MODELS, fold_of


@pytest.fixture(scope="module", autouse=True)
def _scanners_ready() -> None:
    lose_patience()


def _stream(count: int, seed: int, *, early: bool = False, words: bool = False) -> list[Record]:
    """Examples whose labels stand in them, come a little or much later, twice, or never; some examples come twice."""
    rng = np.random.default_rng(seed)
    due: list[tuple[int, Record]] = []
    for i in range(count):
        time = 10 * i
        x: dict[str, Value] = {
            "amount": float(rng.random() + i % 2), "items": int(rng.integers(9)), "new": bool(i % 3),
        }  # fmt: skip
        if words:
            x["shop"] = f"shop {rng.integers(40)}"
        y, how = bool(rng.random() < 0.3 + 0.4 * (i % 2)), rng.random()
        id, unit = f"0.0.e{i}", f"card-{i % 9}"
        due.append((time, Example(time=0, id=id, unit=unit, x=dict(x), y=y if how < 0.3 else None)))
        if how < 0.1:
            due.append((time + 5, Example(time=0, id=id, unit=unit, x=dict(x), y=y)))
        elif 0.3 <= how < 0.9:
            later = int(rng.integers(-50 if early else 1, 300)) * 10
            due.append((max(time + later, 0), Label(time=0, example=id, y=y)))
            if how < 0.4:
                due.append((time + 400, Label(time=0, example=id, y=not y)))
    due.sort(key=lambda each: each[0])
    return [type(each)(**{**_fields(each), "time": 1_700_000_000_000 + time}) for time, each in due]


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def _batches(records: list[Record], size: int) -> Iterator[tuple[Columns, Columns]]:
    """Each batch as columns, and with every example and label an object."""
    padding = encode_lines([Tick(time=1) for _ in range(1000)])
    for start in range(0, len(records), size):
        data = encode_lines(records[start : start + size]) + b"\n" + padding
        together, alone = decode(data), decode(data)
        objects = {row: Label(time=1, example="?", y=y) for row, y in sorted(alone.labels.by_row().items())}
        alone.examples, alone.labels = (
            Examples(None, alone.examples.by_row(alone.time)),
            Labels(None, objects),
        )
        yield together, alone


def _check(fold: ModelFold, records: list[Record], size: int) -> ModelState:
    states = [fold.empty(), fold.empty()]
    for nth, batches in enumerate(_batches(records, size)):
        together, alone = (
            fold.apply(state, each).outputs for state, each in zip(states, batches, strict=True)
        )
        assert (together is None) == (alone is None)
        if together is not None and alone is not None:
            assert together.split() == alone.split()
            assert together.rows.tolist() == alone.rows.tolist()
        dumps = [fold.dump(state) for state in states]
        assert dumps[0] == dumps[1]
        if nth % 3 == 1:
            states = [fold.load(dump) for dump in dumps]
    counts = states[0].known.counts
    assert counts[Count.EXAMPLES]
    assert counts[Count.LABELLED]
    return states[0]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_columns_tell_what_each_for_itself_does(name: str, groups: int) -> None:
    """For every model, with labels of every kind, across batches and restarts."""
    fold = fold_of(**{**MODELS[name], "groups": groups})
    state = _check(fold, _stream(500, 3, words=groups > 1), 150)
    assert state.known.counts[Count.DUPLICATES]
    assert state.known.counts[Count.LABELS_AGAIN]
    assert state.known.counts[Count.MISSING] or "label_window_s" not in MODELS[name]


@pytest.mark.parametrize("missing", [None, False])
def test_labels_before_their_examples(missing: bool | None) -> None:
    """A batch with one is looked at one by one; those before and after it are not."""
    fold = fold_of(model="LogisticRegression", label_window_s=1, missing=missing)
    state = _check(fold, _stream(500, 4, early=True), 40)
    assert state.known.counts[Count.UNMATCHED]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 90), st.booleans())
def test_any_stream_in_any_batches(seed: int, size: int, early: bool) -> None:
    """The same bytes, too."""
    fold = fold_of(model="LogisticRegression", label_window_s=1, groups=2)
    _check(fold, _stream(60, seed, early=early, words=seed % 2 == 0), size)


def test_usual_batches_are_taken_as_columns() -> None:
    """Labels in examples, later in the batch, in a later batch, and never."""
    fold = fold_of(model="LogisticRegression", label_window_s=5)
    state = fold.empty()
    for together, _ in _batches(_stream(900, 5, words=True), 300):
        taken = take(state.join, together, 1, None)
        assert taken.source is not None
        assert np.count_nonzero(taken.source >= 0) > 10
        before = np.count_nonzero(taken.source < 0)
    assert before > 10
    assert taken.expired


def test_features_and_ids_that_do_not_fit_wait_as_objects() -> None:
    """Other features than those that wait, texts, long ids: each example keeps what it had."""
    fold = fold_of(model="LogisticRegression", label_window_s=1)
    first, second, third = (
        [Example(time=time, id=f"0.0.{time}.{i}{tail}", unit="u", x=dict(x)) for i in range(30)]
        for time, x, tail in ((0, {"a": 0.5}, ""), (1, {"a": 0.5, "b": 1}, ""), (2, {"a": 0.5}, "x" * 200))
    )  # fmt: skip
    labels = [Label(time=3, example=each.id, y=True) for each in [*third, *first, *second]]
    _check(fold, [*first, *second, *third, *labels], 30)


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=700), max_size=6))
@settings(max_examples=40, deadline=None)
def test_kept_rows_are_found_again(rounds: list[list[tuple[bool, int]]]) -> None:
    """As in a mapping, whatever is put in and taken out; wider columns widen, and room is given back."""
    kept, expected, number = Kept(), dict[int, list[float]](), 0
    for steps in rounds:
        numbers = list(range(number, number + len(steps)))
        width = max([width for _, width in steps], default=1)
        rows = np.arange(len(steps) * width, dtype=np.float64).reshape(len(steps), width)
        kept.put(numbers, {"rows": rows, "number": np.array(numbers, np.int64)})
        expected.update(zip(numbers, rows.tolist(), strict=True))
        number += len(steps)
        taken = [each for each, (leaves, _) in zip(numbers, steps, strict=True) if leaves]
        if taken:
            found = kept.take(taken)
            assert found["number"].tolist() == taken
            for each, row in zip(taken, found["rows"].tolist(), strict=True):
                assert [value for value in row if value == value] == expected.pop(each)
    assert list(kept) == list(expected)
    assert len(kept) == len(expected)
    if expected:
        assert [row[0] for row in kept.look(list(expected))["rows"].tolist()] == [
            row[0] for row in expected.values()
        ]


def test_what_waits_is_restored_as_it_was() -> None:
    """In columns where it fits, as objects where not."""
    fitting = [
        Waiting(n, f"e{n}", "u", n % 2, {"a": 0.5, "b": n, "c": True, "d": f"text {n % 2}"}) for n in range(5)
    ]
    for given_, in_columns in ((fitting, True), ([*fitting, Waiting(9, "é", "u", 0, {"a": 0.5})], False)):
        waiting = WaitingExamples()
        waiting.restore(given_)
        assert waiting.in_columns([0, 4]) is in_columns
        assert list(waiting.in_order()) == given_
        assert waiting.pop(3) == given_[3]
        assert waiting.first() == 0
        assert len(waiting) == len(given_) - 1


def test_what_is_held_is_restored_as_it_was() -> None:
    """Likewise; a class that comes later is none of the earlier ones'."""
    fitting = [
        Held(1, True, 0.5, ((False, 0.5), (True, 0.5))), Held(2, None, None, None),
        Held(3, 2.5, None, ((2, 0.25), (True, 0.75))),
    ]  # fmt: skip
    for given_ in (fitting, [*fitting, Held(4, "fraud", None, (("fraud", 1.0),))]):
        held = HeldInferences()
        held.restore(given_)
        assert list(held.in_order()) == given_
        held.discard([2, 77])
        assert held.pop(3) == given_[2]
        assert len(held) == len(given_) - 2
