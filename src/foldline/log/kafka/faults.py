"""What Kafka's errors mean for a log."""

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from foldline.errors import FoldlineError, InputError, LogError
from foldline.log.validation import topic_missing

OLDEST: Final = "3.6"
"""The first to know `message.timestamp.after.max.ms`, with which topics are created."""

UNKNOWN_TOPIC: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 - librdkafka's own codes begin with an underscore
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - librdkafka's own code
    }
)

NO_ANSWER: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 - librdkafka's own code
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001 - librdkafka's own code
        KafkaError._TRANSPORT,  # noqa: SLF001 - librdkafka's own code
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
    }
)
"""What was asked for may have been done or not: it can be asked for again."""

DENIED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - librdkafka's own code
        KafkaError._SSL,  # noqa: SLF001 - librdkafka's own code
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""Trying again would be refused again."""

_REFUSED: Final = frozenset(
    {
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.POLICY_VIOLATION,
    }
)
"""What this cluster never does, for rules of its own."""

_TOO_OLD: Final = frozenset(
    {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}  # noqa: SLF001 - librdkafka's own code
)

_UNKNOWN_SETTING: Final = "Unknown topic config name"
"""What brokers say to the settings of topics here that are older than these."""

_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})


def error_of(raised: KafkaException) -> KafkaError:
    """The client's error inside what it raised."""
    error: KafkaError = raised.args[0]
    return error


def fault(error: KafkaError, doing: str, *, topic: str = "") -> FoldlineError:
    """The error to raise in place of Kafka's.

    Args:
        error: as the client gives it.
        doing: what was being done, with the cluster's name for it.
        topic: the topic concerned, as the log calls it; without it that it is unknown is taken for a passing state
            of the cluster, as while a leader is elected.
    """
    code, detail = error.code(), f"{error.name()}: {error.str()}"
    if topic and code in UNKNOWN_TOPIC:
        return topic_missing(topic)
    if code in _TOO_LARGE:
        return InputError(
            "input.invalid",
            f"{doing}: the batch is larger than the brokers take ({detail}); append it in parts",
        )
    if code == KafkaError.INVALID_TIMESTAMP:
        return LogError("log.time_ahead", f"{doing}: the broker's clock is behind ({detail}); set the clocks")
    if code == KafkaError._SSL:  # noqa: SLF001 - librdkafka's own code
        return LogError(
            "log.unavailable",
            f"{doing}: no TLS with the brokers ({detail}); name the authority that signed their certificates with "
            "ssl.ca.location, reach them by the names in these, and see that this listener speaks TLS",
        )
    if code in DENIED:
        return LogError(
            "log.unavailable",
            f"{doing}: the cluster refuses this client ({detail}); see user, password, rights",
        )
    if code in _TOO_OLD or _UNKNOWN_SETTING in detail:
        return LogError("log.unavailable", f"{doing}: {detail}; Apache Kafka {OLDEST} or newer is needed")
    if code in _REFUSED:
        return LogError(
            "log.unavailable",
            f"{doing}: the rules of this cluster forbid it ({detail}); see whoever runs it",
        )
    return LogError("log.unavailable", f"{doing}: {detail}; try again when the cluster answers")
