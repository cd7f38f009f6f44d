"""Changing the settings of a topic as another program does."""

import time
from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType


def alter(servers: str, topic: str, settings: Mapping[str, str]) -> None:
    """Set them, and wait until the brokers have heard of it."""
    admin = AdminClient({"bootstrap.servers": servers})
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(30)
    deadline = time.monotonic() + 30
    while True:
        found = admin.describe_configs([resource])[resource].result(30)
        if all(found[name].value == value for name, value in settings.items()):
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)
