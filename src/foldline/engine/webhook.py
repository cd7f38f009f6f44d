"""A webhook: tells another program of verdicts and breaches, signed, until it has taken them.

Requests are those of Standard Webhooks 1.0: an id that stays the same however often it is sent, a timestamp, and a
signature over both and the body, so that any of its libraries verifies them. How far a hook has come stands on the
log and is written after the receiver has answered: nothing is forgotten, and what was taken twice has one id.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import logging
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from foldline.engine.announcer import Announcement
from foldline.engine.defining import read_catalogue
from foldline.engine.experimenting import read_experiments
from foldline.engine.restore import rows_from
from foldline.errors import InputError, LogError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.log.protocol import Batch, Lease, Log, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.instants import format_instant
from foldline.loops.topics import verdicts_of

_logger = logging.getLogger("foldline.engine")

WEBHOOKS: Final = "foldline.webhooks"
"""The next announcement of every hook, by experiment; compacted."""

PREFIX: Final = "whsec_"
TIMEOUT_S: Final = 10.0
LEASE_S: Final = 30.0
"""Longer than one request may take."""

LEAST_WAIT_MS: Final = 1_000
MOST_WAIT_MS: Final = 300_000
"""Between two tries; it doubles from one to the next."""

PATIENCE_MS: Final = 3 * 86_400_000
"""An announcement that was refused for so long is given up."""

AGAIN: Final = frozenset({408, 409, 425, 429})
"""Refusals that may pass; any other of the four hundreds will not."""

Kind = Literal["verdict", "revision", "breach"]


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to tell of what.

    Attributes:
        url: `https://…`, or `http://` of this machine.
        secret_env: the environment variable that holds the secret, `whsec_` and base64.
        events: what to tell of.
        insecure: whether `http://` of other machines is allowed.
    """

    url: str
    secret_env: Annotated[str, Meta(min_length=1)]
    events: tuple[Kind, ...] = ("verdict", "revision", "breach")
    insecure: bool = False


class WebhookMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="webhook"):
    """How far a hook has come in an experiment's announcements.

    Attributes:
        time: when it was written, milliseconds.
        hook: its name.
        topic: of the announcements.
        next: how many of them are done with.
        given_up: of those, how many were never taken.
    """

    time: int
    hook: str
    topic: str
    next: int
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        body: JSON: `type` (`experiment.verdict` …), `timestamp` (ISO 8601) and `data`, the announcement.
        headers: id, timestamp, signature, content type.
    """

    body: bytes
    headers: dict[str, str]


Send = Callable[[str, Request], int]
"""Sends to an address; the status of the answer, 0 where there was none."""


def check_webhook(settings: WebhookSettings) -> None:
    """Refuse an address that would send verdicts in the clear.

    Raises:
        InputError: `input.invalid`.
    """
    parts = urlsplit(settings.url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and parts.hostname and (settings.insecure or _is_here(parts.hostname)):
        return
    raise InputError(
        "input.invalid",
        f"url {settings.url!r}: expected https://…, or http:// of this machine; insecure = true allows others",
        field="url",
        value=settings.url,
    )


def secret_of(text: str) -> bytes:
    """The key in a secret as people are given it.

    Raises:
        InputError: `input.invalid`; the secret is not repeated.

    Example:
        >>> secret_of("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ=")
        b'secret-secret-secret'
    """
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < 16:
        raise InputError(
            "input.invalid",
            f"the webhook's secret is not {PREFIX} and at least 16 bytes in base64 (openssl rand -base64 24)",
            field="secret_env",
        )
    return key


def signed(key: bytes, id: str, now_s: int, body: bytes) -> Request:
    """The request, signed.

    Args:
        key: of the receiver.
        id: the same however often it is sent.
        now_s: seconds since 1970-01-01 UTC.
        body: what is sent.
    """
    digest = hmac.new(key, f"{id}.{now_s}.".encode() + body, hashlib.sha256).digest()
    return Request(
        body,
        {
            "content-type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        },
    )


def post(url: str, request: Request) -> int:
    """Send it; the status, or 0 where nobody answered. Follows no redirection."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            parts.netloc, timeout=TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, request.body, request.headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        _logger.warning("webhook to %s: %s", parts.netloc, error)
        return 0
    finally:
        connection.close()


