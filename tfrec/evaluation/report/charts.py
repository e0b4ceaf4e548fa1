"""The kinds of figures that a report needs, independent of what they show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from tfrec.evaluation.report.drawing import INK, MODEL, MUTED, OTHER, SOFT, draw, shorten

Role = Literal["model", "other", "muted"]
"""What a line, bar or dot is: the run's model, something to compare it with, or a bound such as chance."""

_COLOURS: dict[Role, str] = {"model": MODEL, "other": OTHER, "muted": MUTED}
_DAY = 86_400_000  # matplotlib counts dates in days since the epoch
_DASHES: dict[Role, Any] = {"model": "-", "other": (0, (5, 2)), "muted": (0, (1, 1.5))}


@dataclass(frozen=True)
class Series:
    """One line, or one set of bars.

    Args:
        label: Shown in the legend; without one there is none.
        xs: Positions.
        ys: Values.
        role: `model`, `other` or `muted` (solid, dashed, dotted).
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    role: Role = "model"


@dataclass(frozen=True)
class Estimate:
    """A value and, where it is known, its interval.

    Args:
        label: Name of the row.
        value: Centre.
        interval: Lower and upper end.
        role: `model`, `other` or `muted`.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    role: Role = "other"


@dataclass(frozen=True)
class Span:
    """A range of time.

    Args:
        label: Name of the row.
        start: Milliseconds since the epoch.
        end: Milliseconds since the epoch.
    """

    label: str
    start: float
    end: float


def line_chart(
    name: str, alt: str, lines: Sequence[Series], *, x_label: str, y_label: str, marked: float | None = None
) -> Markup:
    """Draws lines over integers such as epochs.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        lines: Lines.
        x_label: Axis title with unit.
        y_label: Axis title with unit.
        marked: Position of a vertical rule, for example the best epoch.
    """

    def paint(axes: Axes) -> None:
        for line in lines:
            points = "o" if len(line.xs) <= 30 else ""
            style = _DASHES[line.role]
            axes.plot(
                line.xs, line.ys, color=_COLOURS[line.role], linestyle=style, marker=points, label=_entry(line.label)
            )
        if marked is not None:
            axes.axvline(marked, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        axes.grid(False, axis="x")
        _titles(axes, x_label, y_label, legend=sum(bool(line.label) for line in lines) > 1)

    return draw(name, alt, paint)


def curve_chart(name: str, alt: str, lines: Sequence[Series], *, x_label: str, y_label: str) -> Markup:
    """Draws cumulative shares against shares, with the diagonal.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        lines: Lines from (0, 0) to (1, 1).
        x_label: Axis title.
        y_label: Axis title.
    """

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8)
        for line in lines:
            axes.plot(
                line.xs, line.ys, color=_COLOURS[line.role], linestyle=_DASHES[line.role], label=_entry(line.label)
            )
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(nbins=5))
            axis.set_major_formatter(FuncFormatter(_percent))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        _titles(axes, x_label, y_label, legend=len(lines) > 1)

    return draw(name, alt, paint)


def interval_chart(
    name: str, alt: str, estimates: Sequence[Estimate], *, x_label: str, reference: float | None = None
) -> Markup:
    """Draws one row per estimate: a dot and its interval.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        estimates: Rows from top to bottom.
        x_label: Axis title with unit.
        reference: Position of a vertical rule, for example the chance level.
    """

    def paint(axes: Axes) -> None:
        for place, estimate in enumerate(estimates):
            colour = _COLOURS[estimate.role]
            if estimate.interval is not None:
                axes.plot(estimate.interval, (place, place), color=colour, linewidth=2.4, solid_capstyle="butt")
            shape = {"model": "D", "other": "o", "muted": "s"}[estimate.role]
            axes.plot([estimate.value], [place], color=colour, marker=shape, markersize=6, linestyle="none")
        if reference is not None:
            axes.axvline(reference, color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_yticks(range(len(estimates)), [shorten(estimate.label) for estimate in estimates])
        for label, estimate in zip(axes.get_yticklabels(), estimates, strict=True):
            label.set_color(INK if estimate.role == "model" else SOFT)
        axes.set_ylim(len(estimates) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(False, axis="y")
        axes.set_xlim(left=0, right=_room(estimates))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))
        axes.set_xlabel(x_label)

    return draw(name, alt, paint, height=max(130, 72 + 25 * len(estimates)))


