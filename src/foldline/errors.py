"""Every error Foldline raises on purpose, as one tree.

    FoldlineError
      InputError        the caller gave something that cannot be (fault: caller)
      DefinitionError   a loop's definition contradicts itself or its past (fault: configuration)
      RecordError       a record on the log cannot be used; it is dead-lettered (fault: data)
      LogError          the log refused or cannot serve (fault: dependency)
        LeaseLost       another owner holds the lease now; drop the work in hand
      FoldError         a state cannot be restored or continued (fault: us, or the data beneath)
      RequestError      an HTTP request the service does not take, or cannot be asked (fault: caller)
      MissingExtra      an optional dependency is not installed (fault: configuration)

Each carries a stable code such as ``log.time_ahead``; `CODES` gives cause and remedy of every code, and
`docs/errors.md` lists them all (a test compares the two). The message says what was given, what was expected,
where, and what to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

CODES: dict[str, str] = {
    "input.invalid": "a value given by the caller has the wrong type or form; correct it and call again",
    "input.not_finite": "a number given is NaN or infinite; give a finite one",
    "input.out_of_range": "a reward lies outside the loop's declared range; correct it or declare a wider range",
    "input.unknown_action": "the action is not one of the loop's; add it to the definition or correct the name",
    "input.unknown_decision": "the decision named has no valid id; pass the decision or the id that decide returned",
    "input.unknown_loop": "no loop of that name stands on this log; define it first",
    "input.unknown_experiment": "no experiment of that name stands on this log; define it first",
    "input.unknown_policy": "no policy of that kind is registered; `foldline policies list` shows them",
    "input.unknown_model": "no model of that name is there; `foldline models list` shows those that are",
    "input.no_action": "no action is left to choose from; allow at least one",
    "input.unreadable": "a file given cannot be read in the expected format; check path and format",
    "input.not_estimable": "the data given hold too little for the number asked for; give more",
    "definition.incoherent": "settings of a definition contradict each other; change one of them",
    "definition.conflict": "the definition changes something that is fixed for a loop's life; define a new loop",
    "record.undecodable": "a line on the log is not a JSON record of a known type; it was dead-lettered",
    "record.schema": "a record lacks a field or has one of a wrong type; it was dead-lettered",
    "record.time_ahead": "a record's time is over 60 s later than its message's; it was dead-lettered, set that clock",
    "record.unknown_action": "a record names an action its loop does not have; it was dead-lettered",
    "record.out_of_range": "a record's value lies outside its loop's range; it was dead-lettered",
    "record.not_complete": "a loop of complete outcomes met a decision or reward on its own; it was dead-lettered",
    "log.url": "the log's URL is not of a known form; use memory://, sqlite:///path or kafka://host:port",
    "log.not_a_log": "the file is not a Foldline log; give another path",
    "log.newer_format": "the log was written by a newer Foldline; upgrade this installation",
    "log.unsafe_sqlite": "the SQLite library has the WAL-reset bug or refuses WAL; install a current apsw",
    "log.topic_missing": "the topic does not exist; create it, or check the name",
    "log.topic_conflict": "the topic exists with other partitions or settings; mend it as the message says, or rename",
    "log.time_ahead": "a record's time is more than 60 s ahead of this machine's clock; set the clocks",
    "log.offset_out_of_range": "the offset is before the first record kept or after the end; read within the range",
    "log.lease_lost": "another process holds the lease by now; this one drops its work and may ask again",
    "log.full": "the disk or quota is full; nothing of the batch was written, free space and append again",
    "log.closed": "the log was closed; open it again",
    "log.unavailable": "the log cannot be read or written now; see the cause",
    "http.address": "the address cannot be listened on; stop what is there, or give another host or port",
    "fold.overflow": "an exact sum would leave its 64 bits; declare a coarser reward unit in a new loop",
    "fold.damaged_root": "a root's checksum does not match its bytes; fold again from an older root or offset 0",
    "fold.damaged_page": "a page named by a root is missing or differs from its hash; fold again from an older root",
    "fold.unsigned": "a model's state bears no signature of this deployment; give every process the same secret",
    "fold.retention_overtook": "the log no longer holds the offset the fold needs; restore the log or start anew",
    "fold.topic_replaced": "the topic was deleted and made again under its name; restart the learner on the new one",
    "fold.not_mergeable": "the policy's state does not merge; run its loop on one partition",
    "fold.bad_outputs": "a fold returned output records that cannot be numbered; correct the fold",
    "fold.no_bundle": "no bundle covering what was asked was published in time; see that a learner runs on the log",
    "http.bad_json": "the body is not JSON of the form asked for; correct it and send again",
    "http.malformed": "what came is no HTTP request; correct the client",
    "http.unauthorized": "no valid key came with the request; send one as a bearer token",
    "http.forbidden": "the key lacks the role that this needs; use another, or make one with that role",
    "http.not_found": "there is nothing at this path; `/openapi.json` lists what there is",
    "http.method": "the path takes another method; the header Allow says which",
    "http.slow": "the body did not come in time; send it again",
    "http.too_large": "the body or its array is larger than the service takes; send it in parts",
    "http.rate": "the key makes more requests than it may; wait as Retry-After says",
    "http.overloaded": "more is waiting than the service takes on; wait as Retry-After says and send again",
    "http.failed": "the service failed at this request; its log says how. Send it again, and report it",
    "http.not_open": "without a key the service listens on loopback only; make a key, or give a loopback host",
    "http.gap": "events of this outbox are missing before those sent; send from the number expected",
    "http.unavailable": "the service does not answer in time; check address and network, and send again",
    "edge.full": "the outbox holds all it may, or the disk is full; let it reach the service, or raise the bound",
    "edge.not_an_outbox": "the file is no outbox of this loop, or of a newer Foldline; give another path",
    "edge.unavailable": "the outbox cannot be read or written now; see the cause",
    "edge.too_large": "an event is larger than the service takes; log less context",
    "edge.closed": "the edge client was closed; make another",
    "install.extra": "an optional dependency is missing; install the extra named",
}


class FoldlineError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        code: stable machine-readable code, one of `CODES`.
        field: the field or argument at fault, or None.
        value: what it was given, or None.
        expected: what it should have been, in words, or None.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     try:
        ...         app.loop("news")
        ...     except fl.FoldlineError as error:
        ...         print(error.code, error.fault)
        input.unknown_loop caller
    """

    fault: ClassVar[str] = "us"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        expected: str | None = None,
    ) -> None:
        if code not in CODES:
            raise KeyError(f"undocumented error code {code!r}; add it to foldline.errors.CODES")
        super().__init__(message)
        self.code = code
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        """The message with its code, as shown to people."""
        return f"{self.args[0]} [{self.code}]"


