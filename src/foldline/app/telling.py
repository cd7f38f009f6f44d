"""Runs webhooks beside a learner, each in a thread."""

import logging
import os
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from foldline.app.foldline import wall_clock
from foldline.engine.webhook import Webhook, WebhookSettings, check_webhook, secret_of
from foldline.errors import FoldlineError, InputError
from foldline.log.protocol import Log

_logger = logging.getLogger("foldline.app")

LOOK_S: Final = 0.5


class Telling:
    """Runs webhooks from construction to `close`.

    Args:
        log: that the announcements stand on.
        webhooks: by name.
        holder: names this process in leases.

    Raises:
        InputError: an address is not safe, or a secret is not in the environment.
    """

    def __init__(self, log: Log, webhooks: Mapping[str, WebhookSettings], holder: str) -> None:
        self._stop = threading.Event()
        keys = {name: _key(name, settings) for name, settings in webhooks.items()}
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(log, name, settings, keys[name], holder),
                name=f"foldline-webhook-{name}",
            )
            for name, settings in webhooks.items()
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def close(self) -> None:
        """Stop the threads; what is not taken yet is sent by the next process. Idempotent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, log: Log, name: str, settings: WebhookSettings, key: bytes, holder: str) -> None:
        hook: Webhook | None = None
        while not self._stop.wait(LOOK_S):
            try:
                hook = hook or Webhook(log, name, settings, key, holder)
                hook.step(now=wall_clock())
            except FoldlineError as error:
                # Whatever it is, a verdict must not be forgotten for it: it is tried again, from the mark.
                _logger.warning("webhook %r, trying again: %s", name, error)
                hook = None
            except Exception:
                _logger.exception("webhook %r, trying again", name)
                hook = None
        if hook is not None:
            try:
                hook.close()
            except FoldlineError as error:
                _logger.warning("webhook %r keeps its lease until it runs out: %s", name, error)


def _key(name: str, settings: WebhookSettings) -> bytes:
    check_webhook(settings)
    text = os.environ.get(settings.secret_env)
    if text is None:
        raise InputError(
            "input.invalid",
            f"webhook {name!r}: the environment has no {settings.secret_env}, which holds its secret",
            field="secret_env",
            value=settings.secret_env,
        )
    return secret_of(text)
