"""`foldline keys`: who may ask the service what."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table
from foldline.loops.instants import format_instant

if TYPE_CHECKING:
    from foldline.serving.keys import Key

MOST = 1e6
"""Greatest number of days, and of requests a second, a key may be limited to."""

app = noun("Who may ask the service what.", "foldline keys add ops --role admin --log sqlite:///shop.db")


@app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    role: Annotated[
        list[str], typer.Option("--role", metavar="decide|reward|admin", help="May be given several times.")
    ],
    days: Annotated[float | None, typer.Option(help="Days until it expires; for ever by default.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second it may make; any number by default.")
    ] = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Make a key and print it. It is shown this once; the log holds only a hash of it.

    Example: foldline keys add shop --role decide --role reward --log sqlite:///news.db
    """
    from foldline.errors import InputError
    from foldline.log.open import open_log
    from foldline.records.ids import checked_name
    from foldline.serving.keys import Keyring, Role

    known: dict[str, Role] = {"decide": "decide", "reward": "reward", "admin": "admin"}
    for each in role:
        if each not in known:
            raise InputError("input.invalid", f"--role {each!r}: expected {', '.join(known)}", field="role")
    for option, number in (("days", days), ("rate", rate)):
        if number is not None and not 0.0 < number <= MOST:
            raise InputError(
                "input.invalid",
                f"--{option} {number!r}: expected a number above 0, at most {MOST:g}; leave it out for no limit",
                field=option,
                value=number,
            )
    now = time.time_ns() // 1_000_000
    expires = None if days is None else now + round(days * 86_400_000)
    with open_log(log) as opened:
        keyring = Keyring(opened)
        keyring.read()
        key, token = keyring.add(
            checked_name(name, "name"),
            tuple(known[r] for r in dict.fromkeys(role)),
            now=now,
            expires=expires,
            rate=rate,
        )
    if json:
        print_json({"id": key.id, "name": key.name, "roles": list(key.roles), "token": token})
        return
    print(token)


@app.command("list")
def list_keys(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List keys: id, name, roles, and whether they still hold.

    Example: foldline keys list --log sqlite:///news.db
    """
    from foldline.serving.keys import Keyring

    now = time.time_ns() // 1_000_000
    with open_existing(log) as opened:
        keyring = Keyring(opened)
        keyring.read()
        keys = keyring.all()
    if json:
        print_json([_described(key, now) for key in keys])
        return
    print_table(
        ["id", "name", "roles", "created", "expires", "rate", "state"],
        [
            (
                key.id,
                key.name,
                ", ".join(key.roles),
                format_instant(key.created),
                None if key.expires is None else format_instant(key.expires),
                key.rate,
                key.state(now),
            )
            for key in keys
        ],
    )


@app.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Take a key back; running services notice within a second.

    Example: foldline keys revoke 0a1b2c3d4e5f --log sqlite:///news.db
    """
    from foldline.serving.keys import Keyring

    with open_existing(log) as opened:
        key = Keyring(opened).revoke(id, now=time.time_ns() // 1_000_000)
    if json:
        print_json({"id": key.id, "name": key.name, "state": "revoked"})
        return
    print(f"revoked {key.name} ({key.id})")


def _described(key: "Key", now: int) -> dict[str, object]:
    """All but the hash."""
    return {
        "id": key.id,
        "name": key.name,
        "roles": list(key.roles),
        "created": key.created,
        "expires": key.expires,
        "rate": key.rate,
        "state": key.state(now),
    }
