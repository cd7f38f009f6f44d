"""The slow statement of what `decode` gives, one line at a time and without kernels; and record strategies."""

import math
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from foldline.records.codec import encode
from foldline.records.columns import ARRAYS, Columns, Dead, Kind
from foldline.records.hashing import hash128
from foldline.records.judge import judge
from foldline.records.types import (
    Activation,
    Decision,
    Definition,
    Example,
    Label,
    Observation,
    Outcome,
    Phase,
    Record,
    Reward,
    Tick,
    Value,
)


def slow_decode(data: bytes) -> Columns:
    """Columns of a payload, line by line."""
    found = [judge(line) for line in data.split(b"\n")]
    return columns_of(found)


def columns_of(found: list[Any]) -> Columns:
    """Columns of records, or of (code, message) where a row is dead."""
    n = len(found)
    columns = Columns(
        kind=np.zeros(n, np.int8),
        time=np.zeros(n, np.int64),
        id=np.zeros((n, 2), np.uint64),
        unit=np.zeros((n, 2), np.uint64),
        reward_id=np.zeros((n, 2), np.uint64),
        action=np.full(n, -1, np.int32),
        name=np.full(n, -1, np.int32),
        value=np.full(n, np.nan),
        propensity=np.full(n, np.nan),
        experiment=np.zeros((n, 2), np.uint64),
        variant=np.zeros((n, 2), np.uint64),
        probability=np.full(n, np.nan),
    )
    for row, record in enumerate(found):
        if isinstance(record, tuple):
            columns.dead.append(Dead(row, *record))
        else:
            _put(record, row, columns)
    return columns


def _put(record: Record, row: int, columns: Columns) -> None:
    columns.kind[row] = Kind[type(record).__name__.upper()]
    columns.time[row] = record.time
    if isinstance(record, Decision | Outcome):
        columns.action[row] = _index(record.action, columns.actions)
        columns.propensity[row] = record.propensity
    if isinstance(record, Decision | Outcome | Observation | Example):
        columns.id[row], columns.unit[row] = hash128(record.id), hash128(record.unit)
    if isinstance(record, Reward | Observation):
        columns.name[row] = _index(record.name, columns.names)
        columns.value[row] = record.value
    if isinstance(record, Outcome):
        columns.value[row] = record.reward
    if isinstance(record, Reward):
        columns.reward_id[row] = hash128(record.id)
        columns.id[row] = hash128(record.decision or "")
        columns.unit[row] = hash128(record.unit or "")
    if isinstance(record, Decision):
        columns.experiment[row] = hash128(record.experiment or "")
        columns.variant[row] = hash128(record.variant or "")
        columns.probability[row] = math.nan if record.probability is None else record.probability
    if isinstance(record, Activation):
        columns.id[row] = hash128(record.decision)
    if isinstance(record, Definition):
        columns.markers[row] = record
    if isinstance(record, Phase):
        columns.phases[row] = record
    if isinstance(record, Example):
        columns.examples.objects[row] = record
    if isinstance(record, Label):
        columns.id[row] = hash128(record.example)
        columns.labels.objects[row] = record


def _index(text: str, known: list[str]) -> int:
    if text not in known:
        known.append(text)
    return known.index(text)


def assert_equal(left: Columns, right: Columns) -> None:
    """Both hold the same bytes, dictionaries, markers and dead rows."""
    for name in ARRAYS:
        mine, other = getattr(left, name), getattr(right, name)
        assert (mine.dtype, mine.shape, mine.tobytes()) == (other.dtype, other.shape, other.tobytes()), name
    assert left.actions == right.actions
    assert left.names == right.names
    assert left.markers == right.markers
    assert left.phases == right.phases
    assert _examples(left) == _examples(right)
    assert _labels(left) == _labels(right)
    assert left.dead == right.dead


def _labels(columns: Columns) -> list[tuple[int, Value, type[Value]]]:
    """With their types, which tell True from 1."""
    return sorted((row, y, type(y)) for row, y in columns.labels.by_row().items())


def _examples(columns: Columns) -> list[tuple[int, bytes]]:
    """As lines, which tell True from 1 and one order of features from another."""
    found = columns.examples.by_row(columns.time).items()
    return [(row, encode(msgspec.structs.replace(each, occurred=None))) for row, each in found]


_plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)
_any = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
_few = st.sampled_from(
    ["a", "b", "reward", "click", "sixteen-letters", "https://example.org/a/1", "é", 'q"', "x" * 250]
)
ids = st.one_of(_plain, _any, st.sampled_from(["x" * 512, "日" * 512, "a\nb", "0.3.order.17"]))
names = st.one_of(_few, _plain.filter(lambda text: len(text) < 30))
times = st.one_of(st.integers(0, 1 << 53), st.integers(1_700_000_000_000, 1_800_000_000_000))
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [0.0, -0.0, 1.0, 0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e22, 1e23]
    ),
    st.integers(0, 1 << 53).map(lambda n: n / (1 << 20)),
)
probabilities = st.one_of(st.integers(0, 1 << 53).map(lambda n: n / (1 << 53)), st.floats(0, 1))
_occurred = st.one_of(st.none(), times)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 40), 1 << 40), numbers, _any),
    lambda parts: st.one_of(st.lists(parts, max_size=3), st.dictionaries(_any, parts, max_size=3)),
    max_leaves=5,
)
_extras = {
    "available": st.one_of(st.none(), st.none(), st.lists(names, max_size=3)),
    "context": st.one_of(st.none(), st.none(), st.dictionaries(_any, _json, max_size=3)),
    "occurred": _occurred,
    "bundle": st.one_of(st.just(""), _plain, _any),
    "definition": st.integers(-5, 1 << 62),
}
_chosen = {"time": times, "id": ids, "unit": ids, "action": names, "propensity": probabilities, **_extras}
_assigned = {
    "account": st.one_of(st.none(), ids),
    "reason": st.one_of(st.none(), names),
    "experiment": st.one_of(st.none(), names),
    "variant": st.one_of(st.none(), names),
    "probability": st.one_of(st.none(), probabilities),
}
decisions = st.one_of(st.builds(Decision, **_chosen), st.builds(Decision, **_chosen, **_assigned))
outcomes = st.builds(Outcome, reward=numbers, **_chosen)
rewards = st.one_of(
    st.builds(Reward, time=times, id=ids, decision=ids, name=names, value=numbers, occurred=_occurred),
    st.builds(Reward, time=times, id=ids, unit=ids, name=st.just("reward"), value=numbers),
)
observations = st.builds(
    Observation, time=times, id=ids, unit=ids, name=names, value=numbers, occurred=_occurred
)
activations = st.builds(Activation, time=times, decision=ids)
ticks = st.builds(Tick, time=times)
definitions = st.builds(
    Definition,
    time=times,
    loop=names,
    version=st.integers(1, 1 << 40),
    actions=st.lists(names, max_size=4),
    low=numbers,
    high=numbers,
)
phases = st.builds(
    Phase,
    time=times,
    experiment=names,
    version=st.integers(1, 99),
    state=st.sampled_from(["draft", "running", "ended"]),
)
_values = st.one_of(st.booleans(), st.integers(-(1 << 40), 1 << 40), numbers, _any)
examples = st.builds(
    Example,
    time=times,
    id=ids,
    unit=ids,
    x=st.dictionaries(_any, st.one_of(st.none(), _values), max_size=4),
    y=st.one_of(st.none(), _values),
    occurred=_occurred,
)
_ordered = st.lists(
    st.sampled_from(["amount", "a", "a feature of 24 letters", "b", ""]), max_size=4, unique=True
).map(lambda chosen: sorted(chosen, key=len))
_stated = st.one_of(st.booleans(), st.integers(-(1 << 54), 1 << 54), numbers)
plain_examples = st.builds(
    Example,
    time=times,
    id=ids,
    unit=ids,
    x=_ordered.flatmap(lambda chosen: st.fixed_dictionaries(dict.fromkeys(chosen, _stated))),
    y=st.one_of(st.none(), _stated),
    occurred=_occurred,
)
labels = st.builds(Label, time=times, example=ids, y=_values, occurred=_occurred)
records = st.one_of(
    decisions, rewards, outcomes, observations, activations, ticks, definitions, phases, examples, plain_examples,
    labels,
)  # fmt: skip


def canonical(count: int, seed: int = 0) -> list[Record]:
    """Decisions, rewards, outcomes and the rest as a loop writes them: all known to the scanner."""
    rng = np.random.default_rng(seed)
    made: list[Record] = []
    for i in range(count):
        id, unit = f"0.{i % 8}.{rng.integers(1 << 62):016x}", f"user-{rng.integers(10**6)}"
        time, p = 1_700_000_000_000 + i, int(0.9 / (1 + i % 20) * (1 << 53)) / (1 << 53)
        value = [0.0, 1.0, 0.1, 1 / 3, math.pi * 1e-7, -2.5][i % 6]
        chosen: dict[str, Any] = {
            "time": time, "id": id, "unit": unit, "action": f"article-{i % 20}", "propensity": p,
            "bundle": "9f" * 16, "definition": 1,
        }  # fmt: skip
        stamped: dict[str, Any] = {"time": time, "id": id}
        kinds: list[Record] = [
            Decision(**chosen, reason=[None, "NOT_ENROLLED"][i // 8 % 2]),
            Reward(time=time, id=id[4:], decision=id, name="click", value=value),
            Outcome(reward=value, **chosen),
            Reward(time=time, id=id[4:], unit=unit, value=value, occurred=time - 5),
            Observation(unit=unit, name="revenue", value=value, **stamped),
            Activation(time=time, decision=id),
            Tick(time=time),
            Decision(
                **chosen,
                account="u7" if i % 3 else None,
                reason="SPLIT",
                experiment="ctr",
                variant=f"v{i % 3}",
                probability=p,
                occurred=time,
            ),
        ]
        made.append(kinds[i % 8])
    return made
