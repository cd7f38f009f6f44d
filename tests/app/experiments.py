"""An experiment on a loop of a program."""

import foldline as fl
from foldline.engine.learner import Pace

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
