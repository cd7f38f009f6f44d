"""Opening a log that is there already: commands that only read never make one."""

from pathlib import Path

from foldline.errors import InputError
from foldline.log.protocol import Log


def open_existing(url: str) -> Log:
    """Open the log at a URL, refusing one whose file does not exist.

    Raises:
        InputError: `input.unreadable` where no such file is.
        LogError: as `open_log`.
    """
    from foldline.log.open import open_log

    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        raise InputError(
            "input.unreadable",
            f"--log {url!r}: expected a log file at {str(Path(path).absolute())!r}, found none; name another with "
            "--log or the variable FOLDLINE_LOG",
            field="log",
        )
    return open_log(url)
