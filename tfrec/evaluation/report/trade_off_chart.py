"""A figure of what is gained against what is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfrec.evaluation.report.drawing import INK, MODEL, MUTED, SOFT, draw


@dataclass(frozen=True)
class TradeOffPoint:
    """One setting.

    Args:
        label: Written beside the point.
        gained: Position.
        kept: Height.
        interval: Lower and upper end of the height.
    """

    label: str
    gained: float
    kept: float
    interval: tuple[float, float] | None = None


def trade_off_chart(
    name: str, alt: str, points: Sequence[TradeOffPoint], *, x_label: str, y_label: str, reference: float | None = None
) -> Markup:
    """Draws settings from weak to strong, joined by a line.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        points: Settings in order.
        x_label: What is gained.
        y_label: What is kept.
        reference: Height of a dashed rule.
    """

    def paint(axes: Axes) -> None:
        if reference is not None:
            axes.axhline(reference, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        xs, ys = [point.gained for point in points], [point.kept for point in points]
        for point in points:
            if point.interval is not None:
                axes.plot([point.gained] * 2, point.interval, color=MUTED, linewidth=1.2)
        axes.plot(xs, ys, color=MODEL, marker="o")
        for point in _apart(points):
            place = (point.gained, point.kept)
            axes.annotate(point.label, place, xytext=(4, 5), textcoords="offset points", color=INK, fontsize=10)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.margins(x=0.1, y=0.12)
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)

    return draw(name, alt, paint)


def _apart(points: Sequence[TradeOffPoint]) -> list[TradeOffPoint]:
    """The points that get a label: those that are not too near to the one before."""
    width = max(point.gained for point in points) - min(point.gained for point in points) or 1.0
    height = max(point.kept for point in points) - min(point.kept for point in points) or 1.0
    chosen = list(points[:1])
    for point in points[1:]:
        far = abs(point.gained - chosen[-1].gained) > 0.08 * width or abs(point.kept - chosen[-1].kept) > 0.1 * height
        if far:
            chosen.append(point)
    return chosen
