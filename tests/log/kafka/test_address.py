"""URLs of logs on Kafka."""

from pathlib import Path

import pytest

from foldline.errors import LogError
from foldline.log.kafka.address import Address, parse_address
from foldline.log.shown_url import shown_url


def _parse(url: str) -> Address:
    return parse_address(url, url.partition("://")[2])


def test_a_url_names_brokers_namespace_and_properties() -> None:
    """All parts, in the client's own words for properties."""
    url = "kafka://one:9092,two:9093/shop?linger.ms=5&foldline.replication=3&sasl.password=a%26b"
    address = _parse(url)
    assert (address.servers, address.namespace, address.replication) == ("one:9092,two:9093", "shop", 3)
    assert address.properties == {"linger.ms": "5", "sasl.password": "a&b"}
    assert address.in_log("shop.news.events") == "news.events"
    assert address.in_log("shopping.news") is None
    assert _parse("kafka://one:9092").in_log("news") == "news"


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "expected brokers"),
        ("host", "expected brokers"),
        ("host:0", "expected brokers"),
        ("host:9092,", "expected brokers"),
        ("host:9092/a b", "namespace"),
        ("host:9092/a/b", "namespace"),
        ("host:9092?nonsense", "bad query"),
        ("host:9092?acks=1", "'acks' is set by the log"),
        ("host:9092?group.protocol=consumer", "'group.protocol' is set by the log"),
        ("host:9092?foldline.replicas=3", "'foldline.replicas' is no property .*foldline.replication"),
        ("host:9092?foldline.replication=none", "expected copies"),
        ("host:9092?foldline.properties=/nowhere/at.all", "cannot be read"),
    ],
)
def test_other_urls_are_refused(rest: str, says: str) -> None:
    """The error says what is wrong with which part."""
    with pytest.raises(LogError, match=says) as raised:
        _parse(f"kafka://{rest}")
    assert raised.value.code == "log.url"


def test_properties_come_from_a_file(tmp_path: Path) -> None:
    """Secrets need not stand in a URL; what the URL says goes before the file."""
    file = tmp_path / "client.properties"
    file.write_text("# for tests\n\nbootstrap.servers=elsewhere:1\nsasl.password = s=cret\nlinger.ms=1\n")
    address = _parse(f"kafka://one:9092?foldline.properties={file}&linger.ms=7")
    assert address.properties == {"sasl.password": "s=cret", "linger.ms": "7"}
    file.write_text("foldline.replication=3\nfoldline.cloudevents=false\nfoldline.instance=one\n")
    address = _parse(f"kafka://one:9092?foldline.properties={file}&foldline.instance=two")
    assert (address.replication, address.cloud_events, address.instance) == (3, False, "two")
    assert address.properties == {}
    file.write_text("foldline.properties=other\n")
    with pytest.raises(LogError, match=r"'foldline\.properties' is no property"):
        _parse(f"kafka://one:9092?foldline.properties={file}")
    file.write_text("sasl.password\n")
    with pytest.raises(LogError, match="line 1: expected name=value"):
        _parse(f"kafka://one:9092?foldline.properties={file}")


def test_secrets_are_not_shown() -> None:
    """Messages name the URL without them."""
    url = "kafka://one:9092?sasl.username=me&sasl.password=secret&ssl.key.password=other&acks=1"
    assert shown_url(url) == "kafka://one:9092?sasl.username=me&sasl.password=…&ssl.key.password=…&acks=1"
    with pytest.raises(LogError) as raised:
        _parse(url)
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(_parse(url.removesuffix("&acks=1")))
