"""What blocks, out of an event loop's way."""

import asyncio
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Ending(Exception):
    """The interpreter is on its way out and starts nothing any more."""


async def offload(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in another thread.

    Raises:
        Ending: the program ends without having closed what works here.
    """
    loop = asyncio.get_running_loop()
    try:
        done = loop.run_in_executor(None, functools.partial(work, *args, **kwargs))
    except RuntimeError as error:
        raise Ending from error
    return await done
