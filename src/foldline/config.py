"""The configuration file: TOML, checked whole, every fault named with its place.

log = "sqlite:///foldline.db"

[service]
port = 8080

[learning]
publish_every_ms = 20

[loops.news]
actions = ["a", "b"]
policy = { kind = "epsilon_greedy", epsilon = 0.1 }
reward_wait_s = 5

[ingest.orders]
topic = "shop.orders"
loop = "news"
type = "reward"
fields = { unit = "customer.id", value = "total" }
"""

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from foldline.engine.learner import Pace
from foldline.engine.webhook import WebhookSettings, check_webhook
from foldline.errors import DefinitionError, FoldlineError, InputError
from foldline.loops.definition import LoopDefinition, checked
from foldline.loops.mapping_settings import MappingSettings, check_mapping
from foldline.loops.settings import LoopSettings
from foldline.serving.settings import ServiceSettings

Decoded = TypeVar("Decoded")

_NAMED = re.compile(r"field `([^`]+)`")
_PACE = Pace()
_AT = re.compile(r" - at `\$\.?(.*)`$")


class Learning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this process learns; see `foldline.engine.learner.Pace`.

    Attributes:
        max_records: micro-batch size.
        root_every_ms: time between two roots of a partition; delays of up to half of it are made good.
        publish_every_ms: time between two bundles, likewise.
        lease_s: a lease lives this long without renewal.
    """

    max_records: Annotated[int, Meta(ge=1)] = _PACE.max_records
    root_every_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = _PACE.root_every_ms
    publish_every_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = _PACE.publish_every_ms
    lease_s: Annotated[float, Meta(ge=0.1, le=3_600)] = _PACE.lease_s

    def pace(self) -> Pace:
        """As the engine takes it."""
        return Pace(**msgspec.structs.asdict(self))


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration file says.

    Attributes:
        log: URL of the event log; None leaves it to the command line.
        service: where to listen, and how much to take on.
        learning: micro-batches, roots, bundles, leases.
        loops: defined at start, or changed to this, by name.
        ingest: foreign topics copied onto loops, by name.
        webhooks: who is told of verdicts and breaches, by name.
    """

    log: str | None = None
    service: ServiceSettings = ServiceSettings()
    learning: Learning = Learning()
    loops: dict[str, LoopSettings] = {}
    ingest: dict[str, MappingSettings] = {}
    webhooks: dict[str, WebhookSettings] = {}


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
        values = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            "input.unreadable", f"configuration {str(path)!r} is not TOML: {error}", field="config"
        ) from error
    loops, ingest, webhooks = (values.pop(name, {}) for name in ("loops", "ingest", "webhooks"))
    config = _convert(path, values, Config, "")
    named = _convert(path, loops, dict[str, dict[str, Any]], "loops")
    settings = {name: _convert(path, part, LoopSettings, f"loops.{name}") for name, part in named.items()}
    for name, each in settings.items():
        _check_loop(path, name, each)
    copied = _convert(path, ingest, dict[str, dict[str, Any]], "ingest")
    mappings = {
        name: _convert(path, part, MappingSettings, f"ingest.{name}") for name, part in copied.items()
    }
    for name, mapping in mappings.items():
        _check_mapping(path, name, mapping)
    hooks = {
        name: _convert(path, part, WebhookSettings, f"webhooks.{name}")
        for name, part in _convert(path, webhooks, dict[str, dict[str, Any]], "webhooks").items()
    }
    for name, hook in hooks.items():
        try:
            check_webhook(hook)
        except InputError as error:
            raise _fault(path, f"webhooks.{name}.url", str(error.args[0])) from error
    return msgspec.structs.replace(config, loops=settings, ingest=mappings, webhooks=hooks)


def _convert(path: Path, values: object, kind: type[Decoded], place: str) -> Decoded:
    """The values as a struct; of a fault the path, the place and the setting are named."""
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        at = _AT.search(str(error))
        text = str(error)[: at.start()] if at else str(error)
        named = _NAMED.search(text)
        field = ".".join(filter(None, [place, at[1] if at else "", named[1] if named else ""]))
        raise _fault(path, field, text.replace("`", "'")) from error


def _check_loop(path: Path, name: str, settings: LoopSettings) -> None:
    """Refuse what no loop can have. Whether settings go together shows when they meet those of the log."""
    stand_in = LoopDefinition(
        name=name, version=1, time=0, actions=("a",), policy={"kind": "epsilon_greedy"}, salt=""
    )
    try:
        with contextlib.suppress(DefinitionError):
            checked(settings.settle(name, stand_in, salt="", now=0))
    except FoldlineError as error:
        place = f"loops.{name}.{error.field}" if error.field else f"loops.{name}"
        raise _fault(path, place, str(error.args[0])) from error


def _check_mapping(path: Path, name: str, mapping: MappingSettings) -> None:
    try:
        check_mapping(mapping)
    except DefinitionError as error:
        raise _fault(path, f"ingest.{name}.{error.field or 'fields'}", str(error.args[0])) from error


def _fault(path: Path, field: str, text: str) -> InputError:
    return InputError(
        "input.invalid",
        f"configuration {str(path)!r}, {field or 'the whole'}: {text}; see docs/operations.md",
        field=field or "config",
    )
