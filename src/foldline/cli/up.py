"""`foldline up`: everything in one process."""

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
def up(
    config: ConfigFile = None,
    log: LogOption = None,
    host: HostOption = None,
    port: PortOption = None,
    outbox: OutboxOption = None,
    log_format: LogForm = None,
    json: AsJson = False,
) -> None:
    """Serve, learn and publish in one process, until Ctrl-C or SIGTERM; nothing accepted is lost.

    The configuration's ingests run too: foreign topics are copied onto their loops.
    Prints the address once requests are answered.

    Example: foldline up --log sqlite:///news.db --port 8080
    """
    run_service(config, log, host, port, log_format, outbox, learn=True, as_json=json)
