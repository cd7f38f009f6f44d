"""Simulated experiments: units drawn, assigned, folded and decided by the code that does it on a log, without a log.

The records of a run are made as the columns that decoding would give, so that thousands of runs take seconds. All
after that is the product's: the assignment's hash, the tally fold, the walk to the verdict.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.experiments.assignment import assigner
from foldline.experiments.definition import ExperimentDefinition, Variant
from foldline.experiments.goals import Mean, Proportion, Ratio
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import MINUTE_MS
from foldline.experiments.walk import Walk
from foldline.records.columns import Columns, Kind
from foldline.records.hashing import hash128

START_MS = 1_700_000_040_000
_DAY_MS = 86_400_000


def simulated_definition(goal: Proportion | Mean | Ratio, size: int, **changes: Any) -> ExperimentDefinition:
    """A running experiment of two equal variants, whose units mature ten minutes after they came.

    Args:
        goal: what is measured.
        size: planned units of each variant.
        **changes: other fields of the definition.
    """
    fields: dict[str, Any] = {
        "name": "simulated",
        "version": 1,
        "time": START_MS,
        "loop": "simulated",
        "variants": tuple(Variant(key=k, policy={"kind": "fixed", "action": k}) for k in ("a", "b")),
        "goal": goal.goal(),
        "sample_sizes": (size, size),
        "max_duration_ms": 400 * _DAY_MS,
        "window_ms": 10 * MINUTE_MS,
        "salt": "s",
        "state": "running",
        "started": START_MS,
    }
    return ExperimentDefinition(**{**fields, **changes})


def simulated_columns(
    definition: ExperimentDefinition,
    variants: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    rng: np.random.Generator,
    *,
    a_minute: int = 10,
) -> Columns:
    """The records of one run: a decision for each unit, a reward where its value is not 0, and a tick an hour later.

    Args:
        definition: whose goal the rewards are of.
        variants: (n,) index of each unit's variant.
        values: (n,) of each unit.
        rng: draws ids.
        a_minute: units that come in a minute.
    """
    n = len(variants)
    rewarded = np.flatnonzero(values)
    unit = np.concatenate([np.arange(n), rewarded])
    # A reward stands right behind its unit's decision.
    order = np.argsort(unit, kind="stable")
    unit, is_reward = unit[order], (np.arange(n + len(rewarded)) >= n)[order]
    rows = len(unit) + 1
    time = np.empty(rows, np.int64)
    time[:-1] = START_MS + unit * MINUTE_MS // a_minute
    time[-1] = time[-2] + definition.window_ms + definition.maturity_ms + 60 * MINUTE_MS if n else START_MS
    kind = np.full(rows, Kind.TICK, np.int8)
    kind[:-1] = np.where(is_reward, Kind.REWARD, Kind.DECISION)
    ids = rng.integers(1, 2**63, (n, 2)).astype(np.uint64)
    keys = np.array([hash128(key) for key in definition.keys], np.uint64)

    def hashes(chosen: npt.NDArray[np.bool_], found: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        made = np.zeros((rows, 2), np.uint64)
        made[:-1][chosen] = found
        return made

    reward_ids = np.zeros((rows, 2), np.uint64)
    reward_ids[:-1][is_reward] = rng.integers(1, 2**63, (len(rewarded), 2)).astype(np.uint64)
    value, propensity, probability = (np.full(rows, np.nan) for _ in range(3))
    value[:-1][is_reward] = values[rewarded]
    propensity[:-1][~is_reward], probability[:-1][~is_reward] = 1.0, 1.0 / len(definition.keys)
    everyone = np.ones(rows - 1, np.bool_)
    return Columns(
        kind=kind,
        time=time,
        id=hashes(everyone, ids[unit]),
        unit=hashes(~is_reward, ids[:, ::-1][unit[~is_reward]]),
        reward_id=reward_ids,
        action=np.where(kind == Kind.DECISION, 0, -1).astype(np.int32),
        name=np.where(kind == Kind.REWARD, 0, -1).astype(np.int32),
        value=value,
        propensity=propensity,
        experiment=hashes(~is_reward, np.array(hash128(definition.name), np.uint64)),
        variant=hashes(~is_reward, keys[variants[unit[~is_reward]]]),
        probability=probability,
        actions=["a"],
        names=[definition.goal.name],
    )


def assigned(definition: ExperimentDefinition, units: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """(units,) the variant of each of so many new units, by the experiment's hash.

    Args:
        definition: running, and open to everyone.
        units: how many.
        rng: draws what their ids begin with.
    """
    prefix = f"{rng.integers(2**63):x}-"
    assign, index = assigner(definition.plan()), {key: k for k, key in enumerate(definition.keys)}
    return np.array([index[assign(f"{prefix}{i}").variant or ""] for i in range(units)], np.int64)


def simulated_walk(
    definition: ExperimentDefinition,
    variants: npt.NDArray[np.int64],
    rates: Sequence[float],
    rng: np.random.Generator,
    *,
    a_minute: int = 10,
) -> Walk:
    """One run of a proportion, each unit successful with its variant's rate; every minute of stream time is a look.

    Some 3 ms for 2,000 units.

    Args:
        definition: of two or more variants; a proportion.
        variants: (n,) of each unit, in order of its coming.
        rates: of success, by variant.
        rng: draws successes and ids.
        a_minute: units that come in a minute.

    Returns:
        The walk through all its minutes.
    """
    values = (rng.random(len(variants)) < np.array(rates)[variants]).astype(np.float64)
    fold = TallyFold(definition)
    state = fold.empty()
    fold.apply(state, simulated_columns(definition, variants, values, rng, a_minute=a_minute))
    walk = Walk(definition, [state.known])
    walk.run()
    return walk
