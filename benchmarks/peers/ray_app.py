"""Ray Serve answering a constant."""

import sys
import time
from typing import Any

from ray import serve


@serve.deployment(num_replicas=1)
class Constant:
    """One replica."""

    async def __call__(self, request: Any) -> str:
        """Nothing is decided."""
        await request.body()
        return "a"


serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Constant.bind(), route_prefix="/decide")
while True:
    time.sleep(60)
