"""How many decisions does the service answer, how fast, and what happens when it is asked for more?

Question: what share of a bare server's requests does the service answer, each decision on the disk before the answer?
    How long do answers take at 2,000 a second? And with far more clients than it takes on?
Workload: `POST /v1/loops/news/decisions` for 100,000 units, 20 actions, one process that serves on one processor, the
    clients on the other. With `--learner` a learner shares the clients' processor; under overload one always does.
    Throughput: wrk, 64 connections. Latency: wrk, 64 connections that pause at random, about 2,000 requests
    a second. Overload: wrk, 512 connections, at most 256 records waiting for the log.
Peer: a bare ASGI application that echoes the body, same server, same settings, same clients, in alternating rounds.
    With `--peers`, Vowpal Wabbit in one such server (20 actions, a line to a file, not synced), BentoML and Ray Serve
    answering a constant, each started alone, in the same run.
Ratio: requests per second of the server's CPU time, ours over the bare one's, median of rounds; on the clock beside it.
Command: `python benchmarks/service.py [--rounds 5] [--seconds 4] [--learner] [--peers] [--json]`; needs wrk
    (Debian: `apt-get install wrk`); `--peers` makes an environment of its own in `.tools/peers`.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from foldline.log.open import open_log

BAR: Final = 0.5
HERE: Final = Path(__file__).resolve().parent
PEERS: Final = HERE / "peers"
UNITS: Final = 100_000
ACTIONS: Final = [f"article-{i}" for i in range(20)]
SCRIPT: Final = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, '{"unit":"user-' .. (n %% %d) .. '"}')
end
"""


PAUSING: Final = """
function delay() return math.random(0, 63) end
"""
"""With 64 connections that pause 31 ms on average, about 2,000 requests a second, at random moments."""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_s(pid: int) -> float:
    """CPU seconds a process and its children that are alive have used."""
    pids, total = [pid], 0.0
    while pids:
        one = pids.pop()
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            pids += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except FileNotFoundError:
            continue
    return total


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def running(command: Sequence[str], cpu: int | None, port: int | None, **environment: str) -> Iterator[int]:
    """A process pinned to a processor, once it listens; its id."""
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    process = subprocess.Popen(
        [*pin, *command],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while port is not None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.05)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def load(url: str, pid: int, script: Path, seconds: float, connections: int) -> dict[str, float]:
    """What wrk saw, and what it cost the server."""
    before = cpu_s(pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}", "--latency", "-s", str(script), url]
    text = subprocess.run(["taskset", "-c", "1", *command], check=True, capture_output=True, text=True).stdout
    spent = cpu_s(pid) - before
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]  # wrk prints it always
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "requests": count,
        "refused": int(refused[1]) if refused else 0,
        "per_s": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),  # type: ignore[index]  # wrk prints it always
        "per_cpu_s": count / spent,
        "p50_ms": milliseconds(text, "50%"),
        "p99_ms": milliseconds(text, "99%"),
    }


def milliseconds(text: str, quantile: str) -> float:
    """A quantile as wrk prints it."""
    number, unit = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]  # printed always
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


@contextmanager
def service(
    folder: Path, max_waiting: int = 10_000, *, learns: bool = True
) -> Iterator[tuple[int, int, str]]:
    """A serving and a learning process on one log, or one that learns only until there is a bundle.

    Yields:
        The port, the server's process, the log's URL.
    """
    url, port = f"sqlite:///{folder}/{max_waiting}.db", free_port()
    config = folder / "config.toml"
    config.write_text(
        f"[service]\nmax_waiting = {max_waiting}\n[loops.news]\nactions = {json.dumps(ACTIONS)}\n",
        encoding="utf-8",
    )
    foldline = [str(Path(sys.executable).parent / "foldline")]
    learn = [*foldline, "learn", "--log", url, "--config", str(config)]
    serve = [*foldline, "serve", "--log", url, "--config", str(config), "--port", str(port)]
    with contextlib.ExitStack() as learning, running(serve, 0, port) as pid:
        learning.enter_context(running(learn, 1, None))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                    if (
                        answer.status == 200
                        and b"news" in urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/loops").read()
                    ):
                        break
            except OSError:
                pass
            time.sleep(0.1)
        if not learns:
            learning.close()
        yield port, pid, url


