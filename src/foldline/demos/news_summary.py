"""What a run of the news demo came to, in numbers."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.demos.news import LOOP, Settings, Visits
from foldline.engine.defining import read_catalogue
from foldline.engine.history import history
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.loops.bundle import Bundle, decode_bundle
from foldline.loops.catalogue import Catalogue
from foldline.loops.estimate import estimates_of
from foldline.loops.topics import topics_of
from foldline.policies.protocol import Policy
from foldline.simulation.worlds import NewsWorld


class PolicyAge(msgspec.Struct, frozen=True):
    """Milliseconds from an outcome being learnable to the first decision made with it; None where none was."""

    p50: float | None
    p99: float | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How a run over HTTP reached the log.

    Attributes:
        way: `central` or `edge`.
        apps_cut_off: apps that were cut off for a while.
        decided_offline: decisions they made meanwhile.
        most_waiting: most events that waited in one app's outbox.
        lost: decisions or rewards that are not on the log.
        counted_twice: decisions learnt more than once.
        refused: events the service found unusable.
    """

    way: str
    apps_cut_off: int
    decided_offline: int
    most_waiting: int
    lost: int
    counted_twice: int
    refused: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or the mean of several.

    Attributes:
        policy: kind and parameters.
        steps: decisions a run.
        seeds: runs.
        mean_reward: average reward a decision.
        standard_error: of `mean_reward` over the seeds; None with one.
        baseline_reward: expected average reward of showing articles at random.
        lift: mean_reward / baseline_reward - 1.
        regret: expected reward lost against always showing the best article, summed over a run.
        best_action_share: share of decisions that showed the best article of their time.
        median_recovery: median steps after a drift until the new best article had most of the last 100
            decisions; None where nothing drifts or most runs never recovered. Only over several seeds.
        never_recovered: share of runs that never did; None where nothing drifts.
        decisions_per_second: on this machine.
        policy_age_ms: see `PolicyAge`; both None for runs in memory, where learning is immediate.
        delivery: of a run over HTTP, None for others.
    """

    policy: dict[str, Any]
    steps: int
    seeds: int
    mean_reward: float
    standard_error: float | None = None
    baseline_reward: float
    lift: float
    regret: float
    best_action_share: float
    median_recovery: float | None = None
    never_recovered: float | None = None
    decisions_per_second: float
    policy_age_ms: PolicyAge
    delivery: Delivery | None = None


def summarise(
    policy: Policy,
    world: NewsWorld,
    visits: Sequence[Visits],
    bundles: Sequence[Bundle],
    delivery: Delivery | None = None,
) -> Summary:
    """The summary of a run through the log.

    Args:
        policy: what decided.
        world: what it decided in.
        visits: what each app did.
        bundles: headers in the order published.
        delivery: of a run over HTTP.
    """
    step, action, reward = (_all(visits, name) for name in ("step", "action", "reward"))
    probabilities = np.array([world.probabilities_at(int(s)) for s in step])
    best = np.array([world.best_at(int(s)) for s in step])
    steps = len(step)
    baseline = float(world.uniform_reward(steps))
    seconds = (_all(visits, "rewarded_ns").max() - _all(visits, "decided_ns").min()) / 1e9
    lost = probabilities.max(axis=1) - probabilities[np.arange(steps), action]
    ages = policy_ages_ms(visits, bundles)
    return Summary(
        policy=msgspec.to_builtins(policy),
        steps=steps,
        seeds=1,
        mean_reward=float(reward.mean()),
        baseline_reward=baseline,
        lift=float(reward.mean()) / baseline - 1,
        regret=float(lost.sum()),
        best_action_share=float((action == best).mean()),
        decisions_per_second=float(steps / seconds),
        policy_age_ms=PolicyAge(_quantile(ages, 0.5), _quantile(ages, 0.99)),
        delivery=delivery,
    )


def policy_ages_ms(visits: Sequence[Visits], bundles: Sequence[Bundle]) -> npt.NDArray[np.float64]:
    """Age of the policy as each outcome saw it: milliseconds from durable to the first decision made with it.

    Outcomes after which nothing more was decided with a bundle that covers them have no age and are left out.
    """
    order = {bundle.hash: i for i, bundle in enumerate(bundles)}
    first_use = np.full(len(bundles) + 1, np.inf)
    for app in visits:
        for name, decided in zip(app.bundle, app.decided_ns, strict=True):
            first_use[order[name]] = min(first_use[order[name]], decided)
    used_from = np.minimum.accumulate(first_use[::-1])[::-1]
    cuts = np.array([bundle.cut for bundle in bundles])
    partition, offset, durable = (_all(visits, n) for n in ("partition", "offset", "rewarded_ns"))
    ages = np.full(len(offset), np.inf)
    for p in range(cuts.shape[1]):
        here = partition == p
        covering = np.searchsorted(cuts[:, p], offset[here], side="right")
        ages[here] = (used_from[covering] - durable[here]) / 1e6
    known: npt.NDArray[np.float64] = ages[np.isfinite(ages)]
    return np.maximum(known, 0.0)


def _all(visits: Sequence[Visits], name: str) -> npt.NDArray[np.int64]:
    return np.concatenate([np.array(getattr(app, name), np.int64) for app in visits])


def _quantile(ages: npt.NDArray[np.float64], share: float) -> float | None:
    return round(float(np.quantile(ages, share)), 1) if len(ages) else None


def read_bundles(
    url: str, settings: Settings, points: int
) -> tuple[list[Bundle], tuple[list[int], list[list[float]]]]:
    """The headers of every bundle published, and the estimates at `points` evenly spaced steps.

    Args:
        url: the log of the run.
        settings: of the run.
        points: how many times to take the estimates; 0 for none.
    """
    with open_log(url) as log:
        catalogue = Catalogue()
        read_catalogue(log, catalogue)
        definition = catalogue.one(LOOP)
        headers = [decode_bundle(row.payload) for row in rows_from(log, topics_of(definition).bundles, 0, 0)]
        steps = [round(settings.steps * (i + 1) / points) for i in range(points)]
        start_ms = definition.time if not headers else headers[0].stream_time
        known = history(log, definition, [start_ms + 1000 * step for step in steps])
        fold = definition.fold()
        means = [
            [np.nan if e.mean is None else e.mean for e in estimates_of(fold, part)]
            if part.vocabulary.version
            else [np.nan] * len(definition.actions)
            for part in known
        ]
        return headers, (steps, means)
