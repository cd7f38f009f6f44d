"""A log's URL as people, and what they keep of a program's output, may see it."""

_SECRET = ("password", "secret", "key.pem", "token")


def shown_url(url: str) -> str:
    """The URL without what is secret in it.

    >>> shown_url("kafka://one:9092/shop?sasl.username=me&sasl.password=open-sesame")
    'kafka://one:9092/shop?sasl.username=me&sasl.password=…'
    """
    place, mark, query = url.partition("?")
    parts = [part.partition("=") for part in query.split("&")] if mark else []
    shown = [f"{name}={'…' if any(word in name for word in _SECRET) else value}" for name, _, value in parts]
    return place + mark + "&".join(shown)