def throughput(folder: Path, script: Path, rounds: int, seconds: float, *, learner: bool) -> dict[str, Any]:
    """Ours and the bare server's, in turn, then latency at a steady pace."""
    bare_port = free_port()
    bare = [
        sys.executable, "-m", "uvicorn", "--app-dir", str(PEERS), "echo_app:app", "--port", str(bare_port),
        "--http", "httptools", "--loop", "uvloop", "--no-access-log", "--no-server-header", "--log-level", "warning",
        "--no-proxy-headers",
    ]  # fmt: skip
    rows: dict[str, list[dict[str, float]]] = {"bare": [], "ours": []}
    with running(bare, 0, bare_port) as bare_pid, service(folder, learns=learner) as (port, pid, _):
        ours = f"http://127.0.0.1:{port}/v1/loops/news/decisions"
        load(ours, pid, script, 2, 64)
        for _ in range(rounds):
            rows["bare"].append(load(f"http://127.0.0.1:{bare_port}/", bare_pid, script, seconds, 64))
            rows["ours"].append(load(ours, pid, script, seconds, 64))
        pausing = folder / "pausing.lua"
        pausing.write_text(script.read_text(encoding="utf-8") + PAUSING, encoding="utf-8")
        steady = load(ours, pid, pausing, 2 * seconds, 64)
    pairs = list(zip(rows["ours"], rows["bare"], strict=True))
    result = {
        f"{who}_{name}": middle(row[name] for row in rows[who]) for who in rows for name in rows[who][0]
    }
    return result | {
        "ratio": middle(o["per_cpu_s"] / b["per_cpu_s"] for o, b in pairs),
        "ratio_low": min(o["per_cpu_s"] / b["per_cpu_s"] for o, b in pairs),
        "ratio_high": max(o["per_cpu_s"] / b["per_cpu_s"] for o, b in pairs),
        "ratio_clock": middle(o["per_s"] / b["per_s"] for o, b in pairs),
        "bar": BAR,
        "steady_per_s": steady["per_s"],
        "steady_p50_ms": steady["p50_ms"],
        "steady_p99_ms": steady["p99_ms"],
    }


def overload(folder: Path, script: Path, seconds: float) -> dict[str, Any]:
    """Many more clients than places in the queue: what was accepted, refused, kept, and how memory went."""
    with service(folder, max_waiting=256) as (port, pid, url):
        ours = f"http://127.0.0.1:{port}/v1/loops/news/decisions"
        load(ours, pid, script, 2, 64)
        with open_log(url) as log:
            before, memory_before = log.offsets("news.events", 0)[1], memory_mb(pid)
            seen = load(ours, pid, script, seconds, 512)
            memory_after = memory_mb(pid)
        time.sleep(0.5)
        with open_log(url) as log:
            kept = log.offsets("news.events", 0)[1] - before
    accepted = seen["requests"] - seen["refused"]
    # Answers that wrk no longer waited for are on the log too: at most one a connection.
    assert accepted <= kept <= accepted + 512, (accepted, kept)
    return {
        "offered_per_s": seen["per_s"],
        "accepted_per_s": accepted / seconds,
        "refused_share": seen["refused"] / seen["requests"],
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "memory_before_mb": memory_before,
        "memory_after_mb": memory_after,
        "accepted": accepted,
        "on_the_log": kept,
    }


