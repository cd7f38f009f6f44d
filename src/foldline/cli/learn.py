"""`foldline learn`: learn and publish."""

import logging

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json
from foldline.cli.roles import ConfigFile, LogForm, LogOption, settle
from foldline.log.shown_url import shown_url

app = noun()


@app.command()
def learn(
    config: ConfigFile = None, log: LogOption = None, log_format: LogForm = None, json: AsJson = False
) -> None:
    """Learn every loop of a log and publish its bundles, until Ctrl-C or SIGTERM.

    Several may run; they share the partitions out.

    Example: foldline learn --log sqlite:///news.db
    """
    from foldline.app.roles import learn as run

    settings, url = settle(config, log, log_format)

    def ready() -> None:
        if json:
            print_json({"log": shown_url(url), "learns": True})
        else:
            print(f"learning on {shown_url(url)}; stop with Ctrl-C", flush=True)

    run(
        url,
        pace=settings.learning.pace(),
        loops=settings.loops,
        webhooks=settings.webhooks,
        ready=ready,
    )
    logging.getLogger("foldline.cli").info("stopped; what was learnt is on the log")
