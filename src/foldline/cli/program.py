"""The program `foldline`: finds the noun's module, runs it, and words what went wrong.

A new noun is one module with a typer app named `app`, and one line in `NOUNS`. A noun's module is imported when
its command runs (all of them for `foldline --help`), so what is heavy in it (numpy, numba, apsw) is imported
inside its functions; a test holds that.
"""

import json
import signal
import sys
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from foldline.cli.noun import SETTINGS
from foldline.errors import FoldlineError

NOUNS = {
    "up": "foldline.cli.up",
    "serve": "foldline.cli.serve",
    "learn": "foldline.cli.learn",
    "ingest": "foldline.cli.ingest",
    "demo": "foldline.cli.demo",
    "design": "foldline.cli.design",
    "evaluate": "foldline.cli.evaluate",
    "replay": "foldline.cli.replay",
    "loops": "foldline.cli.loops",
    "experiments": "foldline.cli.experiments",
    "policies": "foldline.cli.policies",
    "models": "foldline.cli.models",
    "keys": "foldline.cli.keys",
    "topics": "foldline.cli.topics",
    "check": "foldline.cli.check",
}
"""Module of each noun, in the order of the help page."""

_WRONG_INPUT = frozenset({"caller", "configuration", "data"})


class _Nouns(UserDict[str, Any]):
    """The commands by name; a module is imported when its command is asked for."""

    def __getitem__(self, name: str) -> Any:
        command = typer.main.get_command(import_module(self.data[name]).app)
        command.name = name
        return command


class _Program(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Nouns(NOUNS)


app = typer.Typer(cls=_Program, no_args_is_help=True, **SETTINGS)


def _print_version(wanted: bool) -> None:
    if wanted:
        from foldline import __version__

        print(f"foldline {__version__}")
        raise typer.Exit


@app.callback()
def foldline(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Decisions that learn, over one event log.

    Exit status: 0 done, 1 failed, 2 the command, a setting or the data given is at fault, 130 interrupted.

    Example: foldline demo news --headless
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; resources are closed on the way out, on Ctrl-C and SIGTERM too.

    Args:
        arguments: what follows the program's name; the process's own by default.

    Raises:
        SystemExit: always, with the exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        app(given, prog_name="foldline")
    except FoldlineError as error:
        print(_worded(error, as_json="--json" in given), file=sys.stderr)
        sys.exit(2 if error.fault in _WRONG_INPUT else 1)


def _exit_on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _worded(error: FoldlineError, *, as_json: bool) -> str:
    """One line for people, or one JSON object for programs."""
    if not as_json:
        return "foldline: " + " ".join(str(error).split())
    return json.dumps(
        {"code": error.code, "message": error.args[0], "field": error.field}, ensure_ascii=False
    )
