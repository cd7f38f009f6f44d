"""The guard: who is asking, may they, and not too often."""

import base64
import math
from collections.abc import Callable
from typing import Final

from foldline.errors import RequestError
from foldline.experiments.definition import ExperimentDefinition
from foldline.serving.keys import Key, Keyring, Role

_SCHEME: Final = "bearer "


class Guard:
    """Checks the key of a request against the keyring.

    Args:
        keyring: the keys.
        experiment: the newest version of an experiment, or None.
    """

    def __init__(
        self, keyring: Keyring, experiment: Callable[[str], ExperimentDefinition | None] = lambda _: None
    ) -> None:
        self._keyring = keyring
        self._experiment = experiment
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, authorization: str | None, role: Role | None, *, now: int, loop: str = "") -> Key | None:
        """Let a request through; the key it showed, None where the service is open.

        Args:
            authorization: the header's value, None where there is none.
            role: what it wants to do; None where any key will do.
            now: milliseconds.
            loop: that it reports to, "" where the path names none.

        Raises:
            RequestError: `http.unauthorized`, `http.forbidden`, `http.rate`.
        """
        if not self._keyring.closed:
            return None
        if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise RequestError(
                "http.unauthorized",
                "this service wants a key: send the header Authorization: Bearer fl_…",
                field="Authorization",
            )
        key = self._keyring.find(authorization[len(_SCHEME) :].strip())
        if key is None or key.is_over(now):
            what = "the key given is unknown"
            if key is not None:
                what = f"the key {key.name!r} " + ("was revoked" if key.revoked else "has expired")
            raise RequestError(
                "http.unauthorized", f"{what}; ask for a new one (foldline keys add)", field="Authorization"
            )
        if key.experiment is not None:
            self._check_token(key, key.experiment, role, loop)
        if not key.allows(role):
            raise RequestError(
                "http.forbidden",
                f"key {key.name!r} has the roles {', '.join(key.roles)}; this needs {role}",
                field="Authorization",
                expected=role,
            )
        if key.rate is not None:
            self._spend(key, key.rate, now)
        return key

    def _check_token(self, key: Key, experiment: str, role: Role | None, loop: str) -> None:
        """An experiment's token reports to its loop, and while it has not ended."""
        if role not in ("decide", "reward") or loop not in ("", key.loop):
            raise RequestError(
                "http.forbidden",
                f"the token of experiment {experiment!r} decides and reports in loop {key.loop!r} alone; results and "
                "everything else want a key of their own",
                field="Authorization",
                expected=key.loop,
            )
        found = self._experiment(experiment)
        if found is None or found.state == "ended":
            raise RequestError(
                "http.forbidden",
                f"experiment {experiment!r}, whose token this is, "
                + ("does not stand on this log" if found is None else "has ended"),
                field="Authorization",
            )

    def _spend(self, key: Key, rate: float, now: int) -> None:
        """A token bucket of one second's worth."""
        tokens, at = self._buckets.get(key.id, (max(rate, 1.0), now))
        # Clocks are set back now and then: no time has passed then, and the bucket goes on from there.
        tokens = min(max(rate, 1.0), tokens + max(0, now - at) / 1000 * rate)
        if tokens < 1.0:
            self._buckets[key.id] = (tokens, now)
            raise RequestError(
                "http.rate",
                f"key {key.name!r} may make {rate:g} requests a second; wait",
                retry_after_s=max(1, math.ceil((1.0 - tokens) / rate)),
            )
        self._buckets[key.id] = (tokens - 1.0, now)


def as_bearer(authorization: str | None) -> str | None:
    """The same, where a browser sent the key as the password it had asked for (RFC 7617)."""
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return authorization
    try:
        _, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return authorization
    return f"Bearer {password}"
