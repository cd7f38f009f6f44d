"""The line format of the Yahoo! Front Page Today Module user click log, R6A.

    TIMESTAMP SHOWN CLICK |user 2:… 3:… 4:… 5:… 6:… 1:1.0 |ARTICLE 2:… … 1:1.0 |ARTICLE …

The timestamp is in seconds. Every article of the line could have been shown, and one was, uniformly at random.
User and articles have six features each, feature 1 being the constant. The real log has lines in which an
article lacks features: they are bad lines here.
"""

import math

from foldline.simulation.readers.logged import Row, Vocabulary, quoted

FORMAT = "r6a"

_FEATURES = {b"1", b"2", b"3", b"4", b"5", b"6"}
_REMEMBERED = 4096


class YahooR6A:
    """Parser of the format. The text of a pool is parsed once for as long as it repeats."""

    format = FORMAT

    def __init__(self) -> None:
        self.vocabulary = Vocabulary()
        self._pools: dict[bytes, tuple[int, dict[bytes, int]]] = {}

    def parse(self, line: bytes) -> Row:
        """See `Parser.parse`."""
        head, _, rest = line.partition(b" |")
        user, _, articles = rest.partition(b" |")
        fields = head.split()
        if len(fields) != 3:
            raise ValueError(f"starts with {len(fields)} fields, expected timestamp, article and click")
        timestamp, shown, click = fields
        if not (timestamp.isdigit() and len(timestamp) <= 12):
            raise ValueError(f"timestamp is {quoted(timestamp)}, expected whole seconds")
        if click not in (b"0", b"1"):
            raise ValueError(f"click is {quoted(click)}, expected 0 or 1")
        if not user.startswith(b"user "):
            raise ValueError("has no section |user after the click")
        _check_features(user)
        pool, members = self._pools.get(articles) or self._remember(articles)
        action = members.get(shown)
        if action is None:
            raise ValueError(f"the article shown, {quoted(shown)}, is not among the line's articles")
        return int(timestamp) * 1000, action, float(click), pool, math.nan, 0

    def _remember(self, articles: bytes) -> tuple[int, dict[bytes, int]]:
        sections = articles.split(b" |")
        for section in sections:
            _check_features(section)
        names = [section.split()[0] for section in sections]
        if len(set(names)) < len(names):
            raise ValueError("names an article twice")
        members = {name: self.vocabulary.action(name.decode()) for name in names}
        if len(self._pools) >= _REMEMBERED:
            self._pools.clear()
        self._pools[articles] = found = (self.vocabulary.pool(tuple(members.values())), members)
        return found


def _check_features(section: bytes) -> None:
    """Refuse a section that is not a name and the features 1 to 6, each once, each a finite number."""
    name, *features = section.split() or [b""]
    if not (name.isascii() and name.isalnum()):
        raise ValueError(f"names an article {quoted(name)}, expected digits or letters")
    if len(features) != 6 or {feature[:1] for feature in features} != _FEATURES:
        raise ValueError(f"section |{name.decode()} lacks one of the features 1 to 6")
    for feature in features:
        if feature[1:2] != b":" or not _is_finite(feature[2:]):
            raise ValueError(f"section |{name.decode()} has {quoted(feature)}, expected NUMBER:VALUE")


def _is_finite(text: bytes) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
