"""What a service is told: where it listens, when an answer counts as given, how much it takes on."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Durability = Literal["durable", "fast"]


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the HTTP service.

    Attributes:
        host: address to listen on; anything but loopback needs a key on the log.
        port: 1 to 65535, 0 for any that is free.
        durability: `durable` answers once the record is on disk, `fast` once it is queued. A request may say
            otherwise with `?durability=`.
        max_body_bytes: larger bodies get 413.
        max_items: of an array in one request.
        max_waiting: records queued for the log; above it decisions and reports get 503.
        max_waiting_bytes: of those records together; above it likewise.
        max_connections: open at once; requests of one more get 503. Fewer where the system allows fewer files.
        pages: whether the dashboard is served too, at `/`.
        origins: web origins whose pages may ask, such as `https://shop.example`; `*` for all. A page asks with a key
            like anybody else.
        body_timeout_s: seconds a client may take to send the head of a request, and its body.
        bundle_timeout_s: seconds a definition waits for its first bundle before it is answered.
        outbox: file that keeps what comes while the cluster of a log on Kafka is away; one for each process. Empty for
            none: decisions and reports are then refused with 503 meanwhile. No matter on other logs.
        outbox_max_bytes: of that file; when it is full, 503.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    durability: Durability = "durable"
    max_body_bytes: Annotated[int, Meta(ge=1_000)] = 1_000_000
    max_items: Annotated[int, Meta(ge=1)] = 1_000
    max_waiting: Annotated[int, Meta(ge=1)] = 10_000
    max_waiting_bytes: Annotated[int, Meta(ge=1)] = 64_000_000
    max_connections: Annotated[int, Meta(ge=1)] = 10_000
    pages: bool = True
    origins: tuple[str, ...] = ()
    body_timeout_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    bundle_timeout_s: Annotated[float, Meta(ge=0, le=3_600)] = 15.0
    outbox: str = "foldline-outbox.db"
    outbox_max_bytes: Annotated[int, Meta(ge=1_000_000)] = 4_000_000_000
