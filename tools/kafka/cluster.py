"""A cluster of 1 to n nodes on loopback, each broker and controller, as plain Java processes (KRaft).

Everything stands in one folder: data, settings, output, and `cluster.json` with the ports. Beside its plaintext
listener every node has one that asks for a password (SASL/PLAIN, user and password below), and one that does so
over TLS, with a certificate made for this cluster, and one for clients behind a proxy (`tools.chaos`), which it tells
them to come by.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tools.kafka.certificates import STORE_PASSWORD, make_certificates
from tools.kafka.jars import fetch
from tools.ports import free_ports

CLUSTER_ID = "Zm9sZGxpbmUtdGVzdHMhIQ"
"""Any 16 bytes in base64url."""

USER, PASSWORD = "foldline", "only-for-tests"

LISTENERS = {
    "PLAINTEXT": "PLAINTEXT",
    "CONTROLLER": "PLAINTEXT",
    "SASL": "SASL_PLAINTEXT",
    "TLS": "SASL_SSL",
    "BEHIND": "PLAINTEXT",
}

PORTS_A_NODE = len(LISTENERS) + 1
"""One of each listener, and that of the proxy."""

LOGGING = """rootLogger.level=WARN
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d %p %m (%c)%n
"""

COLLECTOR = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35")
"""As Kafka's own script starts a broker: short pauses, for who measures how long an answer takes."""

STOP_S = 5.0
"""A node gets this long to stop in order; the last of a quorum never can."""


