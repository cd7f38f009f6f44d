"""Warming up leaves nothing to compile."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, sys
from pathlib import Path
from foldline.engine.warming import warm_up
import foldline as fl

def compiled():
    return sorted(str(path) for path in Path(sys.argv[1]).rglob("*.nbc"))

warm_up()
before = compiled()
with fl.open("memory://") as app:
    news = app.loop("news", actions=["a", "b"], partitions=2)
    with news.batch():
        for reader in range(400):
            news.reward(news.decide(f"reader-{reader}"), 1)
    for reader in range(3):
        news.reward(news.decide(f"late-{reader}"), 1)
    news.catch_up()
print(json.dumps([len(before), before == compiled()]))
"""


def test_nothing_is_compiled_after_warming_up(tmp_path: Path) -> None:
    """On an empty cache, a loop like the default one finds every kernel it needs there, large batches and small."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    count, same = done.stdout.strip().strip("[]").split(", ")
    assert int(count) > 5
    assert same == "true"
