"""Another order of a partition's copies, so that another of them is preferred as leader.

The client at hand has no call for it; the request is small (AlterPartitionReassignments, version 0,
https://kafka.apache.org/protocol), and any broker passes it on to the controller.
"""

import socket
import struct
from collections.abc import Sequence

_API, _VERSION, _TIMEOUT_MS = 45, 0, 10_000


def reassign(address: str, topic: str, partition: int, brokers: Sequence[int]) -> None:
    """Have a partition's copies on these brokers, the first preferred as leader.

    Args:
        address: host:port of a plaintext listener.
        topic: as the cluster calls it.
        partition: of it.
        brokers: by node id.

    Raises:
        OSError: the broker does not answer.
        RuntimeError: it refuses.
    """
    body = struct.pack(">i", _TIMEOUT_MS) + _array(
        [
            _text(topic)
            + _array([struct.pack(">i", partition) + _array([struct.pack(">i", b) for b in brokers]) + b"\0"])
            + b"\0"
        ]
    )
    header = struct.pack(">hhih", _API, _VERSION, 1, -1) + b"\0"
    request = header + body + b"\0"
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        [size] = struct.unpack(">i", _read(connection, 4))
        answer = _read(connection, size)
    # Correlation id, tags, throttle time; the error of the whole and its text; one topic, one partition, its error.
    [whole] = struct.unpack_from(">h", answer, 9)
    at = 11 + max(1, answer[11]) + 1 + 1 + len(topic) + 1 + 4
    error = whole or struct.unpack_from(">h", answer, at)[0]
    if error:
        raise RuntimeError(
            f"{address} refuses to move {topic}[{partition}] to {list(brokers)}: error {error}"
        )


def _array(items: list[bytes]) -> bytes:
    return bytes([len(items) + 1]) + b"".join(items)


def _text(value: str) -> bytes:
    data = value.encode()
    return bytes([len(data) + 1]) + data


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the broker closed the connection")
        data += more
    return data
