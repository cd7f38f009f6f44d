"""Results by segment: each unit in that of its first exposure, exactly, p adjusted for all that is compared."""

from typing import Any

import pytest

from foldline.engine.examining import folded_states
from foldline.engine.segmenting import SegmentReader
from foldline.errors import DefinitionError, InputError
from foldline.experiments.definition import ExperimentDefinition, checked
from foldline.experiments.goals import Proportion
from foldline.experiments.segments import MISSING, MOST_SEGMENTS, OTHER, Segmented
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import Count
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log, Topic
from foldline.loops.definition import LoopDefinition
from foldline.loops.settings import LoopSettings
from foldline.loops.topics import topics_of
from foldline.records.codec import encode_lines
from foldline.records.types import Decision, Record, Reward, Tick
from foldline.simulation.trials import START_MS, simulated_definition
from foldline.stats.multiplicity import holm

GOAL = Proportion("click", baseline=0.07, effect=0.04)


def _decision(n: int, unit: str, variant: str, context: dict[str, Any] | None, **more: Any) -> Decision:
    fields: dict[str, Any] = {
        "time": START_MS + n, "id": f"0.0.{n}", "unit": unit, "action": "a", "propensity": 1.0, "bundle": "b",
        "definition": 1, "experiment": "simulated", "variant": variant, "probability": 0.5, "context": context,
    }  # fmt: skip
    return Decision(**{**fields, **more})


def _visits(units: int, countries: int) -> list[Record]:
    """Units of both variants by turns, from several countries; in one of them the challenger's click more often."""
    made: list[Record] = []
    for n in range(units):
        variant, country = "ab"[n % 2], n // 2 % countries
        made.append(_decision(n, f"u{n}", variant, {"country": f"c{country:02}"}))
        often = 3 if (variant, country) == ("b", 0) else 10
        if n // (2 * countries) % often == 0:
            made.append(Reward(time=START_MS + n, id=f"r{n}", decision=f"0.0.{n}", name="click", value=1.0))
    return made


def _later() -> Tick:
    return Tick(time=START_MS + 10_000_000)


def _opened(records: list[Record]) -> tuple[Log, LoopDefinition]:
    log = open_log("memory://", clock=lambda: START_MS + 10_000_000)
    loop = LoopSettings(actions=("a",)).settle("simulated", None, now=0, salt="s")
    log.create(Topic(topics_of(loop).events, 1))
    payload = encode_lines(records)
    log.append([Batch(topics_of(loop).events, 0, payload, len(records), START_MS, START_MS + 10_000_000)])
    return log, loop


def _definition(**changes: Any) -> ExperimentDefinition:
    return simulated_definition(GOAL, 1124, segments=("country",), **changes)


def _read(records: list[Record]) -> Segmented:
    log, loop = _opened(records)
    return SegmentReader(log, loop, _definition(), "country").read()


def test_segments_add_up_to_the_tally() -> None:
    """Units and clicks of all segments are the tally's; where the challenger is better is found, p adjusted."""
    records = [*_visits(3_000, 4), _later()]
    found = _read(records)
    log, loop = _opened(records)
    fold = TallyFold(_definition())
    [state] = folded_states(log, loop, fold, (len(records),))
    totals = state.known.upto()
    for k, key in enumerate("ab"):
        assert sum(one.matured[key] for one in found.segments) == totals.of(k, Count.MATURED) == 1_500
        effects = [one.effects[0] for one in found.segments]
        rates = [(e.value, e.units) if k else (e.control, e.control_units) for e in effects]
        clicks = sum(round((rate or 0.0) * units) for rate, units in rates)
        assert clicks == int(totals.sums[k, 0])
    by_name = {one.segment: one.effects[0] for one in found.segments}
    low, p_value = by_name["c00"].low, by_name["c00"].p_value
    assert low is not None
    assert p_value is not None
    assert low > 0
    assert p_value < 0.05
    assert found.comparisons == 4
    assert [by_name[name].p_value for name in ("c01", "c02", "c03")] == [1.0] * 3
    assert p_value == pytest.approx(holm([1.0 / (by_name["c00"].e_value or 0.0), 1.0, 1.0, 1.0])[0])


def test_a_unit_belongs_to_its_first_exposure() -> None:
    """Later contexts, forced units, other experiments do not move it; without the attribute it is missing."""
    found = _read(
        [
            _decision(0, "moved", "x", {"country": "zz"}, experiment="other"),
            _decision(1, "moved", "a", {"country": "zz"}, probability=None),
            _decision(2, "moved", "a", {"country": "de"}),
            _decision(3, "moved", "a", {"country": "fr"}),
            _decision(4, "bare", "b", None),
            _decision(5, "number", "b", {"country": 49}),
            _later(),
        ]
    )
    assert {one.segment: one.enrolled for one in found.segments} == {
        "de": {"a": 1, "b": 0},
        MISSING: {"a": 0, "b": 1},
        "49": {"a": 0, "b": 1},
    }
    assert found.segments[0].effects[0].reason is not None


def test_rare_segments_are_one() -> None:
    """Of thirty values the nineteen largest stand alone."""
    found = _read([*_visits(1_200, 30), _later()])
    names = [one.segment for one in found.segments]
    assert len(names) == MOST_SEGMENTS
    assert names[-1] == OTHER
    assert sum(sum(one.enrolled.values()) for one in found.segments) == 1_200


def test_a_reader_goes_on_as_if_it_read_at_once() -> None:
    """Read to a cut, then to the end; only declared attributes are read."""
    records = [*_visits(400, 3), _later()]
    log, loop = _opened(records)
    reader = SegmentReader(log, loop, _definition(), "country")
    early = reader.read((200,))
    assert early.cut == (200,)
    assert reader.read() == SegmentReader(log, loop, _definition(), "country").read() != early
    with pytest.raises(InputError, match="no segment 'device'; expected one of 'country'"):
        SegmentReader(log, loop, _definition(), "device")
    with pytest.raises(DefinitionError, match="each once"):
        checked(simulated_definition(GOAL, 1124, segments=("a", "a")))