def peers(script: Path, seconds: float) -> dict[str, Any]:
    """Other servers, each alone, pinned as ours is."""
    home = HERE.parent / ".tools/peers"
    python = home / "bin/python"
    if not python.exists():
        print(f"making {home} (once; some minutes)", file=sys.stderr)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", PEERS / "requirements.txt"], check=True)
    uvicorn = [
        str(python),
        "-m",
        "uvicorn",
        "--app-dir",
        str(PEERS),
        "--http",
        "httptools",
        "--loop",
        "uvloop",
    ]
    port = free_port()
    commands = {
        "Vowpal Wabbit, one server": (
            [*uvicorn, "vw_app:app", "--port", str(port), "--no-access-log", "--log-level", "warning"],
            "/",
            0,
        ),
        "BentoML, a constant": (
            [
                str(home / "bin/bentoml"),
                "serve",
                "bento_app:Constant",
                "--port",
                str(port),
                "--working-dir",
                str(PEERS),
            ],
            "/decide",
            0,
        ),
        "Ray Serve, a constant": ([str(python), str(PEERS / "ray_app.py"), str(port)], "/decide", None),
    }
    found = {}
    for name, (command, path, cpu) in commands.items():
        quiet = {"BENTOML_DO_NOT_TRACK": "True", "RAY_USAGE_STATS_ENABLED": "0"}
        with running(command, cpu, port, **quiet) as pid:
            url = f"http://127.0.0.1:{port}{path}"
            await_answer(url)
            load(url, pid, script, 2, 64)
            found[name] = load(url, pid, script, seconds, 64)
    return found


def await_answer(url: str) -> None:
    """Wait until a POST is answered with 200."""
    deadline = time.monotonic() + 120
    request = urllib.request.Request(url, b'{"unit":"u"}', {"content-type": "application/json"})  # noqa: S310 - our own
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} did not answer")


def middle(values: Iterator[float]) -> float:
    """Their median."""
    return statistics.median(list(values))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--overload", type=float, default=10, help="seconds of overload")
    parser.add_argument(
        "--learner", action="store_true", help="one runs on the clients' processor all the time"
    )
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        raise SystemExit("needs wrk and taskset; on Debian and Ubuntu: apt-get install wrk util-linux")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(SCRIPT % UNITS, encoding="utf-8")
        result = throughput(folder, script, given.rounds, given.seconds, learner=given.learner)
        result["overload"] = overload(folder, script, given.overload)
        if given.peers:
            result["peers"] = peers(script, given.seconds)
    if given.json:
        print(json.dumps(result))
        return
    print(
        f"durable decisions: {result['ours_per_s']:,.0f} a second, {result['ours_per_cpu_s']:,.0f} a CPU second, "
        f"p99 {result['ours_p99_ms']:.1f} ms\n"
        f"bare echo:         {result['bare_per_s']:,.0f} a second, {result['bare_per_cpu_s']:,.0f} a CPU second\n"
        f"ratio {result['ratio']:.2f} ({result['ratio_low']:.2f} to {result['ratio_high']:.2f}), "
        f"on the clock {result['ratio_clock']:.2f}; bar {BAR:g}\n"
        f"at {result['steady_per_s']:,.0f} a second: p50 {result['steady_p50_ms']:.1f} ms, "
        f"p99 {result['steady_p99_ms']:.1f} ms; bar 5"
    )
    much = result["overload"]
    print(
        f"overload: {much['offered_per_s']:,.0f} a second asked, {much['accepted_per_s']:,.0f} accepted, "
        f"{much['refused_share']:.0%} refused with 503; p50 {much['p50_ms']:.1f} ms, p99 {much['p99_ms']:.1f} ms; "
        f"memory {much['memory_before_mb']:.0f} to {much['memory_after_mb']:.0f} MB; "
        f"{much['accepted']:,} acknowledged, {much['on_the_log']:,} on the log"
    )
    for name, row in result.get("peers", {}).items():
        print(
            f"{name}: {row['per_s']:,.0f} a second, {row['per_cpu_s']:,.0f} a CPU second, p99 {row['p99_ms']:.1f} ms"
        )


if __name__ == "__main__":
    main()
