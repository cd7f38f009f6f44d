"""`foldline experiments token`, `tokens`, `revoke`: who may decide and report in an experiment."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.logs import open_existing
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table
from foldline.loops.instants import format_instant

if TYPE_CHECKING:
    from foldline.experiments.catalogue import ExperimentCatalogue
    from foldline.log.protocol import Log
    from foldline.serving.keys import Key, Keyring

Name = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's.")]


def token(
    name: Name,
    called: Annotated[
        str, typer.Option("--name", metavar="TEXT", help="What people call the token.")
    ] = "token",
    days: Annotated[
        float | None, typer.Option("--days", min=0.001, max=4000, help="Until it expires; by default never.")
    ] = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Make a token that decides and reports in the experiment's loop, for this version; shown this once.

    Example: foldline experiments token ctr --name shop --days 60 --log sqlite:///news.db
    """
    from foldline.records.ids import checked_name
    from foldline.serving.tokens import add_token

    with open_existing(log) as opened:
        one = _experiments(opened).one(name)
        key, made = add_token(_keyring(opened), one, checked_name(called, "name"), days, now=_now())
    if json:
        print_json({**_described(key), "token": made})
        return
    print(made)


def tokens(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List an experiment's tokens: id, name, version, and whether they still hold.

    Example: foldline experiments tokens ctr --log sqlite:///news.db
    """
    from foldline.serving.tokens import tokens_of

    with open_existing(log) as opened:
        found = tokens_of(_keyring(opened), _experiments(opened).one(name).name)
    if json:
        print_json([_described(key) for key in found])
        return
    print_table(
        ["id", "name", "version", "created", "expires", "state"],
        [
            (
                key.id,
                key.name,
                key.version,
                format_instant(key.created),
                None if key.expires is None else format_instant(key.expires),
                key.state(_now()),
            )
            for key in found
        ],
    )


def revoke(
    name: Name,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `experiments tokens` shows it.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Take a token back; running services notice within a second.

    Example: foldline experiments revoke ctr 0a1b2c3d4e5f --log sqlite:///news.db
    """
    from foldline.serving.tokens import revoke_token

    with open_existing(log) as opened:
        key = revoke_token(_keyring(opened), _experiments(opened).one(name).name, id, now=_now())
    if json:
        print_json(_described(key))
        return
    print(f"revoked {key.name} ({key.id})")


def _experiments(log: "Log") -> "ExperimentCatalogue":
    from foldline.engine.experimenting import read_experiments
    from foldline.experiments.catalogue import ExperimentCatalogue

    experiments = ExperimentCatalogue()
    read_experiments(log, experiments)
    return experiments


def _keyring(log: "Log") -> "Keyring":
    from foldline.serving.keys import Keyring

    keyring = Keyring(log)
    keyring.read()
    return keyring


def _described(key: "Key") -> dict[str, object]:
    """All but the hash."""
    return {
        "id": key.id,
        "name": key.name,
        "experiment": key.experiment,
        "version": key.version,
        "loop": key.loop,
        "created": key.created,
        "expires": key.expires,
        "state": key.state(_now()),
    }


def _now() -> int:
    return time.time_ns() // 1_000_000
