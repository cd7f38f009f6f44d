"""Opening a log by its URL."""

from foldline.errors import LogError, MissingExtra
from foldline.log.clock import Clock, now_ms
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Log

_FORMS = "use memory://, sqlite:///relative/path.db, sqlite:////absolute/path.db or kafka://host:port"


def open_log(url: str, *, clock: Clock = now_ms, max_bytes: int | None = None) -> Log:
    """Open the log that a URL names, making it if it is not there.

    Args:
        url: `memory://` (a new, empty log), `sqlite:///relative/path`, `sqlite:////absolute/path`, or
            `kafka://host:port,host:port/namespace?client.property=value`, of which the last two parts may be left
            out.
        clock: milliseconds since 1970-01-01 UTC; the machine's by default.
        max_bytes: quota on the file in bytes, None for none; only for `sqlite`.

    Raises:
        LogError: `log.url` for another form; for a file `log.not_a_log`, `log.newer_format`, `log.unavailable`,
            `log.unsafe_sqlite`; for a cluster `log.unavailable`, within seconds.
        MissingExtra: the extra `kafka` is not installed.

    >>> with open_log("memory://") as log:
    ...     log.topics()
    []
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise LogError("log.url", f"{url!r} is not a URL; {_FORMS}")
    if scheme == "memory":
        return _memory(url, rest, clock, max_bytes)
    if scheme == "sqlite":
        return _sqlite(url, rest, clock, max_bytes)
    if scheme == "kafka":
        return _kafka(url, clock, max_bytes)
    raise LogError("log.url", f"{url!r}: no log has the scheme {scheme!r}; {_FORMS}")


def _memory(url: str, rest: str, clock: Clock, max_bytes: int | None) -> Log:
    if rest:
        raise LogError("log.url", f"{url!r}: a log in memory has no name; {_FORMS}")
    if max_bytes is not None:
        raise LogError("log.url", f"{url!r}: a log in memory takes no quota, given max_bytes {max_bytes!r}")
    return MemoryLog(clock=clock)


def sqlite_path(url: str) -> str | None:
    """The path of a log on SQLite, None for another log."""
    scheme, _, rest = url.partition("://")
    return rest[1:] if scheme == "sqlite" else None


def _sqlite(url: str, rest: str, clock: Clock, max_bytes: int | None) -> Log:
    if not rest.startswith("/"):
        raise LogError(
            "log.url", f"{url!r}: a file has no host, so three slashes come before its path; {_FORMS}"
        )
    path = rest[1:]
    if not path or path == ":memory:" or any(mark in path for mark in "?#\0"):
        raise LogError("log.url", f"{url!r}: {path!r} is not the path of a file; {_FORMS}")
    from foldline.log.sqlite.log import SqliteLog

    return SqliteLog(path, clock=clock, max_bytes=max_bytes)


def _kafka(url: str, clock: Clock, max_bytes: int | None) -> Log:
    if max_bytes is not None:
        raise LogError("log.url", "a log on Kafka takes no quota; the brokers have their own")
    try:
        from foldline.log.kafka.log import KafkaLog
    except ImportError as error:
        raise MissingExtra("kafka", "a log on Apache Kafka") from error
    return KafkaLog(url, clock=clock)
