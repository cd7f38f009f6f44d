"""`foldline policies`: the rules a loop can decide by."""

from typing import Annotated

import typer

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table

app = noun("The rules a loop can decide by.", "foldline policies list")


@app.command("list")
def list_policies(json: AsJson = False) -> None:
    """List the kinds of policies, as `--policy KIND` takes them.

    Example: foldline policies list
    """
    from foldline.policies.registry import POLICIES

    policies = [{"kind": str(policy.__struct_config__.tag), "summary": policy.summary} for policy in POLICIES]
    if json:
        print_json(policies)
    else:
        print_table(["kind", "summary"], [list(policy.values()) for policy in policies])


@app.command("show")
def show_policy(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="As `foldline policies list` names it.")],
    json: AsJson = False,
) -> None:
    """Show a policy's parameters: default, range, unit, meaning. Dials may be turned while a loop runs.

    Example: foldline policies show epsilon_greedy
    """
    from foldline.policies.registry import describe, policy_class

    summary = policy_class(kind).summary
    parameters = [parameter._asdict() for parameter in describe(kind)]
    if json:
        print_json({"kind": kind, "summary": summary, "parameters": parameters})
        return
    print(f"{kind}: {summary}")
    if parameters:
        print()
        print_table(
            ["parameter", "default", "range", "unit", "dial", "meaning"],
            [
                [
                    p["name"],
                    p["default"],
                    p["range"],
                    p["unit"] or None,
                    "yes" if p["dial"] else "no",
                    p["doc"],
                ]
                for p in parameters
            ],
        )
