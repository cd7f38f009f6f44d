"""The verdict: taken by the log alone, at the first minute in which its rule is met."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from foldline.experiments.course import course
from foldline.experiments.definition import ExperimentDefinition, Variant
from foldline.experiments.measure import Goal, Guardrail
from foldline.experiments.results import Results, results
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.walk import Walk
from foldline.records.codec import decode, encode_lines
from foldline.records.types import Decision, Phase, Record, Reward, Tick
from foldline.stats.trials import Trials
from foldline.stats.two_proportions import compare_proportions
from tests.experiments.tallies import MINUTE, START

SIZE = 1124


def _definition(**changes: Any) -> ExperimentDefinition:
    fields: dict[str, Any] = {
        "name": "ctr",
        "version": 2,
        "time": START,
        "loop": "news",
        "variants": tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in ("a", "b")),
        "goal": Goal(name="click", baseline=0.07, effect=0.04),
        "sample_sizes": (SIZE, SIZE),
        "max_duration_ms": 28 * 1440 * MINUTE,
        "window_ms": 10 * MINUTE,
        "salt": "s",
        "state": "running",
        "started": START,
    }
    return ExperimentDefinition(**{**fields, **changes})


def _phase(state: str, time: int, version: int = 2) -> Phase:
    return Phase(time=time, experiment="ctr", version=version, state=state)  # type: ignore[arg-type]  # one of the four


def _visits(rates: dict[str, float], each: int, *, start: int = START, name: str = "click") -> list[Record]:
    """Units of each variant in turn, two a second, of whom exactly the rate's share click."""
    made: list[Record] = [_phase("running", start)]
    for i in range(each):
        for k, (variant, rate) in enumerate(rates.items()):
            time, id = start + (2 * i + k) * 500, f"0.0.{variant}{i}"
            made.append(
                Decision(
                    time=time, id=id, unit=f"{variant}{i}", action=variant, propensity=1.0, bundle="b", definition=1,
                    experiment="ctr", variant=variant, probability=0.5,
                )
            )  # fmt: skip
            if int((i + 1) * rate) > int(i * rate):
                made.append(Reward(time=time, id=id, decision=id, name=name, value=1.0))
    return made


def _parts(definition: ExperimentDefinition, logs: Sequence[Sequence[Record]]) -> list[Any]:
    fold = TallyFold(definition)
    found = []
    for records in logs:
        state = fold.empty()
        fold.apply(state, decode(encode_lines(records)))
        found.append(state.known)
    return found


def _results(definition: ExperimentDefinition, *logs: Sequence[Record], until: int | None = None) -> Results:
    return results(definition, _parts(definition, logs), (0,) * len(logs), until)


RATES = {"a": 79.5 / SIZE, "b": 124.5 / SIZE}
"""79 and 124 of 1,124 click, as in the reference case of two proportions."""


def _later(records: Sequence[Record], minutes: int = 30) -> list[Record]:
    return [*records, Tick(time=records[-1].time + minutes * MINUTE)]


