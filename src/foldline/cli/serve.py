"""`foldline serve`: answer requests."""

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.roles import (
    ConfigFile,
    HostOption,
    LogForm,
    LogOption,
    OutboxOption,
    PortOption,
    run_service,
)

app = noun()


@app.command()
def serve(
    config: ConfigFile = None,
    log: LogOption = None,
    host: HostOption = None,
    port: PortOption = None,
    outbox: OutboxOption = None,
    log_format: LogForm = None,
    json: AsJson = False,
) -> None:
    """Answer requests, and leave the learning to other processes on the same log.

    Example: foldline serve --log sqlite:///news.db --port 8080
    """
    run_service(config, log, host, port, log_format, outbox, learn=False, as_json=json)
