"""What of a run over HTTP stands on the log: where each reward is, what is missing, what was counted twice."""

from collections.abc import Sequence

from foldline.demos.news import LOOP, Settings
from foldline.demos.news_served import Served, Way, reward_id
from foldline.demos.news_summary import Delivery
from foldline.engine.defining import read_catalogue
from foldline.engine.learnt import Learnt
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.loops.catalogue import Catalogue
from foldline.loops.topics import topics_of
from foldline.records.codec import decode_records
from foldline.records.types import Decision, Outcome, Reward


def read_delivery(url: str, settings: Settings, way: Way, visits: Sequence[Served]) -> Delivery:
    """Compare what the apps did with what stands on the log, and note in `visits` where each reward stands.

    A reward is learnable from the time the service stamped it with.
    """
    decisions, rewards, learnt = _read(url)
    lost = 0
    for app in visits:
        for step, decision in zip(app.step, app.decision, strict=True):
            name = decision if settings.complete else reward_id(settings, step)
            partition, offset, time_ms = rewards.get(name, (0, 0, 0))
            lost += (name not in rewards) + (decision not in decisions)
            app.partition.append(partition)
            app.offset.append(offset)
            app.rewarded_ns.append(time_ms * 1_000_000)
    return Delivery(
        way=way,
        apps_cut_off=sum(app.decided_offline > 0 for app in visits),
        decided_offline=sum(app.decided_offline for app in visits),
        most_waiting=max((app.waiting for app in visits), default=0),
        lost=lost,
        counted_twice=learnt - len(decisions),
        refused=sum(app.refused for app in visits),
    )


def _read(url: str) -> tuple[set[str], dict[str, tuple[int, int, int]], int]:
    """Ids of the decisions; place and time of each reward by its id, or by its decision's; decisions learnt."""
    decisions: set[str] = set()
    rewards: dict[str, tuple[int, int, int]] = {}
    with open_log(url) as log:
        catalogue = Catalogue()
        read_catalogue(log, catalogue)
        definition = catalogue.one(LOOP)
        for partition in range(definition.partitions):
            for row in rows_from(log, topics_of(definition).events, partition, 0):
                for number, record in enumerate(decode_records(row.payload)):
                    offset, _ = row.place(number)
                    if isinstance(record, Decision | Outcome):
                        decisions.add(record.id)
                    if isinstance(record, Reward | Outcome):
                        rewards[record.id] = partition, offset, record.time
        return decisions, rewards, Learnt(log).counts(definition)["learnt"]
