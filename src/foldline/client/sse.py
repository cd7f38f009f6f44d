"""Server-sent events from lines (WHATWG HTML, "Server-sent events"): the parts that a bundle's stream uses."""

from collections.abc import Iterator


class EventReader:
    """Joins a stream's lines to events."""

    def __init__(self) -> None:
        self._event = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Iterator[tuple[str, str]]:
        """An event's name and data, when the line ends one; comments and unknown fields say nothing."""
        if not line:
            if self._data:
                yield self._event or "message", "\n".join(self._data)
            self._event, self._data = "", []
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
