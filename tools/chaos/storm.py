"""One storm from beginning to end: a cluster, learners, senders and a nemesis; then the checks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldline.engine.defining import create_catalogue, define
from foldline.engine.known import KnownStates
from foldline.fold.counters import Counter
from foldline.log.open import open_log
from foldline.log.protocol import Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from tools.chaos.checks import Verdict, check_all
from tools.chaos.learners import Learners
from tools.chaos.nemesis import Nemesis
from tools.chaos.proxy import Detours
from tools.chaos.senders import ACTIONS, Sender
from tools.kafka.cluster import Cluster

AWAIT_S = 120.0
NAMESPACE = "storm"


@dataclass(frozen=True, slots=True)
class Plan:
    """A storm.

    Attributes:
        events: outcomes sent.
        seconds: over which they are sent, where the cluster takes them.
        seed: of everything drawn.
        nodes: brokers; three keep everything three times and need two to acknowledge.
        learners: processes.
        partitions: of the event topic.
        acts: what is done; everything where it is empty.
        pause_s: between two things done, least and most.
        stopped_s: for how long a learner is stopped or cut off: a lease lives 5 s, a member of a group 6 s.
    """

    events: int = 500_000
    seconds: float = 240.0
    seed: int = 1
    nodes: int = 3
    learners: int = 3
    partitions: int = 8
    acts: tuple[str, ...] = ()
    pause_s: tuple[float, float] = (0.5, 3.0)
    stopped_s: tuple[float, float] = (3.0, 12.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a storm came to."""

    plan: Plan
    acknowledged: int
    tries: int
    batches: int
    sent_s: float
    recovered_s: float
    done: dict[str, int]
    verdicts: list[Verdict]

    @property
    def is_clean(self) -> bool:
        """Whether no check found anything."""
        return not any(verdict.found for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "seed": self.plan.seed,
            "acknowledged": self.acknowledged,
            "batches": self.batches,
            "appends_tried": self.tries,
            "sent_s": round(self.sent_s, 1),
            "recovered_s": round(self.recovered_s, 1),
            "done": self.done,
            "checks": {
                v.check: {"looked_at": v.looked_at, "found": list(v.found[:10])} for v in self.verdicts
            },
            "clean": self.is_clean,
        }


def storm(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Outcome:
    """Run one storm on a cluster of its own in a folder."""
    cluster = Cluster(folder / "kafka")
    tell(f"starting {plan.nodes} brokers")
    try:
        cluster.up(plan.nodes)
        return _storm(plan, cluster, folder, tell)
    finally:
        cluster.end()


def _storm(plan: Plan, cluster: Cluster, folder: Path, tell: Callable[[str], None]) -> Outcome:
    loop, url = _definition(plan), f"kafka://{cluster.bootstrap}/{NAMESPACE}"
    with open_log(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), loop.name, lambda _: loop, holder="storm", now=loop.time)
        topic, share = topics_of(loop).events, plan.events // plan.partitions
        senders = [
            Sender(log, topic, p, share, share / plan.seconds, plan.seed) for p in range(plan.partitions)
        ]
        with _learners(plan, cluster, url, folder, tell) as (learners, detours):
            learners.await_ready(AWAIT_S)
            nemesis = Nemesis(cluster, learners, detours, plan.seed, plan.stopped_s, tell)
            began = time.monotonic()
            for sender in senders:
                sender.thread.start()
            nemesis.rage(plan.acts, lambda: any(s.thread.is_alive() for s in senders), plan.pause_s)
            for sender in senders:
                sender.thread.join()
                if sender.failure is not None:
                    raise sender.failure
            sent_s = time.monotonic() - began
            tell("all is sent; waiting for the learners")
            recovered_s = _await_learners(log, loop, len(senders) * share)
        tell("checking")
        return Outcome(
            plan,
            sum(sender.sent.events for sender in senders),
            sum(sender.sent.tries for sender in senders),
            sum(len(sender.sent.places) for sender in senders),
            sent_s,
            recovered_s,
            {**nemesis.done, **({"learner gone by itself": learners.gone} if learners.gone else {})},
            check_all(log, loop, [sender.sent for sender in senders]),
        )


def _definition(plan: Plan) -> LoopDefinition:
    return LoopDefinition(
        name="storm", version=1, time=time.time_ns() // 1_000_000, actions=ACTIONS,
        policy={"kind": "epsilon_greedy"}, partitions=plan.partitions, salt="storm",
    )  # fmt: skip


@contextmanager
def _learners(
    plan: Plan, cluster: Cluster, url: str, folder: Path, tell: Callable[[str], None]
) -> Iterator[tuple[Learners, Detours]]:
    """Number 0 reaches the cluster by a detour that can be cut; the others have lasting names in their group."""
    behind = ",".join(f"127.0.0.1:{near}" for near, _ in cluster.detours)
    urls = [f"kafka://{behind}/{NAMESPACE}"]
    urls += [f"{url}?foldline.instance=learner-{number}" for number in range(1, plan.learners)]
    detours = Detours(cluster.detours)
    learners = Learners(urls, folder, tell)
    try:
        yield learners, detours
    finally:
        detours.heal()
        learners.close()
        detours.close()


def _await_learners(log: Log, loop: LoopDefinition, events: int) -> float:
    """Until the roots count every event, or for long enough; the seconds that took."""
    states, began = KnownStates(log, loop), time.monotonic()
    while time.monotonic() - began < AWAIT_S:
        states.read()
        if int(states.merged().counts[Counter.OUTCOMES]) >= events:
            break
        time.sleep(0.2)
    return time.monotonic() - began
