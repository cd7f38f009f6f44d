"""Examining topics that stand: others may have made them before the log did, or changed them since."""

from collections.abc import Iterable

from foldline.engine import defining, experimenting
from foldline.errors import LogError
from foldline.experiments.catalogue import EXPERIMENTS, ExperimentCatalogue
from foldline.log.protocol import Log, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.topics import CATALOGUE


def examine_topics(log: Log, topics: Iterable[Topic]) -> list[str]:
    """Hold the topics that stand against how they are made: what only costs, in words. Others are passed over.

    Raises:
        LogError: `log.topic_conflict`: a promise would not hold.
    """
    found: list[str] = []
    for topic in topics:
        try:
            found += log.examine(topic)
        except LogError as error:
            if error.code != "log.topic_missing":
                raise
    return found


def topics_of_loops(log: Log) -> list[Topic]:
    """The topics of every loop and experiment on a log, and of their catalogues, as they are made."""
    standing = {topic.name for topic in log.topics()}
    loops, experiments = Catalogue(), ExperimentCatalogue()
    if CATALOGUE in standing:
        defining.read_catalogue(log, loops)
    if EXPERIMENTS in standing:
        experimenting.read_experiments(log, experiments)
    topics = [Topic(CATALOGUE, lasting=True), Topic(EXPERIMENTS, lasting=True)]
    for name in loops.names():
        topics += defining.topics_needed(loops.one(name))
        for one in experiments.in_order(name):
            topics += experimenting.topics_needed(one, loops.one(name))
    return [topic for topic in topics if topic.name in standing]
