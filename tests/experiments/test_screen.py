"""Minutes are passed over without a trace: a walk finds what looking at every minute finds."""

from typing import Any

import numpy as np
import pytest

from foldline.experiments.course import Course
from foldline.experiments.definition import Variant
from foldline.experiments.effects import breach, final_effects, live_effect
from foldline.experiments.measure import Goal, Guardrail
from foldline.experiments.tally import Tally
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import MINUTE_MS, Count
from foldline.experiments.walk import Walk
from foldline.records.codec import decode, encode_lines
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample_ratio import sequential_ratio
from tests.experiments.tallies import MINUTE, START, definition, log

RAILS = (
    Guardrail(name="revenue", kind="mean", cap=(-1.0, 2.5), margin=0.0, alpha=0.4),
    Guardrail(name="session", kind="mean", direction="decrease", margin=0.05, alpha=0.3),
    Guardrail(name="revenue", kind="ratio", per="session", margin=0.01, alpha=0.4),
)


ONE_SIDED: tuple[dict[str, Any], ...] = (
    {"name": "click", "baseline": 0.2, "alternative": "greater"},
    {"name": "click", "baseline": 0.2, "alternative": "greater", "margin": 0.3, "method": "unpooled"},
    {"name": "session", "kind": "mean", "sd": 1.0, "direction": "decrease", "alternative": "less"},
    {
        "name": "session",
        "kind": "mean",
        "sd": 1.0,
        "direction": "decrease",
        "alternative": "less",
        "margin": 0.7,
    },
    {
        "name": "revenue",
        "kind": "ratio",
        "per": "session",
        "sd": 1.0,
        "alternative": "greater",
        "margin": 0.5,
    },
)


LEARNING: dict[str, Any] = {
    "rule": "always_valid",
    "variants": (
        Variant(key="control", policy={"kind": "fixed", "action": "a"}),
        Variant(key="b", policy={"kind": "epsilon_greedy"}, weight=2),
        Variant(key="c", policy={"kind": "fixed", "action": "c"}),
    ),
}


def plan(**changes: Any) -> Any:
    """Guardrails that break easily, a long duration."""
    given = {
        "guardrails": RAILS,
        "max_duration_ms": 4_000 * MINUTE,
        "goal": Goal(name="click", baseline=0.2, effect=0.2),
        "alpha": 0.3,
    }
    return definition(**{**given, **changes})


def tally_of(wanted: Any, count: int, seed: int) -> Tally:
    """Of a random log; its last marker ends the experiment."""
    fold = TallyFold(wanted)
    state = fold.empty()
    fold.apply(state, decode(encode_lines(log(count, seed, units=20))))
    return state.known


def every_minute(wanted: Any, tally: Tally) -> tuple[int | None, float, list[tuple[int, str, str, str]]]:
    """Time of the verdict, least p of the shares, breaches: by looking at every minute exactly."""
    fold, keys = TallyFold(wanted), wanted.keys
    stopped = min((p.time for p in tally.phases if p.state == "ended"), default=None)
    least, broken, verdict = 1.0, dict[tuple[int, str], tuple[int, str, str, str]](), None
    for minute in range(START // MINUTE_MS, tally.final_minute):
        totals, time = tally.upto(minute + 1), (minute + 1) * MINUTE_MS
        found = sequential_ratio(totals.counts[:, Count.ENROLLED].tolist(), wanted.weights)
        least = least if isinstance(found, NotEstimable) else min(least, found.p_value)
        for which, rail in enumerate(wanted.guardrails):
            for k in range(1, len(keys)):
                effect = live_effect(wanted, fold.kept, totals, 1 + which, k, rail.alpha)
                if breach(rail, effect):
                    broken.setdefault((which, keys[k]), (time, effect.metric, effect.kind, keys[k]))
        if verdict is not None:
            continue
        ended = any(end is not None and end < time for end in (stopped, wanted.deadline))
        alpha = wanted.alpha / (len(keys) - 1)
        live = [live_effect(wanted, fold.kept, totals, 0, k, alpha) for k in range(1, len(keys))]
        sure = any(e.low is not None and e.high is not None and (e.low > 0 or e.high < 0) for e in live)
        if wanted.goal.alternative != "two_sided":
            sure = any(e.p_value is not None and e.p_value <= alpha for e in live)
        reached = bool((totals.counts[:, Count.MATURED] >= np.array(wanted.sample_sizes)).all())
        if least <= wanted.srm_alpha or ended or (sure if wanted.rule == "always_valid" else reached):
            verdict = time
            assert not reached or wanted.rule != "fixed" or final_effects(wanted, fold.kept, totals)
    return verdict, least, sorted(broken.values())


@pytest.mark.parametrize(
    ("changes", "seed"),
    [
        ({}, 1),
        ({"sample_sizes": (10, 10, 10)}, 2),
        ({"rule": "always_valid"}, 3),
        ({"rule": "always_valid", "goal": Goal(name="revenue", kind="mean", sd=1.0, effect=0.1)}, 4),
        (
            {
                "rule": "always_valid",
                "goal": Goal(name="session", kind="ratio", per="revenue", sd=1.0, effect=0.1),
            },
            5,
        ),
        ({"max_duration_ms": 20 * MINUTE}, 6),
        *(
            ({"rule": "always_valid", "goal": Goal(**goal, effect=0.1)}, 8 + seed)
            for seed, goal in enumerate(ONE_SIDED)
        ),
        ({"srm_alpha": 0.4, "unit_bits": 0}, 7),
        ({**LEARNING, "guardrails": RAILS[:2]}, 14),
        (
            {
                **LEARNING,
                "goal": Goal(name="revenue", kind="mean", sd=1.0, effect=0.1, baseline=0.5),
                "guardrails": (),
            },
            15,
        ),
    ],
)
def test_what_is_passed_over_changes_nothing(changes: dict[str, Any], seed: int) -> None:
    """Time of the verdict, breaches and p-value of random logs, the walk run at once and in steps."""
    wanted = plan(**changes)
    tally = tally_of(wanted, 900, seed)
    expected = every_minute(wanted, tally)
    whole = Walk(wanted, [tally])
    whole.run()
    course = Course(7)
    stepped = course.look(wanted, [tally])
    for walk in (whole, stepped):
        time = None if walk.verdict is None else walk.verdict.time
        found = [(b.time, b.effect.metric, b.effect.kind, b.effect.challenger) for b in walk.breaches]
        assert (time, walk.sample_ratio_p, sorted(found)) == expected
    assert whole.totals.products == tally.upto(whole.final).products == stepped.totals.products
    assert stepped.verdict == whole.verdict


def test_the_points_do_not_depend_on_who_looked_when() -> None:
    """A course looked at after every few records has the points of one that looked once."""
    wanted = plan(sample_sizes=(10, 10, 10))
    records, fold = log(600, 9, units=20), TallyFold(wanted)
    state, often = fold.empty(), Course(16)
    for start in range(0, len(records), 40):
        fold.apply(state, decode(encode_lines(records[start : start + 40])))
        often.look(wanted, [state.known])
    once = Course(16)
    once.look(wanted, [state.known])
    assert 8 <= len(once.points) <= 17
    assert often.points == once.points
