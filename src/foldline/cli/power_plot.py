"""The power curve, in the terminal and as a figure."""

from pathlib import Path

from foldline.errors import InputError, MissingExtra
from foldline.experiments.design import Design
from foldline.experiments.power_curve import power_curve

WIDTH, HEIGHT = 60, 6
_BLOCKS = " ▁▂▃▄▅▆▇█"


def power_lines(plan: Design) -> list[str]:
    """The curve in characters: power against units of the control, the planned ones marked below.

    Example:
        >>> from foldline.experiments.design import design
        >>> from foldline.experiments.metrics import ProportionMetric
        >>> power_lines(design(ProportionMetric(0.07), alpha=0.05, power=0.9, effect=0.04))[1]
        '            |                 ▁▃▄▅▆▇▇████████████████████████████████████'
    """
    planned = plan.sample_size_per_variant
    most = 2 * planned
    powers = [plan.power_at(max(2, most * (column + 1) / WIDTH)) for column in range(WIDTH)]
    rows = []
    for row in reversed(range(HEIGHT)):
        filled = (min(max(power * HEIGHT - row, 0.0), 1.0) for power in powers)
        said = {HEIGHT - 1: "power 1 ", HEIGHT // 2 - 1: "0.5 "}.get(row, "")
        rows.append(f"{said:>12}|" + "".join(_BLOCKS[round(8 * share)] for share in filled).rstrip())
    at = WIDTH // 2
    rows.append(f"{'0 ':>12}+{'-' * (at - 1)}^{'-' * (WIDTH - at)}")
    sizes = f"0{planned:^{WIDTH - 1 - len(str(most))}}{most}"
    rows.append(f"{'':>13}{sizes}")
    rows.append(f"{'':>13}{'units of the control':^{WIDTH}}".rstrip())
    return rows


def draw_power(plan: Design, path: Path) -> None:
    """Draw power against units of the control, for the design's effect and for half and half again as much.

    Args:
        plan: the design.
        path: a PNG, SVG or PDF file; written anew.

    Raises:
        MissingExtra: matplotlib is not installed.
        InputError: `input.unreadable` where the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("plots", "drawing figures") from error
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    room = plan.metric.room
    for factor, style in ((0.5, ":"), (1.0, "-"), (1.5, "--")):
        effect = factor * plan.effect
        if not room[0] < effect < room[1] or (plan.margin and factor != 1.0):
            continue
        curve = power_curve(plan, 80, effect=effect)
        sizes, powers = zip(*curve, strict=True)
        axes.plot(sizes, powers, style, color="tab:blue", label=f"effect {effect:.4g}")
    axes.axhline(plan.power, color="0.7", linewidth=1)
    axes.axvline(plan.sample_size_per_variant, color="0.7", linewidth=1)
    axes.plot([plan.sample_size_per_variant], [plan.power], "o", color="tab:red")
    axes.annotate(
        f" {plan.sample_size_per_variant} units, power {plan.power:.3g}",
        (plan.sample_size_per_variant, plan.power),
        verticalalignment="top",
    )
    axes.set(xlabel="units of the control", ylabel="power", ylim=(0.0, 1.02), xlim=(0, None))
    axes.set_title(f"{plan.metric.kind}, {plan.metric.method}, {plan.alternative}, alpha {plan.alpha:g}")
    axes.legend(loc="lower right")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise InputError(
            "input.unreadable", f"cannot draw into {str(path)!r}: {error}", field="out"
        ) from error
