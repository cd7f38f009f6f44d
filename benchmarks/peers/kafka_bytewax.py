"""Bytewax: counts and sums by message key in a stateful map, without recovery: at least once."""

import json
import sys
import time
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main
from confluent_kafka import OFFSET_BEGINNING

from benchmarks.peers.memory import peak_mb

servers, topic, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
began: list[float] = []


class Nowhere(StatelessSinkPartition[Any]):
    """Drops what comes."""

    def write_batch(self, items: list[Any]) -> None:
        """Nothing."""


class NowhereSink(DynamicSink[Any]):
    """A flow must end somewhere."""

    def build(self, _step: str, _index: int, _count: int) -> Nowhere:
        """One a worker."""
        return Nowhere()


def parse(message: KafkaSourceMessage[Any, Any]) -> tuple[str, float] | None:
    """Key and reward."""
    if not began:
        began.extend((time.process_time(), time.perf_counter()))
    value = json.loads(message.value)
    return (message.key.decode(), value["reward"]) if value["type"] == "outcome" else None


def count(total: tuple[int, float] | None, reward: float) -> tuple[tuple[int, float], int]:
    """One event."""
    global seen  # noqa: PLW0603 - a number that callbacks count up
    seen += 1
    number, rewards = total or (0, 0.0)
    return (number + 1, rewards + reward), number + 1


source = KafkaSource(
    servers.split(","),
    [topic],
    tail=False,
    starting_offset=OFFSET_BEGINNING,
    batch_size=1000,
    add_config={
        "fetch.queue.backoff.ms": "5",
        "queued.min.messages": "20000",
        "queued.max.messages.kbytes": "8192",
    },
)
flow = Dataflow("peer")
messages = op.input("in", flow, source)
parsed = op.filter_map("parse", messages, parse)
counted = op.stateful_map("count", parsed, count)
op.output("out", counted, NowhereSink())
run_main(flow)
print(
    json.dumps(
        {
            "events": seen,
            "cpu_s": time.process_time() - began[0],
            "clock_s": time.perf_counter() - began[1],
            "rss_mb": peak_mb(),
        }
    )
)
