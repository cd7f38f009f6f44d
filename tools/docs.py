"""Writes the pages of docs/ that follow from the code. `make docs` runs it; `make house` says which are stale.

A new page is a function that returns its text, and a line in `PAGES`.
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import typer

from foldline.cli.noun import SETTINGS
from foldline.cli.program import app
from foldline.errors import CODES
from foldline.policies.registry import POLICIES, describe
from foldline.records.schemas import RECORD_TYPES, schema

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100

FAMILIES = {
    "input": ("InputError", "The caller gave something that cannot be. Nothing was written. Exit status 2."),
    "definition": (
        "DefinitionError",
        "A definition contradicts itself or its past. Nothing was written. Exit status 2.",
    ),
    "record": (
        "RecordError",
        "One record cannot be used. It goes to the dead-letter topic and the fold goes on.",
    ),
    "log": ("LogError", "The log refused or cannot serve. Exit status 1."),
    "fold": ("FoldError", "A state cannot be restored or continued. Exit status 1."),
    "http": (
        "RequestError",
        (
            "The service does not take the request, or the client could not have it served. Nothing was written, "
            "except where a connection broke before any answer came."
        ),
    ),
    "edge": ("RequestError", "An edge client cannot keep what was decided or reported. Nothing was written."),
    "install": ("MissingExtra", "An optional dependency is missing. Exit status 2."),
}
"""Class and consequence of each family of codes."""

GENERATED = "<!-- Written by `make docs`; edit the code it follows from. -->\n"


_ERRORS = """\
Every error raised on purpose is a `foldline.FoldlineError` with a stable `code`, the `field` at fault where there is one, and a message that says what was given, what was expected, and where.
The command line prints one line, or with `--json` one object `{"code", "message", "field"}`, on stderr.
"""  # noqa: E501 - one sentence a line

_CLI = """\
`--log URL` names the event log, else the variable `FOLDLINE_LOG`, else `sqlite:///foldline.db`.
`--json` prints JSON for programs: one value, or one object a line where a command streams.
Errors are one line on stderr; [errors.md](errors.md) has the codes.
"""

_POLICIES = """\
On the command line: `--policy KIND` or `--policy KIND:name=value,name=value`.
In JSON: `{"kind": "epsilon_greedy", "epsilon": 0.05}`. In Python: `fl.EpsilonGreedy(0.05)`.
A *dial* may be turned while the loop runs; changing any other parameter starts a new fold.
"""


_SCHEMAS = """\
What stands on an event topic: one JSON object a line, its `type` first as Foldline writes it, absent fields left out.
[schemas/](schemas/) has the JSON Schema (2020-12) of each type; `foldline topics schema TYPE` prints it.
Any program may write such records, as [kafka.md](kafka.md) shows; fields that a type does not have are passed over.
A line that does not fit is a dead letter (`record.undecodable`, `record.schema`), and the fold goes on.
"""


def errors_page() -> str:
    """Every error code with cause and remedy."""
    parts = [
        f"# Errors\n\n{GENERATED}",
        _ERRORS,
    ]
    for family, (name, consequence) in FAMILIES.items():
        parts.append(f"## {name}\n\n{consequence}\n\n| code | cause | what to do |\n|---|---|---|")
        for code, text in CODES.items():
            if code.split(".")[0] == family:
                cause, _, remedy = text.partition("; ")
                parts[-1] += f"\n| `{code}` | {_cell(cause)} | {_cell(remedy)} |"
        parts[-1] += "\n"
    return "\n".join(parts)


def cli_page() -> str:
    """The help page of every command."""
    parts = [
        f"# The command line\n\n{GENERATED}",
        _CLI,
    ]
    for path, text in command_helps():
        level = "#" * (1 + len(path.split()))
        parts.append(f"{level} `{path}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def policies_page() -> str:
    """Every policy with its parameters."""
    parts = [
        f"# Policies\n\n{GENERATED}",
        _POLICIES,
    ]
    for policy in POLICIES:
        kind = str(policy.__struct_config__.tag)
        parts.append(f"## {kind}\n\nIn short: {policy.summary}.\n")
        rows = [
            f"| `{p.name}` | {_code(p.default)} | {_cell(p.range)} | {p.unit or '–'} | {'yes' if p.dial else 'no'} "
            f"| {_cell(p.doc)} |"
            for p in describe(kind)
        ]
        if rows:
            header = "| parameter | default | range | unit | dial | meaning |\n|---|---|---|---|---|---|"
            parts.append("\n".join([header, *rows]) + "\n")
    return "\n".join(parts)


def schemas_page() -> str:
    """Every record type with its fields."""
    parts = [f"# Records\n\n{GENERATED}", _SCHEMAS]
    for name in RECORD_TYPES:
        found = schema(name)
        parts.append(f"## {name}\n\n{found['description']} [Schema](schemas/{name}.json).\n")
        rows = [
            f"| `{field}` | {_cell(_type_of(each))} | {'yes' if field in found['required'] else 'no'} "
            f"| {_cell(each.get('description', '–'))} |"
            for field, each in found["properties"].items()
            if field != "type"
        ]
        parts.append("\n".join(["| field | type | required | meaning |\n|---|---|---|---|", *rows]) + "\n")
    parts.append("A reward names exactly one of `decision` and `unit`.\n")
    return "\n".join(parts)


def schema_file(name: str) -> str:
    """The JSON Schema of one record type."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "docs/errors.md": errors_page,
    "docs/cli.md": cli_page,
    "docs/policies.md": policies_page,
    "docs/schemas.md": schemas_page,
    **{f"docs/schemas/{name}.json": partial(schema_file, name) for name in RECORD_TYPES},
}
"""The generated pages, by path."""


def command_helps() -> Iterator[tuple[str, str]]:
    """Each command, nouns before their verbs, with its help page at a fixed width."""
    root = typer.main.get_command(app)
    yield from _helps("foldline", root, None)


def stale(root: Path) -> list[str]:
    """The pages under `root` that are missing or differ from what the code says."""
    return [
        path
        for path, page in PAGES.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != page()
    ]


def main() -> None:
    """Write every page that is stale."""
    for path in stale(ROOT):
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(PAGES[path](), encoding="utf-8")
        print(f"wrote {path}")


def _helps(path: str, command: Any, above: typer.Context | None) -> Iterator[tuple[str, str]]:
    context = typer.Context(
        command,
        info_name=path.rsplit(maxsplit=1)[-1],
        parent=above,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        **SETTINGS["context_settings"],
    )
    yield path, command.get_help(context).rstrip()
    for verb in getattr(command, "commands", {}):
        yield from _helps(f"{path} {verb}", command.commands[verb], context)


def _type_of(field: dict[str, Any]) -> str:
    """A field's type in words, with its bounds."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(map(_type_of, field["anyOf"])))
    if "enum" in field:
        return ", ".join(map(repr, field["enum"])).replace("'", "`")
    word = str(field.get("type", "any"))
    if "minimum" in field:
        least, most = field["minimum"], field.get("maximum")
        word += f", at least {least}" if most is None else f", {least} to {most}"
    if "maxLength" in field:
        word += f", {field['minLength']} to {field['maxLength']} characters"
    return word


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return text if text == "required" else f"`{text}`"


if __name__ == "__main__":
    main()
