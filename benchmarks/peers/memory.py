"""What a process has held of memory."""

from pathlib import Path


def peak_mb() -> float:
    """The most this process has held, MB (2^20 bytes). Linux.

    Not `ru_maxrss`, which a process that was started by a larger one takes over from it.
    """
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