class Cluster:
    """The cluster in a folder; started, stopped and found again from any process.

    Args:
        folder: where it stands; made if it is not there.
        version: of Kafka; that of the pom, or of the environment, where it is None.
    """

    def __init__(self, folder: Path, version: str | None = None) -> None:
        self.folder = folder
        self._version = version
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """Addresses of the plaintext listeners."""
        return self._addresses("PLAINTEXT")

    @property
    def bootstrap_sasl(self) -> str:
        """Addresses of the listeners that ask for a password."""
        return self._addresses("SASL")

    @property
    def bootstrap_tls(self) -> str:
        """Addresses of the listeners that ask for a password over TLS."""
        return self._addresses("TLS")

    @property
    def detours(self) -> list[tuple[int, int]]:
        """Of each node the port that clients behind a proxy are told, and the port that the proxy is to lead to."""
        return [(ports["PROXY"], ports["BEHIND"]) for ports in self._read()["nodes"]]

    @property
    def authority(self) -> Path:
        """The certificate that clients of the TLS listeners are to trust; beside it stands `other.pem`."""
        return self.folder / "tls/ca.pem"

    def up(self, nodes: int = 1, port: int | None = None) -> str:
        """Format, start, and wait until every node answers; the bootstrap addresses.

        Args:
            nodes: how many; more than one replicate everything three times.
            port: of the first listener, the others follow; free ones by default.
        """
        jars = fetch(self._version)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(LOGGING)
        names = [*LISTENERS, "PROXY"]
        count = PORTS_A_NODE * nodes
        ports = free_ports(count) if port is None else list(range(port, port + count))
        settings = {
            "jars": str(jars),
            "nodes": [dict(zip(names, ports[PORTS_A_NODE * n :], strict=False)) for n in range(nodes)],
        }
        self._file.write_text(json.dumps(settings))
        for node in range(nodes):
            self._settings_file(node).write_text(self._settings(node, nodes))
        make_certificates(self.folder / "tls")
        formats = [
            self._format(n) for n in range(nodes) if not (self.folder / f"node{n}/meta.properties").exists()
        ]
        if any(process.wait() for process in formats):
            raise RuntimeError(f"kafka-storage format failed; see {self.folder}")
        for node in range(nodes):
            self.start(node, wait=False)
        self._await(range(nodes))
        return self.bootstrap

    def start(self, node: int, *, wait: bool = True) -> None:
        """Start a node on its own data."""
        with open(self.folder / f"node{node}.log", "ab") as out:
            process = self._java("kafka.Kafka", str(self._settings_file(node)), heap="512m", out=out)
        self._children[node] = process
        self._pid_file(node).write_text(str(process.pid))
        if wait:
            self._await([node])

    def kill(self, node: int) -> None:
        """SIGKILL a node."""
        self._stop([node], signal.SIGKILL, 30.0)

    def down(self) -> None:
        """Stop every node; SIGKILL those that do not in time. The data stay."""
        nodes = range(len(self._read()["nodes"])) if self._file.exists() else range(0)
        self._stop(nodes, signal.SIGTERM, STOP_S)
        self._stop(nodes, signal.SIGKILL, 30.0)

    def end(self) -> None:
        """SIGKILL every node at once: for a cluster that nobody will start again."""
        self._stop(
            range(len(self._read()["nodes"])) if self._file.exists() else range(0), signal.SIGKILL, 30.0
        )

    def running(self) -> set[int]:
        """The nodes whose processes are alive."""
        for child in self._children.values():
            child.poll()
        return {
            node
            for node in range(len(self._read()["nodes"]))
            if self._pid_file(node).exists() and _is_alive(int(self._pid_file(node).read_text()))
        }

    def last_words(self, node: int) -> str:
        """The last line that a node wrote; of an exception's trace, the causes and not the frames."""
        words: list[str] = []
        for line in reversed((self.folder / f"node{node}.log").read_text(errors="replace").splitlines()):
            if not line.startswith("\t"):
                words.insert(0, line)
                if not line.startswith("Caused by: "):
                    break
        return "; ".join(words) or "none"

    @property
    def _file(self) -> Path:
        return self.folder / "cluster.json"

    def _read(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads(self._file.read_text())
        return settings

    def _addresses(self, listener: str) -> str:
        return ",".join(f"127.0.0.1:{ports[listener]}" for ports in self._read()["nodes"])

    def _pid_file(self, node: int) -> Path:
        return self.folder / f"node{node}.pid"

    def _settings_file(self, node: int) -> Path:
        return self.folder / f"node{node}.properties"

    def _java(self, *arguments: str, heap: str, out: Any) -> subprocess.Popen[bytes]:
        command = [
            *("java", f"-Xmx{heap}", f"-Xms{heap}", *COLLECTOR, "-Xshare:auto"),
            f"-Dlog4j2.configurationFile={self.folder}/log4j2.properties",
            *("-cp", f"{self._read()['jars']}/*", *arguments),
        ]
        return subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def _format(self, node: int) -> subprocess.Popen[bytes]:
        with open(self.folder / f"node{node}.log", "ab") as out:
            arguments = ("format", "-t", CLUSTER_ID, "-c", str(self._settings_file(node)))
            return self._java("kafka.tools.StorageTool", *arguments, heap="128m", out=out)

    def _settings(self, node: int, nodes: int) -> str:
        ports: list[dict[str, int]] = self._read()["nodes"]
        own = {name: f"{name}://127.0.0.1:{ports[node][name]}" for name in LISTENERS}
        voters = ",".join(f"{n}@127.0.0.1:{each['CONTROLLER']}" for n, each in enumerate(ports))
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        copies = min(3, nodes)
        settings = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(own.values()),
            "advertised.listeners": f"{own['PLAINTEXT']},{own['SASL']},{own['TLS']},"
            f"BEHIND://127.0.0.1:{ports[node]['PROXY']}",
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in LISTENERS.items()),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
            "listener.name.tls.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
            "listener.name.tls.ssl.keystore.type": "PKCS12",
            "listener.name.tls.ssl.keystore.location": self.folder / "tls/broker.p12",
            "listener.name.tls.ssl.keystore.password": STORE_PASSWORD,
            "log.dirs": self.folder / f"node{node}",
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": max(1, copies - 1),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 4194304,
            "log.cleaner.backoff.ms": 1000,
            "broker.session.timeout.ms": 6000,
            "broker.heartbeat.interval.ms": 1000,
            "controlled.shutdown.max.retries": 1,
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def _await(self, nodes: Iterable[int], seconds: float = 120.0) -> None:
        deadline = time.monotonic() + seconds
        ports = self._read()["nodes"]
        while not all(_answers(ports[node]["PLAINTEXT"]) for node in nodes):
            for node in nodes:
                if self._children[node].poll() is not None:
                    raise RuntimeError(f"node {node} did not start; its last words: {self.last_words(node)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no answer within {seconds:g} s; see {self.folder}/node*.log")
            time.sleep(0.05)

    def _stop(self, nodes: Iterable[int], how: signal.Signals, seconds: float) -> None:
        files = [self._pid_file(node) for node in nodes]
        pids = [int(file.read_text()) for file in files if file.exists()]
        for pid in filter(_is_alive, pids):
            os.kill(pid, how)
        deadline = time.monotonic() + seconds
        while any(map(_is_alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for child in self._children.values():
            if child.pid in pids and not _is_alive(child.pid):
                # It has lost its command line a moment before it can be collected.
                child.wait()
        self._children = {node: child for node, child in self._children.items() if child.poll() is None}


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    """Whether a broker runs under this id; a number given to another program since is none."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
        return _answers_signals(pid)
    return b"kafka.Kafka" in command


def _answers_signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
