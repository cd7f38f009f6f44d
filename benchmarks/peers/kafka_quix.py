"""Quix Streams, exactly-once: counts and sums by message key in its state, changelog and offsets in transactions."""

import json
import sys
import time
from typing import Any

from quixstreams import Application
from quixstreams.state import State

from benchmarks.peers.memory import peak_mb

servers, topic, events, home = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
seen = 0
began: list[float] = []

app = Application(
    broker_address=servers,
    consumer_group=f"quix-{time.time_ns()}",
    processing_guarantee="exactly-once",
    auto_offset_reset="earliest",
    state_dir=home,
    loglevel="ERROR",
    consumer_extra_config={
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 20000,
        "queued.max.messages.kbytes": 8192,
    },
)


def count(value: dict[str, Any], state: State) -> None:
    """One event."""
    global seen  # noqa: PLW0603 - a number that callbacks count up
    if not began:
        began.extend((time.process_time(), time.perf_counter()))
    if value.get("type") != "outcome":
        return
    total = state.get("total", default=[0, 0.0])
    state.set("total", [total[0] + 1, total[1] + value["reward"]])
    seen += 1
    if seen == events:
        app.stop()


frame = app.dataframe(app.topic(topic, value_deserializer="json", key_deserializer="str"))
frame = frame.update(count, stateful=True)
app.run()
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
