"""Faust: counts and sums by message key in a table with its changelog: at least once."""

import json
import os
import sys
import time
from typing import Any

import faust

from benchmarks.peers.memory import peak_mb

servers, topic, events, home = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
app = faust.App(
    f"faust-{time.time_ns()}",
    broker=[f"kafka://{server}" for server in servers.split(",")],
    datadir=home,
    topic_partitions=int(sys.argv[5]),
    topic_disable_leader=True,
    consumer_auto_offset_reset="earliest",
)
source = app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
totals: Any = app.Table("totals", default=lambda: [0, 0.0])


@app.agent(source)
async def count(stream: Any) -> None:
    """Each event."""
    seen, began = 0, (0.0, 0.0)
    async for key, raw in stream.items():
        if not seen:
            began = time.process_time(), time.perf_counter()
        value = json.loads(raw)
        if value["type"] != "outcome":
            continue
        total = totals[key.decode()]
        totals[key.decode()] = [total[0] + 1, total[1] + value["reward"]]
        seen += 1
        if seen == events:
            used = {"events": seen, "cpu_s": time.process_time() - began[0]}
            used["clock_s"] = time.perf_counter() - began[1]
            used["rss_mb"] = peak_mb()
            # The worker takes what is printed for its log, and cannot be stopped from within an agent.
            os.write(1, json.dumps(used).encode() + b"\n")
            os._exit(0)


sys.argv = [sys.argv[0], "worker", "-l", "error", "--without-web"]
app.main()
