"""A full disk under the service: refused whole, nothing half written, and on again once there is room."""

from pathlib import Path

from foldline.log.sqlite.log import SqliteLog
from tests.serving.conftest import NEWS
from tests.serving.running import running

BATCH = [{"unit": f"u{i}", "context": {"padding": "x" * 400}} for i in range(100)]


def test_a_full_disk_is_503_until_there_is_room(tmp_path: Path) -> None:
    """What was answered 200 stands, what was not does not; with a larger quota the service goes on."""
    path = tmp_path / "small.db"
    made = 0
    with SqliteLog(path, max_bytes=2_000_000) as log, running(log, loops={"news": NEWS}) as served:
        while True:
            answered = served.client.post("/v1/loops/news/decisions", json=BATCH)
            if answered.status_code != 200:
                break
            made += len(answered.json())
        assert (answered.status_code, answered.headers["retry-after"]) == (503, "1")
        fault = answered.json()["error"]
        assert (fault["code"], fault["field"]) == ("log.full", None)
        assert served.service.appender.waiting == 0
        assert served.client.post("/v1/loops/news/decisions", json=BATCH).status_code == 503
        assert served.client.get("/healthz").status_code == 200
        assert served.client.get("/v1/loops/news/bundle").status_code == 200
    with SqliteLog(path) as log, running(log) as served:
        assert served.client.post("/v1/loops/news/decisions", json=BATCH[0]).status_code == 200
        counts = served.counts("news", decisions=made + 1)
        assert (counts["decisions"], counts["duplicates"]) == (made + 1, 0)
        assert made % len(BATCH) == 0
