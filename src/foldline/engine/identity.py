"""Which fold a root is of. Another identity is another key: it never overwrites and is never restored by mistake."""

import hashlib
from typing import Any

import msgspec

from foldline.fold.protocol import Fold
from foldline.log.protocol import Topic


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A fold over one partition.

    Attributes:
        topic_id: unique to this making of the topic.
        topic: its name.
        partition: which of its partitions.
        fold: the fold's name.
        version: the fold's version.
        parameters: learning parameters, as JSON values.
        start: first offset folded.
    """

    topic_id: str
    topic: str
    partition: int
    fold: str
    version: int
    parameters: dict[str, Any]
    start: int = 0

    def key(self) -> str:
        """32 hex digits naming this identity on the roots topic."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:32]

    def text(self) -> str:
        """How messages name it."""
        return f"fold {self.fold!r} v{self.version} over {self.topic}[{self.partition}]"


def identity_of(fold: Fold[Any], topic: Topic, partition: int) -> Identity:
    """The identity of a fold over a partition from its first record."""
    return Identity(
        topic_id=topic.id,
        topic=topic.name,
        partition=partition,
        fold=fold.name,
        version=fold.version,
        parameters=fold.parameters(),
    )