@contextmanager
def within(place: str) -> Iterator[None]:
    """Name the field of an error raised inside as a part of what was given: `goal`, `variants[1].policy`.

    Example:
        >>> try:
        ...     with within("goal"):
        ...         raise InputError("input.invalid", "baseline is 7", field="baseline")
        ... except InputError as error:
        ...     print(error.field)
        goal.baseline
    """
    try:
        yield
    except FoldlineError as error:
        error.field = place if error.field is None else f"{place}.{error.field}"
        raise


class InputError(FoldlineError, ValueError):
    """The caller gave something that cannot be; nothing was written."""

    fault = "caller"


class DefinitionError(FoldlineError, ValueError):
    """A definition contradicts itself or its own past; nothing was written."""

    fault = "configuration"


class RecordError(FoldlineError):
    """One record cannot be used; it goes to the dead-letter topic and the fold goes on."""

    fault = "data"


class LogError(FoldlineError):
    """The log refused or cannot serve."""

    fault = "dependency"


class LeaseLost(LogError):
    """The lease's epoch is no longer the newest; the work in hand was not written."""

    def __init__(self, message: str) -> None:
        super().__init__("log.lease_lost", message)


class FoldError(FoldlineError):
    """A fold's state cannot be restored or continued."""


class RequestError(FoldlineError):
    """The service does not take this HTTP request, or cannot be asked; nothing was written.

    After `http.unavailable` it may have been: send again with the same ids.

    Attributes:
        retry_after_s: seconds after which it may be sent again, None where that would not help.
    """

    fault = "caller"

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        expected: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(code, message, field=field, value=value, expected=expected)
        self.retry_after_s = retry_after_s


class MissingExtra(FoldlineError, ImportError):
    """An optional dependency is not installed."""

    fault = "configuration"

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            "install.extra", f"{purpose} needs the extra {extra!r}; run: pip install 'foldline[{extra}]'"
        )