class Webhook:
    """Sends what was announced, while it holds the lease. Not thread-safe.

    Args:
        log: the log.
        name: the hook's.
        settings: checked.
        key: from `secret_of`.
        holder: names this process in the lease.
        send: sends a request.
    """

    def __init__(
        self, log: Log, name: str, settings: WebhookSettings, key: bytes, holder: str, *, send: Send = post
    ) -> None:
        self.name = name
        self._log, self._settings, self._key, self._holder, self._send = log, settings, key, holder, send
        self._lease: Lease | None = None
        self._asked_at = 0
        self._offset = 0
        self._marks: dict[str, WebhookMark] = {}
        self._tries: dict[str, tuple[int, int]] = {}
        self._loops, self._experiments = Catalogue(), ExperimentCatalogue()
        log.create(Topic(WEBHOOKS, 1, "compact"))

    def step(self, *, now: int) -> int:
        """Send what is due; how many announcements were done with.

        Args:
            now: milliseconds.

        Raises:
            LogError: the log does not answer; call it again.
        """
        if not self._owns(now):
            return 0
        read_catalogue(self._log, self._loops)
        read_experiments(self._log, self._experiments)
        done = 0
        for name in self._experiments.names():
            topic = verdicts_of(self._loops.one(self._experiments.one(name).loop), name)
            if self._tries.get(topic, (0, 0))[1] <= now:
                done += self._deliver(topic, now)
        return done

    def close(self) -> None:
        """Give the lease up."""
        if self._lease is not None:
            self._log.release(self._lease)
            self._lease = None

    def _owns(self, now: int) -> bool:
        if not self._asked_at or now - self._asked_at >= LEASE_S * 1000 / 3:
            held = self._lease
            self._lease = self._log.acquire(f"webhook/{self.name}", self._holder, LEASE_S)
            self._asked_at = now
            if self._lease is not None and self._lease != held:
                self._read_marks()
        return self._lease is not None

    def _read_marks(self) -> None:
        for row in rows_from(self._log, WEBHOOKS, 0, self._offset):
            mark = msgspec.json.decode(row.payload, type=WebhookMark)
            self._offset = row.end
            known = self._marks.get(mark.topic)
            if mark.hook == self.name and (known is None or mark.next >= known.next):
                self._marks[mark.topic] = mark

    def _deliver(self, topic: str, now: int) -> int:
        """Of one experiment, in order; one that is not taken holds up those after it."""
        mark = self._marks.get(topic) or WebhookMark(time=0, hook=self.name, topic=topic, next=0)
        done = 0
        for number, announcement in enumerate(self._announced(topic)):
            if number < mark.next:
                continue
            given_up = 0
            if announcement.kind in self._settings.events:
                status = self._send(self._settings.url, self._request(topic, number, announcement, now))
                if not 200 <= status < 300:
                    if self._waits(topic, announcement, status, now):
                        return done
                    given_up = 1
            self._tries.pop(topic, None)
            mark = WebhookMark(
                time=now, hook=self.name, topic=topic, next=number + 1, given_up=mark.given_up + given_up
            )
            key = f"{self.name}/{topic}".encode()
            self._log.append(
                [Batch(WEBHOOKS, 0, msgspec.json.encode(mark), 1, now, now, key)], lease=self._lease
            )
            self._marks[topic] = mark
            done += 1
        return done

    def _waits(self, topic: str, announcement: Announcement, status: int, now: int) -> bool:
        """Whether it is to be sent again later; else it is given up."""
        what = f"webhook {self.name!r}: {announcement.kind} of experiment {announcement.experiment!r}"
        if 300 <= status < 500 and status not in AGAIN:
            _logger.error("%s was refused with %d and is given up", what, status)
            return False
        if now - announcement.time > PATIENCE_MS:
            _logger.error("%s was not taken for %d days and is given up", what, PATIENCE_MS // 86_400_000)
            return False
        count, _ = self._tries.get(topic, (0, 0))
        wait_ms = min(MOST_WAIT_MS, LEAST_WAIT_MS << min(count, 20))
        self._tries[topic] = count + 1, now + wait_ms
        _logger.warning("%s was answered with %d; again in %g s", what, status, wait_ms / 1000)
        return True

    def _request(self, topic: str, number: int, announcement: Announcement, now: int) -> Request:
        body = msgspec.json.encode(
            {
                "type": f"experiment.{announcement.kind}",
                "timestamp": format_instant(announcement.time),
                "data": announcement,
            }
        )
        making = self._log.topic(topic).id[:8]
        return signed(self._key, f"{topic}.{making}.{number}", now // 1000, body)

    def _announced(self, topic: str) -> Iterator[Announcement]:
        try:
            for row in rows_from(self._log, topic, 0, 0):
                for line in row.payload.split(b"\n"):
                    yield msgspec.json.decode(line, type=Announcement)
        except LogError as error:
            if error.code != "log.topic_missing":
                raise


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
