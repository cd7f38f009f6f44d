"""States in a form that runs code when loaded are taken only with the deployment's signature.

HMAC-SHA-256 (RFC 2104) under the deployment's secret, in front of the bytes it signs.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from foldline.errors import FoldError, InputError

Secret = Callable[[], bytes | None]
"""Gives the deployment's secret; None where it has none."""

LEAST_SECRET: Final = 16
"""Bytes a secret must have."""

_SIZE: Final = hashlib.sha256().digest_size


def no_secret() -> None:
    """For those who only look at definitions."""


def checked_secret(secret: bytes) -> bytes:
    """The secret, if it is long enough.

    Raises:
        InputError: `input.invalid`.
    """
    if len(secret) < LEAST_SECRET:
        raise InputError(
            "input.invalid",
            f"the secret has {len(secret)} bytes, expected {LEAST_SECRET} or more; "
            "make one with: python -c 'import secrets; print(secrets.token_hex(32))'",
            field="secret",
        )
    return secret


def sign(data: bytes, secret: bytes, purpose: bytes) -> bytes:
    """The data with its signature before it.

    Args:
        data: what to sign.
        secret: the deployment's.
        purpose: what the data are for; signed too, so that they are taken for nothing else.
    """
    return hmac.digest(secret, purpose + b"\0" + data, "sha256") + data


def verified(signed: bytes, secret: bytes, purpose: bytes) -> bytes:
    """The data that `sign` signed; compared in constant time.

    Raises:
        FoldError: `fold.unsigned` where the signature is not of this secret and purpose. Nothing was loaded.
    """
    signature, data = signed[:_SIZE], signed[_SIZE:]
    if not hmac.compare_digest(signature, hmac.digest(secret, purpose + b"\0" + data, "sha256")):
        raise FoldError(
            "fold.unsigned",
            f"a state of {len(data)} bytes for {purpose.decode(errors='replace')} bears no signature of this "
            "deployment's secret; run every process with the same secret, or fold again from offset 0",
        )
    return data
