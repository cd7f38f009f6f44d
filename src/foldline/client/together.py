"""Items of one call, with what belongs to each."""

from collections.abc import Iterable
from itertools import repeat
from typing import Any, TypeVar

from foldline.errors import InputError

Item = TypeVar("Item")


def together(
    items: Iterable[Item], contexts: Iterable[dict[str, Any] | None] | None, ids: Iterable[str] | None
) -> list[tuple[Item, dict[str, Any] | None, str | None]]:
    """Items with what belongs to each of them; as many of each."""
    every = list(items)
    given_contexts = list(repeat(None, len(every)) if contexts is None else contexts)
    given_ids = list(repeat(None, len(every)) if ids is None else ids)
    for field, given in (("contexts", given_contexts), ("ids", given_ids)):
        if len(given) != len(every):
            raise InputError(
                "input.invalid",
                f"{field} has {len(given)} items for {len(every)}; give one for each",
                field=field,
                value=len(given),
                expected=f"{len(every)} items",
            )
    return list(zip(every, given_contexts, given_ids, strict=True))