def span_chart(name: str, alt: str, spans: Sequence[Span], *, x_label: str) -> Markup:
    """Draws one bar per range of time.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        spans: Rows from top to bottom.
        x_label: Axis title.
    """

    def paint(axes: Axes) -> None:
        first, last = min(span.start for span in spans), max(span.end for span in spans)
        least = max(last - first, 1.0) / 200  # a moment stays visible
        for place, span in enumerate(spans):
            length = max(span.end - span.start, least) / _DAY
            axes.barh(place, length, left=span.start / _DAY, height=0.5, color=MODEL, alpha=0.85)
        axes.set_yticks(range(len(spans)), [span.label for span in spans])
        axes.set_ylim(len(spans) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(False, axis="y")
        locator = AutoDateLocator(maxticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_xlabel(x_label)

    return draw(name, alt, paint, height=150)


def histogram(
    name: str,
    alt: str,
    edges: Sequence[float],
    sets: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    log: bool = False,
) -> Markup:
    """Draws shares per bin: the model's as filled steps, others as outlines above it.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        edges: Bounds of the bins, one more than there are values.
        sets: One set of values each; their positions are not used.
        x_label: Axis title with unit.
        y_label: Axis title with unit.
        log: Logarithmic positions.
    """

    def paint(axes: Axes) -> None:
        for values in sets:
            colour = _COLOURS[values.role]
            if values.role == "model":
                axes.stairs(values.ys, edges, fill=True, color=colour, alpha=0.35, linewidth=0)
            dashes = _DASHES[values.role]
            axes.stairs(values.ys, edges, color=colour, linestyle=dashes, linewidth=1.6, label=_entry(values.label))
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(_plain))
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.grid(False, axis="x")
        _titles(axes, x_label, y_label, legend=len(sets) > 1)

    return draw(name, alt, paint)


def grouped_bars(
    name: str, alt: str, groups: Sequence[str], sets: Sequence[Series], *, x_label: str, y_label: str
) -> Markup:
    """Draws bars of shares, side by side within each group.

    Args:
        name: Prefix of ids.
        alt: Alternative text.
        groups: Labels of the groups.
        sets: One value per group each; their positions are not used.
        x_label: Axis title.
        y_label: Axis title with unit.
    """

    def paint(axes: Axes) -> None:
        width = 0.8 / len(sets)
        for number, values in enumerate(sets):
            places = [place - 0.4 + width * (number + 0.5) for place in range(len(groups))]
            colour = _COLOURS[values.role]
            look: dict[str, Any] = {"facecolor": colour if values.role == "model" else "none", "edgecolor": colour}
            hatch = {"model": "", "other": "////", "muted": "...."}[values.role]
            axes.bar(places, values.ys, width * 0.92, label=_entry(values.label), hatch=hatch, **look)
        axes.set_xticks(range(len(groups)), [shorten(group, 12) for group in groups])
        axes.tick_params(axis="x", length=0)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.grid(False, axis="x")
        _titles(axes, x_label, y_label, legend=len(sets) > 1)

    return draw(name, alt, paint)


def _titles(axes: Axes, x_label: str, y_label: str, *, legend: bool) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    if legend:
        above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
        axes.legend(ncols=3, handlelength=1.8, columnspacing=1.2, **above)


def _entry(label: str) -> str:
    text = shorten(label, 18)
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text  # matplotlib leaves out labels like `_x`


def _room(estimates: Sequence[Estimate]) -> float:
    highest = max((estimate.interval or (0, estimate.value))[1] for estimate in estimates)
    return max(highest, max(estimate.value for estimate in estimates)) * 1.06 or 1.0


def _plain(value: float, _position: int = 0) -> str:
    if value and (abs(value) < 1e-3 or abs(value) >= 1e6):
        mantissa, _, exponent = f"{value:.0e}".partition("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:,.0f}" if abs(value) >= 10 and math.isclose(value, round(value)) else f"{value:g}"


def _percent(value: float, _position: int = 0) -> str:
    return f"{100 * value:g} %"
