"""Many more connections than can be served: only 200 and 503, nothing lost, memory flat."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import httpx
import pytest

from foldline.log.open import open_log
from tests.serving.processes import Process

CONNECTIONS = 192
EACH = 60
MAX_WAITING = 24
GROWTH_BYTES = 30_000_000
"""How much the process may grow from the middle of the run to its end; what is accepted and kept would be more."""

CONFIG = f"""
[service]
max_waiting = {MAX_WAITING}

[loops.news]
actions = ["a", "b"]
"""


async def _client(
    address: tuple[str, int], number: int, seen: Counter[int], decided: set[str], half: asyncio.Barrier
) -> None:
    """One connection that asks as fast as it is answered."""
    reader, writer = await asyncio.open_connection(*address)
    for turn in range(EACH):
        if turn == EACH // 2:
            await half.wait()
        local = f"{number}-{turn}"
        body = json.dumps({"unit": f"u{number}", "decision": local, "context": {"x": "y" * 500}}).encode()
        head = f"POST /v1/loops/news/decisions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        status = int(lines[0].split()[1])
        length = next(int(line.split()[1]) for line in lines if line.startswith("content-length"))
        answer = json.loads(await reader.readexactly(length))
        seen[status] += 1
        if status == 200:
            decided.add(answer["decision"])
        else:
            assert "retry-after: 1" in lines
            assert answer["error"]["code"] == "http.overloaded"
    writer.close()
    await writer.wait_closed()


async def _overload(address: tuple[str, int], up: Process) -> tuple[Counter[int], set[str], int]:
    """Statuses, ids acknowledged, and what the memory grew by in the second half."""
    seen: Counter[int] = Counter()
    decided: set[str] = set()
    half = asyncio.Barrier(CONNECTIONS + 1)
    clients = [asyncio.create_task(_client(address, n, seen, decided, half)) for n in range(CONNECTIONS)]
    await half.wait()
    before = up.rss()
    await asyncio.gather(*clients)
    return seen, decided, up.rss() - before


@pytest.mark.timeout(120)
def test_too_much_is_refused_and_what_is_accepted_stands(tmp_path: Path) -> None:
    """Every 200 is on the log once; every other answer is 503 with Retry-After; the queue is empty in the end."""
    url, config = f"sqlite:///{tmp_path}/overload.db", tmp_path / "foldline.toml"
    config.write_text(CONFIG)
    with Process("up", "--log", url, "--port", "0", "--config", str(config)) as up:
        base = up.ready()["url"]
        parsed = httpx.URL(base)
        seen, decided, grown = asyncio.run(_overload((parsed.host, int(parsed.port or 0)), up))
        metrics = httpx.get(f"{base}/metrics").text
        assert up.stop() == 0
    assert seen.keys() == {200, 503}
    assert seen.total() == CONNECTIONS * EACH
    assert seen[503] > CONNECTIONS
    assert len(decided) == seen[200]
    assert "foldline_append_waiting_records 0.0" in metrics
    assert grown < GROWTH_BYTES
    with open_log(url) as log:
        rows = log.read("news.events", 0, 0, max_records=1_000_000)
    lines = [json.loads(line) for row in rows for line in row.payload.split(b"\n")]
    assert Counter(line["id"] for line in lines if line["type"] == "decision") == dict.fromkeys(decided, 1)
