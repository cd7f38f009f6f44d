"""Options that every command spells alike."""

from typing import Annotated

import typer

DEFAULT_LOG = "sqlite:///foldline.db"

LogUrl = Annotated[
    str,
    typer.Option(
        "--log",
        envvar="FOLDLINE_LOG",
        metavar="URL",
        help="The event log: sqlite:///relative.db, sqlite:////absolute.db or kafka://host:port/namespace.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
