"""A small line without axes, drawn on the server as SVG."""

from collections.abc import Sequence

from foldline.loops.series import Points

WIDTH = 160
HEIGHT = 36
_PAD = 3


def paths(times: Sequence[int], *lines: Points) -> list[str]:
    """The `d` of an SVG path for each line, all on one scale; empty where there is nothing to draw.

    Example:
        >>> paths([0, 10], [0.0, 1.0], [1.0, None])
        ['M3,33 L157,3', 'M3,3']
    """
    values = [value for line in lines for value in line if value is not None]
    if not values or len(times) < 2:
        return [""] * len(lines)
    low, high = min(values), max(values)
    scale = (HEIGHT - 2 * _PAD) / (high - low) if high > low else 0.0
    step = (WIDTH - 2 * _PAD) / (times[-1] - times[0])
    drawn = []
    for line in lines:
        points = [
            f"{_PAD + (time - times[0]) * step:.4g},{HEIGHT - _PAD - (value - low) * scale:.4g}"
            for time, value in zip(times, line, strict=True)
            if value is not None
        ]
        drawn.append("M" + " L".join(points) if points else "")
    return drawn
