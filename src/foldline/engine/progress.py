"""How far folds have come: what the newest root of each covers, whatever fold it is."""

from dataclasses import dataclass
from typing import Final

from foldline.engine.restore import rows_from
from foldline.engine.root import Root, decode_root
from foldline.errors import FoldError
from foldline.log.protocol import Log, Topic

SUFFIX: Final = ".roots"
"""Topics of roots end so."""

_BEGIN: Final = b'{"type":"root"'


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fold has come in one partition.

    Attributes:
        fold: its name.
        topic: that it folds; where the fold is of another namespace than the log, as it is called in the log.
        partition: of it.
        n: the offset its newest root covers.
        end: the partition's end; None where the topic it folded is gone.
        written: when that root was written, milliseconds.
    """

    fold: str
    topic: str
    partition: int
    n: int
    end: int | None
    written: int

    @property
    def lag(self) -> int | None:
        """What is not covered yet, in what the log's offsets count; None where the topic is gone."""
        return None if self.end is None else max(0, self.end - self.n)


def progress_of(log: Log) -> list[Progress]:
    """The progress of every fold that has left a root, by topic, fold and partition. Reads all root topics whole.

    Of two folds that differ in their learning parameters only, the one that wrote last stands.
    """
    topics = {topic.name: topic for topic in log.topics()}
    by_id = {topic.id: name for name, topic in topics.items()}
    newest: dict[tuple[str, str, int], Root] = {}
    for name in sorted(topics):
        if name.endswith(SUFFIX) and topics[name].cleanup == "compact":
            for root in _roots(log, topics[name]):
                identity = root.identity
                folded = by_id.get(identity.topic_id) or _beside(name, identity.topic)
                place = (folded, identity.fold, identity.partition)
                known = newest.get(place)
                if known is None or (root.time, root.n) >= (known.time, known.n):
                    newest[place] = root
    return [_progress(log, topics.get(place[0]), place[0], root) for place, root in sorted(newest.items())]


def _beside(roots: str, topic: str) -> str:
    """A topic that has gone as it would be called in a log that sees other namespaces, by its roots' name there.

    >>> _beside("shop.news.roots", "news.events"), _beside("news.roots", "news.events")
    ('shop.news.events', 'news.events')
    """
    namespace, found, _ = f".{roots}".partition(f".{topic.partition('.')[0]}.")
    return f"{namespace.removeprefix('.')}.{topic}" if found and namespace else topic


def _roots(log: Log, topic: Topic) -> list[Root]:
    found = []
    for partition in range(topic.partitions):
        for row in rows_from(log, topic.name, partition, log.offsets(topic.name, partition)[0]):
            if row.payload.startswith(_BEGIN):
                try:
                    found.append(decode_root(row.payload))
                except FoldError:
                    continue  # a restart warns of it and folds anew; here the older root stands
    return found


def _progress(log: Log, topic: Topic | None, name: str, root: Root) -> Progress:
    identity = root.identity
    same = topic is not None and topic.id == identity.topic_id
    end = log.offsets(name, identity.partition)[1] if same else None
    return Progress(identity.fold, name, identity.partition, root.n, end, root.time)
