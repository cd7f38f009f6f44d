"""`foldline loops`: what is decided on a log, and what was learnt."""

from typing import Annotated

import typer

from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table
from foldline.loops.instants import format_instant

app = noun("What is decided, and what was learnt.", "foldline loops list --log sqlite:///shop.db")


@app.command("list")
def list_loops(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List loops: definition version, policy, actions, partitions, decisions learnt.

    Example: foldline loops list --log sqlite:///news.db
    """
    from foldline.engine.defining import read_catalogue
    from foldline.engine.known import KnownStates
    from foldline.loops.catalogue import Catalogue
    from foldline.loops.estimate import counts_of

    with open_existing(log) as opened:
        catalogue = Catalogue()
        read_catalogue(opened, catalogue)
        loops = []
        for name in catalogue.names():
            definition = catalogue.one(name)
            states = KnownStates(opened, definition)
            states.read()
            loops.append(
                {
                    "loop": name,
                    "version": definition.version,
                    "policy": definition.policy["kind"],
                    "actions": len(definition.actions),
                    "partitions": definition.partitions,
                    "learnt": counts_of(states.merged(), definition.reward.unit_bits)["learnt"],
                }
            )
    if json:
        print_json(loops)
        return
    headers = ["loop", "version", "policy", "actions", "partitions", "learnt"]
    print_table(headers, [[loop[header] for header in headers] for loop in loops])


@app.command("show")
def show_loop(
    loop: Annotated[str, typer.Argument(metavar="LOOP", help="Its name.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Show a loop: its definition, newest bundle, counts, and an estimate per action.

    Example: foldline loops show news --log sqlite:///news.db
    """
    import msgspec

    from foldline.engine.defining import read_catalogue
    from foldline.engine.known import KnownStates
    from foldline.engine.publisher import newest_bundle
    from foldline.loops.bundle import header_of
    from foldline.loops.catalogue import Catalogue
    from foldline.loops.cut import format_cut
    from foldline.loops.estimate import counts_of, estimates_of
    from foldline.loops.topics import topics_of

    with open_existing(log) as opened:
        catalogue = Catalogue()
        read_catalogue(opened, catalogue)
        definition = catalogue.one(loop)
        states = KnownStates(opened, definition)
        states.read()
        known = states.merged()
        bundle = newest_bundle(opened, topics_of(definition).policy)
    counts = counts_of(known, definition.reward.unit_bits)
    estimates = estimates_of(states.fold, known) if known.vocabulary.version else []
    if json:
        print_json(
            {
                "definition": msgspec.to_builtins(definition),
                "bundle": msgspec.to_builtins(header_of(bundle)) if bundle is not None else None,
                "counts": counts.values | {"reward_sum": counts.reward_sum},
                "estimates": msgspec.to_builtins(estimates),
            }
        )
        return
    policy = dict(definition.policy)
    kind = policy.pop("kind")
    dials = ", ".join(f"{name} {value}" for name, value in policy.items())
    print(f"{definition.name}, version {definition.version}: {kind} ({dials})")
    if bundle is not None:
        print(f"bundle {bundle.hash} of {format_instant(bundle.time)} at {format_cut(bundle.cut)}")
    shown = {name: value for name, value in counts.values.items() if value}
    print(", ".join(f"{name} {value:,}" for name, value in shown.items()) or "nothing folded yet")
    print()
    rows = [(e.action, e.pulls, None if e.mean is None else f"{e.mean:.4f}") for e in estimates]
    print_table(["action", "pulls", "mean reward"], rows)