def test_the_challenger_wins_at_the_planned_sample_by_the_designed_test() -> None:
    """79 against 124 of 1,124: Yates's p-value, taken in the minute the last unit needed matured."""
    found = _results(_definition(), _later(_visits(RATES, SIZE)))
    verdict = found.verdict
    assert verdict is not None
    effect, expected = (
        verdict.effects[0],
        compare_proportions(Trials(79, SIZE), Trials(124, SIZE), test="yates"),
    )
    assert (verdict.result, verdict.winner, verdict.units) == ("challenger_wins", "b", {"a": SIZE, "b": SIZE})
    assert expected
    assert (effect.p_value, effect.method, effect.low) == (expected.p_value, "yates", expected.difference.low)
    assert verdict.time == ((START + (2 * SIZE - 1) * 500 + 10 * MINUTE) // MINUTE + 1) * MINUTE
    assert (found.progress, found.state) == (1.0, "running")


def test_what_comes_after_the_planned_sample_does_not_change_the_verdict() -> None:
    """Twice the units, and the same verdict; the counts go on."""
    short, long = _results(_definition(), _later(_visits(RATES, SIZE))), None
    long = _results(_definition(), _later(_visits(RATES, 2 * SIZE)))
    assert short.verdict is not None
    assert long.verdict is not None
    assert long.verdict.time == short.verdict.time
    assert long.verdict.result == short.verdict.result
    assert long.variants[0].matured == 2 * SIZE


def test_the_verdict_waits_for_every_partition_and_does_not_depend_on_the_split() -> None:
    """While one partition's stream time stands still nothing is decided; two halves give what the whole gives."""
    records = _later(_visits(RATES, SIZE))
    whole = _results(_definition(), records)
    halves: list[list[Record]] = [[], []]
    for record in records:
        unit = record.unit if isinstance(record, Decision) else getattr(record, "decision", "") or ""
        number = int(unit.lstrip("0.ab") or 0)
        for half in halves if isinstance(record, Phase | Tick) else [halves[number % 2]]:
            half.append(record)
    assert _results(_definition(), *halves).verdict == whole.verdict
    assert _results(_definition(), halves[0], halves[1][:5]).verdict is None
    assert _results(_definition(), halves[0], []).time == 0


def test_any_prefix_tells_the_same_story() -> None:
    """Results up to a time equal those of a log that ended then."""
    records = _later(_visits(RATES, SIZE))
    whole = _results(_definition(), records)
    assert whole.verdict is not None
    before = _results(_definition(), records, until=whole.verdict.time - MINUTE)
    assert (before.verdict, before.time) == (None, whole.verdict.time - MINUTE)
    at = _results(_definition(), records, until=whole.verdict.time)
    assert at.verdict == whole.verdict
    points = course(_definition(), _parts(_definition(), [records]), points=20)
    assert 10 < len(points) <= 21
    assert points[-1].effects == whole.effects


def test_where_the_control_is_better_it_wins_and_where_nothing_differs_nobody_does() -> None:
    """By the same rule."""
    worse = _results(_definition(), _later(_visits({"a": RATES["b"], "b": RATES["a"]}, SIZE))).verdict
    same = _results(_definition(), _later(_visits({"a": 0.07, "b": 0.07}, SIZE))).verdict
    assert worse is not None
    assert (worse.result, worse.winner) == ("control_wins", "a")
    assert same is not None
    assert (same.result, same.winner) == ("inconclusive", None)
    falling = _definition(goal=Goal(name="click", baseline=0.11, effect=0.04, direction="decrease"))
    less = _results(falling, _later(_visits({"a": RATES["b"], "b": RATES["a"]}, SIZE))).verdict
    assert less is not None
    assert less.result == "challenger_wins"


def test_an_always_valid_rule_stops_when_its_interval_first_excludes_zero() -> None:
    """Far apart, it stops before the planned sample; a fixed horizon does not."""
    records = _later(_visits({"a": 0.05, "b": 0.3}, 600))
    assert _results(_definition(), records).verdict is None
    found = _results(_definition(rule="always_valid"), records)
    assert found.verdict is not None
    assert found.verdict.result == "challenger_wins"
    assert max(found.verdict.units.values()) < 600
    effect = found.verdict.effects[0]
    assert effect.low is not None
    assert effect.low > 0.0
    earlier = _results(_definition(rule="always_valid"), records, until=found.verdict.time - MINUTE)
    assert earlier.verdict is None
    assert (earlier.effects[0].low or -1.0) <= 0.0


@pytest.mark.parametrize(
    ("by", "reason"), [("hand", "stopped by hand"), ("promotion", "promoted before its verdict")]
)
def test_what_is_ended_before_its_verdict_is_inconclusive(by: str, reason: str) -> None:
    """However large the difference so far; the verdict says what ended it."""
    records = _visits({"a": 0.05, "b": 0.3}, 400)
    stopped = [
        *records,
        Phase(time=records[-1].time + MINUTE, experiment="ctr", version=3, state="ended", by=by),
        Tick(time=records[-1].time + 90 * MINUTE),
    ]
    found = _results(_definition(), stopped)
    assert found.verdict is not None
    assert (found.verdict.result, found.verdict.reason) == ("inconclusive", reason)
    assert found.state == "ended"
    assert found.verdict.version == 2


def test_the_maximum_duration_ends_a_test_without_a_winner() -> None:
    """At the minute of the deadline, even where nothing happens in it."""
    definition = _definition(max_duration_ms=60 * MINUTE)
    found = _results(definition, _later(_visits(RATES, 300), 90))
    assert found.verdict is not None
    assert (found.verdict.result, "maximum duration" in found.verdict.reason) == ("inconclusive", True)
    assert found.verdict.time == ((START + 60 * MINUTE) // MINUTE + 1) * MINUTE


def test_lost_units_make_an_experiment_invalid() -> None:
    """A variant that lost a third of its units is found by the sequential test, before the planned sample."""
    records = [
        r
        for r in _visits(RATES, 2000)
        if not (isinstance(r, Decision) and r.unit[0] == "b" and hash_third(r))
    ]
    found = _results(_definition(sample_sizes=(2000, 2000)), _later(records))
    assert found.verdict is not None
    assert found.verdict.result == "invalid"
    assert "sample ratio mismatch" in found.verdict.reason
    assert found.verdict.units["a"] < 2000


def hash_third(record: Decision) -> bool:
    """Every third unit."""
    return int(record.unit[1:]) % 3 == 0


def test_units_in_two_variants_make_an_experiment_invalid() -> None:
    """More than one in a hundred."""
    records = _visits(RATES, SIZE + 60)
    again = [
        Decision(
            time=records[-1].time, id=f"0.0.x{i}", unit=f"a{i}", action="b", propensity=1.0, bundle="b", definition=1,
            experiment="ctr", variant="b", probability=0.5,
        )
        for i in range(50)
    ]  # fmt: skip
    found = _results(_definition(), _later([*records, *again]))
    assert found.variants[0].mixed == 50
    assert found.verdict is not None
    assert (found.verdict.result, "two variants" in found.verdict.reason) == ("invalid", True)


def test_a_guardrail_that_does_not_hold_is_found_once_and_decides_nothing() -> None:
    """Errors rise from 0 to 30 %: a breach, in the minute it became sure; the test goes on."""
    rails = (Guardrail(name="error", direction="decrease", margin=0.02, alpha=0.01),)
    errors = [r for r in _visits({"a": 0.01, "b": 0.3}, 400, name="error") if not isinstance(r, Phase)]
    found = _results(_definition(guardrails=rails), _later([_phase("running", START), *errors]))
    assert [(b.effect.challenger, b.margin) for b in found.breaches] == [("b", 0.02)]
    assert found.breaches[0].effect.low is not None
    assert found.breaches[0].effect.low > 0.02
    assert found.verdict is None
    held = _results(_definition(guardrails=rails), _later([_phase("running", START), *errors[:60]]))
    assert not held.breaches


def test_several_challengers_are_adjusted_for() -> None:
    """Of three, the better one wins; p-values are Holm's."""
    variants = tuple(Variant(key=k, policy={"kind": "random"}) for k in ("a", "b", "c"))
    definition = _definition(variants=variants, sample_sizes=(1000, 1000, 1000))
    found = _results(definition, _later(_visits({"a": 0.05, "b": 0.09, "c": 0.12}, 1000)))
    assert found.verdict is not None
    assert (found.verdict.result, found.verdict.winner) == ("challenger_wins", "c")
    plain = compare_proportions(Trials(50, 1000), Trials(120, 1000))
    assert plain
    assert found.verdict.effects[1].p_value == pytest.approx(2 * plain.p_value)


def _three(rule: str, rates: tuple[float, float, float], each: int = 1000) -> Results:
    variants = tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in "abc")
    definition = _definition(variants=variants, sample_sizes=(each, each, each), rule=rule)
    return _results(definition, _later(_visits(dict(zip("abc", rates, strict=True)), each)))


@pytest.mark.parametrize("rule", ["fixed", "always_valid"])
def test_one_challenger_that_is_worse_settles_nothing_for_another(rule: str) -> None:
    """The other goes on and may win; both worse is a win of the control; one worse is said, not passed over."""
    verdict = _three(rule, (0.10, 0.03, 0.20)).verdict
    assert verdict is not None
    assert (verdict.result, verdict.winner) == ("challenger_wins", "c")
    verdict = _three(rule, (0.20, 0.05, 0.05)).verdict
    assert verdict is not None
    assert (verdict.result, verdict.winner) == ("control_wins", "a")
    verdict = _three(rule, (0.10, 0.03, 0.11)).verdict
    if rule == "always_valid":
        assert verdict is None
        return
    assert verdict is not None
    assert verdict.result == "inconclusive"
    assert verdict.reason.startswith("no challenger is better; worse: click: 0.03 with 'b'")


def test_revenue_is_analysed_by_welch_and_less_noise_by_a_covariate() -> None:
    """A mean's limits narrow where a covariate from before explains most of it."""
    rng = np.random.default_rng(4)
    made: list[Record] = [_phase("running", START)]
    for i in range(400):
        variant, before = "ab"[i % 2], float(rng.normal(50, 10))
        time, unit = START + i * 500, f"u{i}"
        value = before + (1.0 if variant == "b" else 0.0) + float(rng.normal(0, 1))
        made += [
            Reward(time=time, id=f"p{i}", unit=unit, name="before", value=before),
            Decision(
                time=time, id=f"0.0.{i}", unit=unit, action="a", propensity=1.0, bundle="b", definition=1,
                experiment="ctr", variant=variant, probability=0.5,
            ),
            Reward(time=time, id=f"r{i}", unit=unit, name="revenue", value=value),
        ]  # fmt: skip
    goal: dict[str, Any] = {"name": "revenue", "kind": "mean", "sd": 10.0, "effect": 1.0}
    plain = _results(_definition(goal=Goal(**goal), sample_sizes=(200, 200)), _later(made)).verdict
    adjusted = _results(
        _definition(goal=Goal(**goal, covariate="before"), sample_sizes=(200, 200)), _later(made)
    ).verdict
    assert plain is not None
    assert adjusted is not None
    assert [(one.effects[0].method, one.effects[0].estimator, one.result) for one in (plain, adjusted)] == [
        ("welch", "plain", "inconclusive"),
        ("cuped", "cuped", "challenger_wins"),
    ]
    assert adjusted.reason.endswith("by cuped")
    assert adjusted.effects[0].difference == pytest.approx(1.0, abs=0.4)


def _with_values(*of_unit: Sequence[tuple[str, float]]) -> list[Record]:
    """Units in two variants in turn, each with its rewards by name; `before` is observed before the decision."""
    made: list[Record] = [_phase("running", START)]
    for i, values in enumerate(of_unit):
        variant, time, unit = "ab"[i % 2], START + i * 500, f"u{i}"
        rewards = [
            Reward(time=time, id=f"r{i}.{j}", unit=unit, name=name, value=value)
            for j, (name, value) in enumerate(values)
        ]
        decision = Decision(
            time=time, id=f"0.0.{i}", unit=unit, action="a", propensity=1.0, bundle="b", definition=1,
            experiment="ctr", variant=variant, probability=0.5,
        )  # fmt: skip
        before = [one for one in rewards if one.name == "before"]
        made += [*before, decision, *(one for one in rewards if one.name != "before")]
    return made


def test_a_ratio_is_decided_by_the_delta_method() -> None:
    """The reference case of ratios, two variants of eight: Welch's test of what the delta method gives."""
    control = zip([1, 0, 3, 2, 0, 4, 1, 2], [5, 3, 9, 6, 4, 10, 5, 8], strict=True)
    treated = zip([2, 1, 4, 2, 1, 5, 3, 3], [6, 4, 9, 5, 5, 11, 7, 8], strict=True)
    units = [
        [("bought", float(x)), ("session", float(y))]
        for pair in zip(control, treated, strict=True)
        for x, y in pair
    ]
    goal = Goal(name="bought", kind="ratio", per="session", sd=0.2, effect=0.1)
    found = _results(_definition(goal=goal, sample_sizes=(8, 8)), _later(_with_values(*units)))
    assert found.verdict is not None
    [effect] = found.verdict.effects
    assert (effect.method, effect.estimator, found.effects[0].method) == ("delta", "delta", "normal_mixture")
    assert found.effects[0].estimator == "delta"
    assert (effect.difference, effect.low, effect.high, effect.p_value) == pytest.approx(
        (0.121818181818, 0.004533344816, 0.239103018820, 0.042976128307)
    )
    assert (found.verdict.result, "by delta" in found.verdict.reason) == ("challenger_wins", True)


def test_a_covariate_that_says_nothing_is_told() -> None:
    """The same for all: analysed by Welch's test, with the reason, in verdict and live."""
    rng = np.random.default_rng(3)
    units = [[("before", 1.0), ("revenue", float(rng.normal(i % 2, 1.0)))] for i in range(200)]
    goal = Goal(name="revenue", kind="mean", sd=1.0, effect=0.5, covariate="before")
    found = _results(_definition(goal=goal, sample_sizes=(100, 100)), _later(_with_values(*units)))
    assert found.verdict is not None
    note = "not adjusted for 'before': the covariate is the same for all units: it explains nothing"
    for effect in (found.verdict.effects[0], found.effects[0]):
        assert (effect.estimator, effect.note) == ("plain", note)
    assert found.verdict.effects[0].method == "welch"
    assert found.verdict.reason.endswith(f"by welch ({note})")


def test_a_verdict_before_any_record_is_none() -> None:
    """Nothing is known of an experiment that has not started."""
    walk = Walk(_definition(), [TallyFold(_definition()).nothing()])
    assert (walk.run(), walk.minute) == (None, 0)
