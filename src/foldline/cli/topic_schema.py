"""`foldline topics schema`: the JSON Schema of the records on event topics."""

import json as json_text
from typing import Annotated

import typer

from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table


def schema(
    type_name: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="Of record, such as reward; else all are listed.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Print the JSON Schema (2020-12) of a record type of event topics, or list the types.

    With --json and no TYPE, one object with the schema of every type.

    Example: foldline topics schema reward > reward.json
    """
    from foldline.records import schemas

    if type_name is not None:
        found = schemas.schema(type_name)
        if json:
            print_json(found)
        else:
            print(json_text.dumps(found, indent=2, ensure_ascii=False))
    elif json:
        print_json(schemas.schemas())
    else:
        rows = [[name, each["description"]] for name, each in schemas.schemas().items()]
        print_table(["type", "meaning"], rows)
