"""The deployment's secret: from the environment, or for a log in a file from a file beside it."""

import contextlib
import os
import secrets
import threading
from pathlib import Path
from typing import Final

from foldline.log.open import sqlite_path
from foldline.models.signing import checked_secret

VARIABLE: Final = "FOLDLINE_SECRET"


class DeploymentSecret:
    """Gives the secret when it is first asked for.

    In `FOLDLINE_SECRET` it is for any log. Without it a log on SQLite has one in a file of its name with `.secret`
    behind, readable by its owner only and made when it is first needed; one in memory has one for its life; a log on
    Kafka has none.

    Args:
        url: of the log.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._known: bytes | None = None

    def __call__(self) -> bytes | None:
        """The secret; None where there is none.

        Raises:
            InputError: `input.invalid` where it is too short.
        """
        with self._lock:
            if self._known is None:
                given = os.environ.get(VARIABLE)
                self._known = given.encode() if given else self._own()
            return None if self._known is None else checked_secret(self._known)

    def _own(self) -> bytes | None:
        if self._url.startswith("memory:"):
            return secrets.token_bytes(32)
        path = sqlite_path(self._url)
        if path is None:
            return None
        file = Path(f"{path}.secret")
        with contextlib.suppress(FileExistsError):
            made = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(secrets.token_hex(32))
            try:
                # Whoever comes first has made it, whole; the others take that one.
                os.link(made, file)
            finally:
                made.unlink()
        return file.read_bytes().strip()
