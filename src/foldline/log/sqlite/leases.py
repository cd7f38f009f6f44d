"""Leases in the file: who may write in a role. The epoch is the truth, the expiry only says who may take it."""

from collections.abc import Sequence

import apsw

from foldline.log.protocol import Lease
from foldline.log.sqlite.fetch import fetch


def take(connection: apsw.Connection, name: str, holder: str, now: int, expires: int) -> Lease | None:
    """Take or renew a lease inside the caller's transaction; None while another holder's has not expired."""
    found = fetch(connection, "SELECT holder, epoch, expires FROM leases WHERE name = ?", (name,))
    owner, epoch, until = found[0] if found else ("", 0, 0)
    if owner not in ("", holder) and until > now:
        return None
    if owner != holder:
        epoch += 1
    connection.execute("REPLACE INTO leases VALUES (?, ?, ?, ?)", (name, holder, epoch, expires))
    return Lease(name, holder, epoch)


def give_up(connection: apsw.Connection, leases: Sequence[Lease]) -> None:
    """Release those that are still the newest; their rows stay, so that the next epochs are higher still."""
    connection.executemany(
        "UPDATE leases SET holder = '', expires = 0 WHERE name = ? AND epoch = ? AND holder = ?",
        [(lease.name, lease.epoch, lease.holder) for lease in leases],
    )


def held(connection: apsw.Connection, prefix: str, now: int) -> list[str]:
    """Names of the leases held that begin so, in order."""
    query = (
        "SELECT name FROM leases WHERE name >= ? AND name < ? AND holder != '' AND expires > ? ORDER BY name"
    )
    return [str(name) for (name,) in fetch(connection, query, (prefix, prefix + "\U0010ffff", now))]
