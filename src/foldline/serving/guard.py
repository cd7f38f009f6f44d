"""The guard: who is asking, may they, and not too often."""

import base64
import math
from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, Metric

from foldline.errors import RequestError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.succession import fixed_difference
from foldline.serving.keys import Key, Keyring, Role

_SCHEME: Final = "bearer "


class Guard:
    """Checks the key of a request against the keyring.

    Args:
        keyring: the keys.
        versions: every version of an experiment, the oldest first; none of one that is not there.
    """

    def __init__(
        self, keyring: Keyring, versions: Callable[[str], Sequence[ExperimentDefinition]] = lambda _: ()
    ) -> None:
        self._keyring = keyring
        self._versions = versions
        self._buckets: dict[str, tuple[float, float]] = {}
        self._differs: dict[tuple[str, int, int], str | None] = {}
        self._refused: dict[tuple[str, str], int] = {}

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
            text = "this service wants a key: send the header Authorization: Bearer fl_…"
            raise self._refusal("http.unauthorized", "missing", None, text)
        key = self._keyring.find(authorization[len(_SCHEME) :].strip())
        if key is None or key.is_over(now):
            what, why = "the key given is unknown", "unknown"
            if key is not None:
                why = key.state(now)
                what = f"the key {key.name!r} " + ("was revoked" if key.revoked else "has expired")
            make = f"experiments token {key.experiment}" if key is not None and key.experiment else "keys add"
            raise self._refusal("http.unauthorized", why, key, f"{what}; ask for a new one (foldline {make})")
        if key.experiment is not None:
            self._check_token(key, key.experiment, role, loop)
        if not key.allows(role):
            text = f"key {key.name!r} has the roles {', '.join(key.roles)}; this needs {role}"
            raise self._refusal("http.forbidden", "role", key, text, role)
        if key.rate is not None:
            self._spend(key, key.rate, now)
        return key

    def _check_token(self, key: Key, experiment: str, role: Role | None, loop: str) -> None:
        """An experiment's token reports to its loop, for the version it was made of, and while that has not ended."""
        if role not in ("decide", "reward") or loop not in ("", key.loop):
            text = (
                f"the token of experiment {experiment!r} decides and reports in loop {key.loop!r} alone; results and "
                "everything else want a key of their own"
            )
            raise self._refusal("http.forbidden", "elsewhere", key, text, key.loop)
        versions = self._versions(experiment)
        if not versions or versions[-1].state == "ended":
            what = "has ended" if versions else "does not stand on this log"
            text = f"experiment {experiment!r}, whose token this is, {what}"
            raise self._refusal("http.forbidden", "ended" if versions else "unknown_experiment", key, text)
        differs = self._difference(key.version, versions)
        if differs is not None:
            text = (
                f"the token {key.name!r} is of version {key.version} of experiment {experiment!r}, and version "
                f"{versions[-1].version} has another {differs}; ask for a new one (foldline experiments token "
                f"{experiment})"
            )
            raise self._refusal("http.forbidden", "version", key, text)

    def _difference(self, version: int | None, versions: Sequence[ExperimentDefinition]) -> str | None:
        """What of the newest version is not as in the token's, or None."""
        newest = versions[-1]
        if version is None or version == newest.version:
            return None
        asked = (newest.name, version, newest.version)
        if asked not in self._differs:
            mine = next((one for one in versions if one.version == version), None)
            self._differs[asked] = "history" if mine is None else fixed_difference(mine, newest)
        return self._differs[asked]

    def _refusal(
        self, code: str, why: str, key: Key | None, message: str, expected: str | None = None
    ) -> RequestError:
        """The error of a refusal, counted."""
        self._count(why, key)
        return RequestError(code, message, field="Authorization", expected=expected)

    def _count(self, why: str, key: Key | None) -> None:
        counted = (key.experiment or "" if key is not None else "", why)
        self._refused[counted] = self._refused.get(counted, 0) + 1

    def metrics(self) -> Metric:
        """Refusals by the experiment whose token was shown, "" where it was none, and by why."""
        refused = CounterMetricFamily(
            "foldline_refused_keys", "requests refused for their key or token", labels=["experiment", "why"]
        )
        for labels, count in tuple(self._refused.items()):
            refused.add_metric(labels, count)
        return refused

    def _spend(self, key: Key, rate: float, now: int) -> None:
        """A token bucket of one second's worth."""
        tokens, at = self._buckets.get(key.id, (max(rate, 1.0), now))
        # Clocks are set back now and then: no time has passed then, and the bucket goes on from there.
        tokens = min(max(rate, 1.0), tokens + max(0, now - at) / 1000 * rate)
        if tokens < 1.0:
            self._buckets[key.id] = (tokens, now)
            self._count("rate", key)
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
