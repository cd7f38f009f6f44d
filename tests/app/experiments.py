"""An experiment on a loop of a program: its visitors, and the hours that pass."""

from collections.abc import Callable

import foldline as fl
from foldline.engine.learner import Pace
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Tick

FAST = Pace(root_every_ms=0, publish_every_ms=0, timeline_every_ms=0)
START = 1_700_000_000_000
GOAL = fl.Proportion("click", baseline=0.07, effect=0.04)


def started_on(loop: fl.Loop, **settings: object) -> fl.Experiment:
    """An experiment of two fixed policies on a loop, started unless the settings say otherwise."""
    given = {
        "control": fl.Fixed("a"),
        "challenger": fl.Fixed("b"),
        "goal": GOAL,
        "max_days": 28,
        "window_s": 60,
        "salt": "s",
    }
    return loop.experiment(**{"name": "b-or-a", **given, **settings})  # type: ignore[arg-type]  # by name


def visit(loop: fl.Loop, units: int) -> list[fl.Decision]:
    """Every 14th reader of a clicks, every 8th of b."""
    made, seen = [], {"a": 0, "b": 0}
    with loop.batch():
        for i in range(units):
            choice = loop.decide(f"u{i}")
            made.append(choice)
            seen[choice.action] += 1
            if seen[choice.action] % {"a": 14, "b": 8}[choice.action] == 0:
                loop.reward(choice, 1, name="click")
    return made


def pass_hours(app: fl.Foldline, partitions: int = 1, minutes: int = 0) -> tuple[int, ...]:
    """Hours, and some minutes, on every partition; where the log ends then."""
    time = START + 10_000_000 + minutes * 60_000
    tick = encode(Tick(time=time))
    app.log.append([Batch("news.events", p, tick, 1, time, time) for p in range(partitions)])
    return tuple(app.log.offsets("news.events", p)[1] for p in range(partitions))


def rounds(app: fl.Foldline, holds: Callable[[], bool], most: int = 400) -> bool:
    """Turns of this process, as its thread takes them, until something holds."""
    for _ in range(most):
        if holds():
            return True
        app._host.round()
    return False
