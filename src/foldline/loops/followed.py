"""Under which id a visitor who logs in goes on."""

from foldline.records.ids import checked_name


def followed(unit: str, anonymous: str | None) -> str:
    """The id under which a unit stands: the one it had before it logged in, where that is given.

    Variant, partition and tally follow it, so that a visitor who logs in stays one unit in one variant.

    Raises:
        InputError: `input.invalid` where either cannot stand as an id.
    """
    checked_name(unit, "unit")
    return unit if anonymous is None else checked_name(anonymous, "anonymous")
