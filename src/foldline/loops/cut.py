"""A cut: one offset for each partition, written `0:1500,1:1498`."""

from foldline.errors import InputError

Cut = tuple[int, ...]


def parse_cut(text: str, partitions: int) -> Cut:
    """The cut written; every partition must be named once.

    Raises:
        InputError: `input.invalid`.

    Example:
        >>> parse_cut("0:1500,1:1498", 2)
        (1500, 1498)
    """
    offsets: dict[int, int] = {}
    for part in text.split(","):
        partition, colon, offset = part.strip().partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()) or int(partition) in offsets:
            raise _invalid(text, partitions)
        offsets[int(partition)] = int(offset)
    if sorted(offsets) != list(range(partitions)):
        raise _invalid(text, partitions)
    return tuple(offsets[p] for p in range(partitions))


def format_cut(cut: Cut) -> str:
    """How a cut is written.

    Example:
        >>> format_cut((1500, 1498))
        '0:1500,1:1498'
    """
    return ",".join(f"{partition}:{offset}" for partition, offset in enumerate(cut))


def _invalid(text: str, partitions: int) -> InputError:
    example = format_cut((1500,) * partitions)
    return InputError(
        "input.invalid",
        f"cut {text!r}: expected an offset for each of {partitions} partitions, such as {example!r}, or a time",
        field="at",
    )
