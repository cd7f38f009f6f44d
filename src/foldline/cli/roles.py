"""What the commands `up`, `serve` and `learn` share: their options, and how settings come together."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.log_lines import Form, write_log_lines
from foldline.cli.options import DEFAULT_LOG
from foldline.cli.output import print_json
from foldline.log.shown_url import shown_url

if TYPE_CHECKING:
    from foldline.config import Config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML; see docs/operations.md.")
]
LogOption = Annotated[
    str | None,
    typer.Option(
        "--log",
        envvar="FOLDLINE_LOG",
        metavar="URL",
        help=f"The event log; the configuration's, or {DEFAULT_LOG}.",
    ),
]
HostOption = Annotated[
    str | None, typer.Option("--host", help="Address to listen on; the configuration's, or 127.0.0.1.")
]
PortOption = Annotated[
    int | None,
    typer.Option(
        "--port", min=0, max=65535, help="Port; the configuration's, or 8080. 0 for any that is free."
    ),
]
OutboxOption = Annotated[
    str | None,
    typer.Option(
        "--outbox",
        metavar="FILE",
        help="Keeps what comes while a Kafka cluster is away; the configuration's, or foldline-outbox.db.",
    ),
]
LogForm = Annotated[
    str | None,
    typer.Option(
        "--log-format", metavar="text|json", help="Form of the log lines; text on a terminal, else json."
    ),
]


def settle(config: Path | None, log: str | None, form: str | None) -> tuple["Config", str]:
    """The configuration, and the log's URL; log lines are set up."""
    from foldline.config import Config, read_config
    from foldline.errors import InputError

    if form not in ("text", "json", None):
        raise InputError("input.invalid", f"--log-format {form!r}: expected text or json", field="log_format")
    forms: dict[str, Form] = {"text": "text", "json": "json"}
    write_log_lines(forms.get(form or ""))
    settings = read_config(config) if config is not None else Config()
    return settings, log or settings.log or DEFAULT_LOG


def run_service(
    config: Path | None,
    log: str | None,
    host: str | None,
    port: int | None,
    form: str | None,
    outbox: str | None,
    *,
    learn: bool,
    as_json: bool,
) -> None:
    """Serve until told to stop."""
    import msgspec

    from foldline.app.roles import serve

    settings, url = settle(config, log, form)
    given = {
        name: value
        for name, value in (("host", host), ("port", port), ("outbox", outbox))
        if value is not None
    }
    service = msgspec.structs.replace(settings.service, **given)

    def ready(address: str) -> None:
        if as_json:
            print_json({"url": address, "log": shown_url(url), "learns": learn})
        else:
            print(
                f"serving {address} on {shown_url(url)}{', learning' if learn else ''}; stop with Ctrl-C",
                flush=True,
            )

    waiting = serve(
        url,
        service,
        learn=learn,
        pace=settings.learning.pace(),
        loops=settings.loops,
        ingests=settings.ingest if learn else {},
        webhooks=settings.webhooks if learn else {},
        ready=ready,
    )
    where = f"of what was accepted {waiting} records wait in {service.outbox}" if waiting else ""
    logging.getLogger("foldline.cli").info("stopped; %s", where or "everything accepted is on the log")
