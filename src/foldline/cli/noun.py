"""The typer app of a noun, so that all nouns look and behave alike."""

from typing import Any

import typer

SETTINGS: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""Plain help pages, tracebacks as Python prints them, `-h`."""


def noun(summary: str | None = None, example: str = "") -> typer.Typer:
    """An app for a noun.

    Args:
        summary: of a noun with verbs, for the help page; None for one that is a command itself, which is then its
            only function and summarized by its docstring.
        example: of a noun with verbs: a command, of which its verbs' pages have more.
    """
    if summary is not None:
        summary = f"{summary}\n\nExample: {example}"
    return typer.Typer(help=summary, no_args_is_help=summary is not None, add_completion=False, **SETTINGS)
