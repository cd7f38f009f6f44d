"""The URL of a log on Kafka: brokers, namespace, client properties."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from foldline.errors import InputError, LogError
from foldline.log.shown_url import shown_url
from foldline.log.validation import check_topic_name

FORM = "use kafka://host:port,host:port/namespace?client.property=value"

REPLICATION = "foldline.replication"
"""Copies of the topics made; the brokers' default where it is not given."""

PROPERTIES = "foldline.properties"
"""Path of a file of client properties, one `name=value` a line: secrets belong there, not in a URL."""

CLOUD_EVENTS = "foldline.cloudevents"
"""Whether messages of one record carry the attributes of CloudEvents as headers; `false` where they are not wanted."""

REGISTRY = "foldline.registry"
"""URL of a schema registry: messages in Confluent's wire format are then read as the JSON they say."""

REGISTRY_USER = "foldline.registry.secret"
"""`name:password` for the registry; belongs into the file of properties."""

FORMAT = "foldline.format"
"""`avro`: records appended one at a time are written in that form; `json` by default."""

NATIVE = "foldline.native"
"""`false`: messages are read through the client's Python objects, as where its C library cannot be reached."""

INSTANCE = "foldline.instance"
"""This process's lasting name among learners: one that is started again under it takes up its share at once."""

OWN = frozenset({REPLICATION, CLOUD_EVENTS, NATIVE, REGISTRY, REGISTRY_USER, FORMAT, INSTANCE})
"""Properties of the log itself; they may stand in the file of properties too."""

FIXED = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "group.instance.id",
        "group.protocol",
        "group.remote.assignor",
        "partition.assignment.strategy",
        "transactional.id",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "isolation.level",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "allow.auto.create.topics",
    }
)
"""Client properties on which the log's promises rest; nobody may set them."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a log on Kafka is.

    Attributes:
        servers: brokers, `host:port` joined by commas.
        namespace: before every topic's name on the cluster, with a dot; empty for none.
        replication: copies of the topics made, -1 for the brokers' default.
        properties: of the client, by name, as librdkafka calls them.
        instance: this process's lasting name in consumer groups; empty for none.
        cloud_events: whether messages of one record carry the attributes of CloudEvents.
        registry: URL of a schema registry; empty for none.
        registry_user: `name:password` for it.
        writes_avro: whether records appended one at a time are written in Avro.
        native: whether messages are read from librdkafka itself, where it can be reached.
    """

    servers: str
    namespace: str = ""
    replication: int = -1
    properties: dict[str, str] = field(default_factory=dict, repr=False)
    cloud_events: bool = True
    instance: str = ""
    registry: str = ""
    registry_user: str = field(default="", repr=False)
    writes_avro: bool = False
    native: bool = True

    def on_cluster(self, topic: str) -> str:
        """What a topic is called on the cluster."""
        return f"{self.namespace}.{topic}" if self.namespace else topic

    def in_log(self, name: str) -> str | None:
        """What a topic of the cluster is called in this log; None where it is not of it."""
        if not self.namespace:
            return name
        return name[len(self.namespace) + 1 :] if name.startswith(self.namespace + ".") else None


def parse_address(url: str, rest: str) -> Address:
    """The address in a URL.

    Args:
        url: the whole URL, for messages.
        rest: what follows `kafka://`.

    Raises:
        LogError: `log.url`.

    >>> address = parse_address("kafka://…", "one:9092,two:9092/shop?linger.ms=5")
    >>> address.servers, address.on_cluster("news.events"), address.properties
    ('one:9092,two:9092', 'shop.news.events', {'linger.ms': '5'})
    """
    place, _, query = rest.partition("?")
    servers, _, namespace = place.partition("/")
    if not servers or not all(map(_is_server, servers.split(","))):
        raise LogError(
            "log.url", f"{shown_url(url)!r}: expected brokers as host:port, given {servers!r}; {FORM}"
        )
    if namespace:
        try:
            check_topic_name(namespace)
        except InputError as error:
            raise LogError(
                "log.url", f"{shown_url(url)!r}: namespace {namespace!r}: {error.args[0]}"
            ) from error
    properties = _properties(url, query)
    replication = properties.pop(REPLICATION, "-1")
    if replication != "-1" and not (replication.isdecimal() and 0 < int(replication) < 1 << 15):
        raise LogError(
            "log.url", f"{shown_url(url)!r}: {REPLICATION} {replication!r}, expected copies, such as 3"
        )
    events = properties.pop(CLOUD_EVENTS, "true")
    if events not in ("true", "false"):
        raise LogError("log.url", f"{shown_url(url)!r}: {CLOUD_EVENTS} {events!r}, expected true or false")
    native = properties.pop(NATIVE, "true")
    if native not in ("true", "false"):
        raise LogError("log.url", f"{shown_url(url)!r}: {NATIVE} {native!r}, expected true or false")
    instance = properties.pop(INSTANCE, "")
    registry, user = properties.pop(REGISTRY, ""), properties.pop(REGISTRY_USER, "")
    form = properties.pop(FORMAT, "json")
    if form not in ("json", "avro") or (form == "avro" and not registry):
        raise LogError(
            "log.url",
            f"{shown_url(url)!r}: {FORMAT} {form!r}, expected json, or avro together with {REGISTRY}",
        )
    return Address(
        servers,
        namespace,
        int(replication),
        properties,
        events == "true",
        instance,
        registry,
        user,
        form == "avro",
        native == "true",
    )


def _properties(url: str, query: str) -> dict[str, str]:
    """Those of the URL before those of the file that it names; the log's own still among them."""
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise LogError("log.url", f"{shown_url(url)!r}: {error}; {FORM}") from error
    path = given.pop(PROPERTIES, None)
    properties = (_read_properties(path) if path is not None else {}) | given
    fixed = sorted(FIXED & properties.keys())
    if fixed:
        raise LogError("log.url", f"{shown_url(url)!r}: {fixed[0]!r} is set by the log itself; leave it out")
    unknown = sorted(name for name in properties if name.startswith("foldline.") and name not in OWN)
    if unknown:
        raise LogError(
            "log.url",
            f"{shown_url(url)!r}: {unknown[0]!r} is no property of a log, expected one of {', '.join(sorted(OWN))}, "
            f"or in the URL {PROPERTIES}",
        )
    return properties


def _is_server(server: str) -> bool:
    host, colon, port = server.rpartition(":")
    return bool(colon and host and port.isdecimal() and 0 < int(port) < 1 << 16)


def _read_properties(path: str) -> dict[str, str]:
    """A file of properties; `bootstrap.servers` in it is left to the URL, as files for other tools hold it."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LogError("log.url", f"{PROPERTIES} {path!r} cannot be read: {error}") from error
    properties = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, mark, value = line.partition("=")
        if not mark:
            raise LogError("log.url", f"{path} line {number}: expected name=value")
        properties[name.strip()] = value.strip()
    properties.pop("bootstrap.servers", None)
    return properties
