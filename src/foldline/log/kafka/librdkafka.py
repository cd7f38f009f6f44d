"""librdkafka by its C interface: the library that the Python client itself has loaded, and no other.

Its functions are found through the client's extension module, so no file is searched for, and both use one library.
Only what reading needs is declared, from the documented part of `rdkafka.h`.
"""

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import Any, Final

import confluent_kafka.cimpl

CONSUMER: Final = 1
"""`RD_KAFKA_CONSUMER`."""

_ADDRESS, _TEXT, _CODE, _LONG = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int64

_FUNCTIONS: Final[dict[str, tuple[Any, list[Any]]]] = {
    "conf_new": (_ADDRESS, []),
    "conf_set": (_CODE, [_ADDRESS, _TEXT, _TEXT, _ADDRESS, ctypes.c_size_t]),
    "conf_set_error_cb": (None, [_ADDRESS, _ADDRESS]),
    "conf_set_log_cb": (None, [_ADDRESS, _ADDRESS]),
    "conf_destroy": (None, [_ADDRESS]),
    "new": (_ADDRESS, [_CODE, _ADDRESS, _ADDRESS, ctypes.c_size_t]),
    "set_log_queue": (_CODE, [_ADDRESS, _ADDRESS]),
    "poll_set_consumer": (_CODE, [_ADDRESS]),
    "queue_get_consumer": (_ADDRESS, [_ADDRESS]),
    "queue_destroy": (None, [_ADDRESS]),
    "consumer_close": (_CODE, [_ADDRESS]),
    "destroy": (None, [_ADDRESS]),
    "topic_new": (_ADDRESS, [_ADDRESS, _TEXT, _ADDRESS]),
    "topic_name": (_TEXT, [_ADDRESS]),
    "topic_destroy": (None, [_ADDRESS]),
    "metadata": (_CODE, [_ADDRESS, _CODE, _ADDRESS, ctypes.POINTER(_ADDRESS), _CODE]),
    "metadata_destroy": (None, [_ADDRESS]),
    "topic_partition_list_new": (_ADDRESS, [_CODE]),
    "topic_partition_list_add": (_ADDRESS, [_ADDRESS, _TEXT, ctypes.c_int32]),
    "topic_partition_list_set_offset": (_CODE, [_ADDRESS, _TEXT, ctypes.c_int32, _LONG]),
    "topic_partition_list_destroy": (None, [_ADDRESS]),
    "incremental_assign": (_ADDRESS, [_ADDRESS, _ADDRESS]),
    "incremental_unassign": (_ADDRESS, [_ADDRESS, _ADDRESS]),
    "error_code": (_CODE, [_ADDRESS]),
    "error_string": (_TEXT, [_ADDRESS]),
    "error_destroy": (None, [_ADDRESS]),
    "consumer_poll": (_ADDRESS, [_ADDRESS, _CODE]),
    "consume_batch_queue": (ctypes.c_ssize_t, [_ADDRESS, _CODE, _ADDRESS, ctypes.c_size_t]),
    "message_errstr": (_TEXT, [_ADDRESS]),
    "message_timestamp": (_LONG, [_ADDRESS, _ADDRESS]),
    "message_headers": (_CODE, [_ADDRESS, _ADDRESS]),
    "header_get_all": (_CODE, [_ADDRESS, ctypes.c_size_t, _ADDRESS, _ADDRESS, _ADDRESS]),
    "message_destroy": (None, [_ADDRESS]),
}  # fmt: skip

ERROR_CALLBACK: Final = ctypes.CFUNCTYPE(None, _ADDRESS, _CODE, _TEXT, _ADDRESS)
"""What `conf_set_error_cb` takes: client, code, reason, nothing."""

LOG_CALLBACK: Final = ctypes.CFUNCTYPE(None, _ADDRESS, _CODE, _TEXT, _TEXT)
"""What `conf_set_log_cb` takes: client, level, facility, text."""


class Message(ctypes.Structure):
    """`rd_kafka_message_t`, as rdkafka.h documents it."""

    _fields_ = (
        ("err", _CODE),
        ("rkt", _ADDRESS),
        ("partition", ctypes.c_int32),
        ("payload", _ADDRESS),
        ("len", ctypes.c_size_t),
        ("key", _ADDRESS),
        ("key_len", ctypes.c_size_t),
        ("offset", _LONG),
    )


class Librdkafka:
    """The functions, by their names without `rd_kafka_`.

    Raises:
        OSError: the extension module cannot be opened so.
        AttributeError: a function is not to be had through it.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        self._functions = {name: self._declared(name, *types) for name, types in _FUNCTIONS.items()}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            function: Callable[..., Any] = self._functions[name]
        except KeyError as error:
            raise AttributeError(f"rd_kafka_{name} is not declared in {__name__}") from error
        return function

    def address_of(self, name: str) -> int:
        """Where a function stands in memory."""
        return ctypes.cast(self._functions[name], ctypes.c_void_p).value or 0

    def _declared(self, name: str, result: Any, arguments: list[Any]) -> Any:
        function = getattr(self._library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
        return function


@functools.cache
def librdkafka() -> Librdkafka | None:
    """The library; None where it cannot be reached, as where the client's module hides its functions."""
    if struct.calcsize("P") != 8:  # the loops over messages take addresses for 64 bits
        return None
    try:
        return Librdkafka()
    except (OSError, AttributeError):
        return None
