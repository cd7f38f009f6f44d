"""Who does the harm: one thing after another, chosen by a seed, each healed before the next begins."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from confluent_kafka import ElectionType, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, PartitionMetadata

from tools.chaos.learners import Learners
from tools.chaos.proxy import Detours
from tools.kafka.cluster import Cluster
from tools.kafka.reassign import reassign

SETTLE_S = 90.0

ACTS = ("learner killed", "learner stopped", "learner cut off", "broker killed", "leader moved")
"""Everything that is done."""


class Nemesis:
    """Does harm to a cluster and those who learn from it.

    Args:
        cluster: that runs.
        learners: that learn.
        detours: by which learner 0 reaches the cluster.
        seed: of what is done when.
        stopped_s: for how long a learner is stopped or cut off, least and most.
        tell: called with what is done.

    Attributes:
        done: how often each thing was done.
    """

    def __init__(
        self,
        cluster: Cluster,
        learners: Learners,
        detours: Detours,
        seed: int,
        stopped_s: tuple[float, float],
        tell: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._learners = learners
        self._detours = detours
        self._rng = random.Random(seed)
        self._stopped_s = stopped_s
        self._tell = tell
        self._addresses = cluster.bootstrap.split(",")
        self._admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        self.done: Counter[str] = Counter()
        does = (self._kill_learner, self._stop_learner, self._cut_off, self._kill_broker, self._move_leader)
        self._acts: dict[str, Callable[[], str]] = dict(zip(ACTS, does, strict=True))

    def rage(self, acts: Sequence[str], while_: Callable[[], bool], pause_s: tuple[float, float]) -> None:
        """Do each thing once in some order, and then again and again for as long as something holds.

        Args:
            acts: what; all that is known where it is empty.
            while_: what must hold.
            pause_s: between two things, least and most.
        """
        wanted = list(acts or self._acts)
        turn = iter(self._rng.sample(wanted, len(wanted)))
        while len(self.done) < len(wanted) or while_():
            name = next(turn, None)
            if name is None:
                turn = iter(self._rng.sample(wanted, len(wanted)))
                continue
            self._tell(f"{name}: {self._acts[name]()}")
            self.done[name] += 1
            time.sleep(self._rng.uniform(*pause_s))

    def await_copies(self) -> None:
        """Until every copy is in sync, or the next broker to be killed would take what it alone has."""
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            try:
                topics = self._admin.list_topics(timeout=5).topics.values()
            except KafkaException:
                continue
            if all(len(p.isrs) == len(p.replicas) for topic in topics for p in topic.partitions.values()):
                return
            time.sleep(0.2)
        raise RuntimeError(f"copies were not in sync again within {SETTLE_S:g} s")

    def _kill_learner(self) -> str:
        number = self._rng.randrange(len(self._learners))
        self._learners.kill(number)
        return f"number {number}"

    def _stop_learner(self) -> str:
        number, seconds = self._rng.randrange(len(self._learners)), self._rng.uniform(*self._stopped_s)
        self._learners.stop(number, seconds)
        return f"number {number} for {seconds:.1f} s"

    def _cut_off(self) -> str:
        seconds = self._rng.uniform(*self._stopped_s)
        self._detours.cut()
        time.sleep(seconds)
        self._detours.heal()
        return f"number 0 for {seconds:.1f} s"

    def _kill_broker(self) -> str:
        self.await_copies()
        node, seconds = self._rng.randrange(len(self._addresses)), self._rng.uniform(1.0, 4.0)
        self._cluster.kill(node)
        time.sleep(seconds)
        self._cluster.start(node)
        return f"number {node}, started {seconds:.1f} s later"

    def _move_leader(self) -> str:
        """Of one partition, of events, roots, leases, transactions or groups: another of its copies leads."""
        topics = self._admin.list_topics(timeout=30).topics
        name = self._rng.choice(sorted(name for name, topic in topics.items() if topic.partitions))
        partition = self._rng.choice(sorted(topics[name].partitions))
        found = topics[name].partitions[partition]
        turned = [*found.replicas[1:], found.replicas[0]]
        if turned[0] == found.leader:
            turned = [*turned[1:], turned[0]]
        reassign(self._rng.choice(self._addresses), name, partition, turned)
        deadline = time.monotonic() + SETTLE_S
        while self._leader(name, partition).leader != turned[0]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}[{partition}] was not led by {turned[0]} within {SETTLE_S:g} s")
            self._elect(name, partition)
            time.sleep(0.2)
        return f"{name}[{partition}] from {found.leader} to {turned[0]}"

    def _leader(self, topic: str, partition: int) -> PartitionMetadata:
        found: PartitionMetadata = (
            self._admin.list_topics(topic, timeout=30).topics[topic].partitions[partition]
        )
        return found

    def _elect(self, topic: str, partition: int) -> None:
        try:
            self._admin.elect_leaders(ElectionType.PREFERRED, [TopicPartition(topic, partition)]).result(15)
        except KafkaException as error:
            self._tell(f"not yet: {error}")
