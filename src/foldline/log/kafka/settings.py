"""What topics on Kafka are made with, and what is wrong with one that stands with other settings.

What would break a promise of the log is refused when the topic is asked for; what only costs is said. Each with the
command that mends it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from foldline.errors import LogError
from foldline.log.kafka.address import REPLICATION, Address
from foldline.log.kafka.clients import SENT_BYTES
from foldline.log.kafka.faults import OLDEST
from foldline.log.protocol import AHEAD_MS, Topic
from foldline.log.validation import check_same

SEGMENT_BYTES: Final = 64 << 20
"""Of compacted topics: only closed segments are compacted, and Kafka's default closes them at 1 GB."""

_AHEAD: Final = "message.timestamp.after.max.ms"
_BEHIND: Final = "message.timestamp.before.max.ms"
_SIZE: Final = "max.message.bytes"
_STAMPS: Final = "message.timestamp.type"
_CLEANUP: Final = "cleanup.policy"
_COPIES: Final = "copies"
_EVER: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic as it stands on the cluster.

    Attributes:
        topic: as the log has it.
        copies: of its records, the fewest that any partition has.
        settings: Kafka's, by name.
    """

    topic: Topic
    copies: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """A setting that is not as it should be.

    Attributes:
        setting: Kafka's name for it.
        found: its value.
        expected: what it should be.
        why: what follows from the value found.
        breaks: whether a promise of the log would not hold; else it only costs.
    """

    setting: str
    found: str
    expected: str
    why: str
    breaks: bool


def settings_for(topic: Topic) -> dict[str, str]:
    """The settings a topic is made with."""
    settings = {
        _CLEANUP: topic.cleanup,
        _SIZE: str(SENT_BYTES),
        _STAMPS: "CreateTime",
        _AHEAD: str(AHEAD_MS),
    }
    if topic.cleanup == "compact":
        return settings | {"segment.bytes": str(SEGMENT_BYTES), "min.cleanable.dirty.ratio": "0.1"}
    kept_ms = -1 if topic.retention_ms is None else topic.retention_ms
    return settings | {"retention.ms": str(kept_ms), "retention.bytes": "-1"}


def check_standing(standing: Standing, asked: Topic, address: Address) -> list[str]:
    """Refuse a topic with which the log's promises would not hold; what only costs, in words.

    Raises:
        LogError: `log.topic_conflict`; `log.unavailable` where the brokers are too old to say.
    """
    if _AHEAD not in standing.settings:
        raise LogError(
            "log.unavailable",
            f"topic {asked.name!r}: the brokers do not know the setting {_AHEAD}; Apache Kafka {OLDEST} or newer is "
            "needed",
        )
    if standing.topic.partitions != asked.partitions:
        check_same(standing.topic, asked)
    faults = list(faults_of(standing, asked, address.replication))
    breaking = [fault for fault in faults if fault.breaks]
    if breaking:
        raise LogError("log.topic_conflict", _worded(breaking, asked, address))
    return [_worded([fault], asked, address) for fault in faults]


def faults_of(standing: Standing, asked: Topic, copies: int) -> Iterator[Fault]:
    """What is wrong with a topic that stands, partitions left out.

    Args:
        standing: the topic.
        asked: what it should be.
        copies: how many copies of it there should be; -1 where nobody said.
    """
    settings = standing.settings
    if settings[_CLEANUP] != asked.cleanup:
        yield Fault(_CLEANUP, settings[_CLEANUP], asked.cleanup, _CLEANUPS[asked.cleanup], True)
    if settings[_STAMPS] != "CreateTime":
        why = "the brokers would put their own times in place of the records'"
        yield Fault(_STAMPS, settings[_STAMPS], "CreateTime", why, True)
    if int(settings[_SIZE]) < SENT_BYTES:
        why = "states, bundles and dead letters that are larger could not be written"
        yield Fault(_SIZE, settings[_SIZE], f"{SENT_BYTES}", why, True)
    if 0 < standing.copies < copies:
        why = f"fewer copies than {REPLICATION} asks for would be what an acknowledgement rests on"
        yield Fault(_COPIES, f"{standing.copies}", f"{copies}", why, True)
    if standing.copies > 1 and settings["unclean.leader.election.enable"] == "true":
        why = "a copy that lags may become the leader, and what was acknowledged be lost"
        yield Fault("unclean.leader.election.enable", "true", "false", why, True)
    if standing.copies > 2 and int(settings["min.insync.replicas"]) < 2:
        why = "with one copy in sync, what that one broker alone acknowledged is lost with it"
        yield Fault("min.insync.replicas", settings["min.insync.replicas"], "2", why, False)
    yield from _compacted(settings) if asked.cleanup == "compact" else _appended(settings, asked)


_CLEANUPS: Final = {
    "compact": "rows would be deleted by age, and with them states, bundles or keys that stand nowhere else",
    "delete": "of records with one key only the newest would stay",
}


def _appended(settings: Mapping[str, str], asked: Topic) -> Iterator[Fault]:
    """Of a topic on which rows are added."""
    if int(settings[_AHEAD]) > AHEAD_MS:
        why = "a client whose clock is wrong could move stream time, and end every wait, for everybody"
        yield Fault(_AHEAD, settings[_AHEAD], f"{AHEAD_MS}", why, True)
    if int(settings[_BEHIND]) < _EVER:
        why = "older records, as an outbox sends after an outage or an import appends, are refused"
        yield Fault(_BEHIND, settings[_BEHIND], f"{_EVER}", why, False)
    why = (
        "what stands there stands nowhere else"
        if asked.lasting
        else "a fold that still needs what is gone stops with fold.retention_overtook; replay and audit do not reach it"
    )
    kept = -1 if asked.retention_ms is None else asked.retention_ms
    found = int(settings["retention.ms"])
    if found >= 0 and not 0 <= kept <= found:
        yield Fault("retention.ms", f"{found}", f"{kept}", why, asked.lasting)
    if int(settings["retention.bytes"]) >= 0:
        yield Fault("retention.bytes", settings["retention.bytes"], "-1", why, asked.lasting)


def _compacted(settings: Mapping[str, str]) -> Iterator[Fault]:
    """Of a topic on which the newest row of each key stays."""
    if int(settings["segment.bytes"]) > SEGMENT_BYTES:
        why = "a segment is compacted only once it is full, and every start reads all that is not compacted"
        yield Fault("segment.bytes", settings["segment.bytes"], f"{SEGMENT_BYTES}", why, False)


def _worded(faults: list[Fault], asked: Topic, address: Address) -> str:
    said = "; ".join(
        f"{fault.setting} is {fault.found}, expected {fault.expected}: {fault.why}" for fault in faults
    )
    mending = [mend for mend in (_by_command(faults, asked, address), _by_moving(faults)) if mend]
    return (
        f"topic {asked.name!r} stands with settings of others: {said}. Mend it with {' and '.join(mending)}"
    )


def _by_command(faults: list[Fault], asked: Topic, address: Address) -> str:
    changes = ",".join(f"{fault.setting}={fault.expected}" for fault in faults if fault.setting != _COPIES)
    if not changes:
        return ""
    return (
        f"kafka-configs.sh --bootstrap-server {address.servers} --alter --entity-type topics "
        f"--entity-name {address.on_cluster(asked.name)} --add-config {changes}"
    )


def _by_moving(faults: list[Fault]) -> str:
    found = [fault.found for fault in faults if fault.setting == _COPIES]
    return f"kafka-reassign-partitions.sh, or ask for {REPLICATION}={found[0]}" if found else ""
