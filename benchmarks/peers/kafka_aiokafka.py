"""A loop on aiokafka: getmany of 1,000, json, a dictionary. Keeps nothing."""

import asyncio
import json
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.peers.memory import peak_mb

servers, topic, events, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[5])


async def main() -> None:
    """Count to the last event."""
    totals: dict[bytes, list[float]] = {}
    seen = 0
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    await consumer.seek_to_beginning()
    cpu, clock = time.process_time(), time.perf_counter()
    while seen < events:
        for messages in (await consumer.getmany(timeout_ms=100, max_records=1000)).values():
            for message in messages:
                value = json.loads(message.value)
                if value["type"] != "outcome":
                    continue
                total = totals.setdefault(message.key, [0, 0.0])
                total[0] += 1
                total[1] += value["reward"]
                seen += 1
    used = {"events": seen, "cpu_s": time.process_time() - cpu, "clock_s": time.perf_counter() - clock}
    await consumer.stop()
    print(json.dumps(used | {"rss_mb": peak_mb()}))


asyncio.run(main())
