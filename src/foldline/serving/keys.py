"""Keys: who may ask the service what. On the log stand only their hashes.

A key is shown once, when it is made: `fl_<id>_<secret>`, the secret 32 random bytes. Being random it needs no slow
hash: SHA-256 of it is as hard to invert as the secret is to guess.
"""

import hashlib
import hmac
import secrets
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from foldline.engine.restore import rows_from
from foldline.errors import InputError
from foldline.log.protocol import Batch, Log, Topic

Role = Literal["decide", "reward", "admin"]

KEYS = "foldline.keys"
"""Every key by its id; compacted."""


class Key(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="key"):
    """A key as it stands on the log.

    Attributes:
        id: 12 hex digits, part of the token.
        hash: SHA-256 of the secret, hex.
        name: what people call it.
        roles: what it may do; `admin` may do everything.
        created: milliseconds since 1970-01-01 UTC.
        expires: milliseconds; None for never.
        rate: requests a second it may make, with bursts of as many; None for any number.
        revoked: whether it was taken back.
        experiment: the experiment whose token it is: it then reports to that experiment's loop alone, until the
            experiment has ended.
        version: of the experiment that it was made for; None in tokens made before it was written down.
        loop: of that experiment.
    """

    id: str
    hash: str
    name: str
    roles: tuple[Role, ...]
    created: int
    expires: int | None = None
    rate: Annotated[float, Meta(gt=0)] | None = None
    revoked: bool = False
    experiment: str | None = None
    version: int | None = None
    loop: str | None = None

    def is_over(self, now: int) -> bool:
        """Whether it was revoked or has expired."""
        return self.revoked or (self.expires is not None and self.expires <= now)

    def state(self, now: int) -> str:
        """`valid`, `revoked` or `expired`."""
        return "revoked" if self.revoked else "expired" if self.is_over(now) else "valid"

    def allows(self, role: Role | None) -> bool:
        """Whether it may act in a role; None asks for any key at all."""
        return role is None or role in self.roles or "admin" in self.roles


class Keyring:
    """The keys on a log, as of the last `read`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._offset = 0
        self._keys: dict[str, Key] = {}
        self.closed = False
        log.create(Topic(KEYS, 1, "compact"))

    def read(self) -> None:
        """Read what is new on the log."""
        for row in rows_from(self._log, KEYS, 0, self._offset):
            key = msgspec.json.decode(row.payload, type=Key)
            self._keys[key.id] = key
            self._offset = row.end
        # One key ever made closes the service to the public for good: revoking the last must not open it again.
        self.closed = bool(self._keys)

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        return sorted(self._keys.values(), key=lambda key: (key.created, key.id))

    def add(
        self,
        name: str,
        roles: tuple[Role, ...],
        *,
        now: int,
        expires: int | None = None,
        rate: float | None = None,
        experiment: str | None = None,
        version: int | None = None,
        loop: str | None = None,
    ) -> tuple[Key, str]:
        """Make a key, or an experiment's token; the key and its token, which is stored nowhere."""
        if not roles:
            raise InputError("input.invalid", f"key {name!r}: expected at least one role", field="role")
        id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        key = Key(
            id=id,
            hash=_hashed(secret),
            name=name,
            roles=roles,
            created=now,
            expires=expires,
            rate=rate,
            experiment=experiment,
            version=version,
            loop=loop,
        )
        self._write(key, now)
        return key, f"fl_{id}_{secret}"

    def revoke(self, id: str, *, now: int) -> Key:
        """Take a key back.

        Raises:
            InputError: `input.invalid` for an id that no key has.
        """
        self.read()
        if id not in self._keys:
            raise InputError(
                "input.invalid",
                f"no key has the id {id!r}; expected one of {', '.join(self._keys) or '(there is none)'}",
                field="id",
                value=id,
            )
        key = msgspec.structs.replace(self._keys[id], revoked=True)
        self._write(key, now)
        return key

    def find(self, token: str) -> Key | None:
        """The key of a token, if it is one of ours: also one that was revoked or has expired."""
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        key = self._keys.get(id)
        # Compared even where there is no such key, so that the time taken does not tell ids that exist.
        same = hmac.compare_digest(_hashed(secret), key.hash if key is not None else "0" * 64)
        return key if key is not None and same and prefix == "fl" else None

    def _write(self, key: Key, now: int) -> None:
        payload = msgspec.json.encode(key)
        self._log.append([Batch(KEYS, 0, payload, 1, now, now, key.id.encode())])
        self.read()


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()
