"""The configuration file: TOML, checked whole, every fault named with its place.

log = "sqlite:///foldline.db"

[service]
port = 8080

[learning]
publish_every_ms = 50

[loops.news]
actions = ["a", "b"]
policy = { kind = "epsilon_greedy", epsilon = 0.1 }
reward_wait_s = 5
"""

import re
from pathlib import Path

import msgspec

from foldline.engine.learner import Pace
from foldline.errors import InputError
from foldline.loops.settings import LoopSettings
from foldline.serving.settings import ServiceSettings


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration file says.

    Attributes:
        log: URL of the event log; None leaves it to the command line.
        service: where to listen, and how much to take on.
        learning: micro-batches, roots, bundles, leases.
        loops: defined at start, or changed to this, by name.
    """

    log: str | None = None
    service: ServiceSettings = ServiceSettings()
    learning: Pace = Pace()
    loops: dict[str, LoopSettings] = {}


def read_config(path: Path) -> Config:
    """The configuration in a file.

    Raises:
        InputError: `input.unreadable` where the file cannot be read or is no TOML; `input.invalid` where a setting
            is unknown or has a wrong value.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            "input.unreadable", f"reading the configuration {str(path)!r}: {error.strerror}", field="config"
        ) from error
    try:
        return msgspec.toml.decode(text, type=Config)
    except msgspec.ValidationError as error:
        place = re.search(r"`\$\.?(.*)`$", str(error))
        raise InputError(
            "input.invalid",
            f"configuration {str(path)!r}: {error}; see docs/operations.md",
            field=place[1] if place and place[1] else "config",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "input.unreadable", f"configuration {str(path)!r} is not TOML: {error}", field="config"
        ) from error
