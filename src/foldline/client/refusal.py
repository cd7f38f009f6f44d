"""An event that the service refused."""

from typing import NamedTuple


class Refusal(NamedTuple):
    """An event the service refused.

    Attributes:
        time: when it said so, by this machine's clock, milliseconds.
        code: of the error.
        message: of the error.
        event: as it was sent, one JSON object.
    """

    time: int
    code: str
    message: str
    event: bytes
