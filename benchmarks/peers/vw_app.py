"""Vowpal Wabbit in one server process: epsilon-greedy over 20 actions, a draw, and a line to a file, not synced."""

import json
import random
import tempfile
from typing import Any

import vowpalwabbit

_workspace = vowpalwabbit.Workspace("--cb_explore 20 --epsilon 0.1 --quiet")
_lines = tempfile.TemporaryFile("w")  # noqa: SIM115 - open for as long as the process


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Predict, sample, note, answer."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    unit = json.loads((await receive())["body"])["unit"]
    shares = _workspace.predict(f"| u={unit.replace(':', '_')}")
    draw, action = random.random(), 0
    for action, share in enumerate(shares):  # noqa: B007 - the action is what is looked for
        draw -= share
        if draw < 0:
            break
    body = json.dumps({"action": action, "propensity": shares[action]}).encode()
    _lines.write(body.decode() + "\n")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
