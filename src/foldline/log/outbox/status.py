"""How an outbox before a cluster stands."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How it stands.

    Attributes:
        away_since: milliseconds since 1970-01-01 UTC; None while the cluster answers.
        waiting: records in the spool.
        sent: records sent from it since the start.
        refused: records that the cluster refused for good, set aside.
        why: the last error of the cluster, empty where there was none.
    """

    away_since: int | None
    waiting: int
    sent: int
    refused: int
    why: str
