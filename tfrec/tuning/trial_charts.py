"""Figures of a search: the objective over the trials, and parallel coordinates of what was tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tfrec.evaluation.report.drawing import INK, MODEL, MUTED, OTHER, SOFT, draw, shorten
from tfrec.tuning.objective import Objective
from tfrec.tuning.parameter import Parameter
from tfrec.tuning.search_space import SearchSpace
from tfrec.tuning.trial_record import TrialRecord
from tfrec.tuning.trial_tables import ranked_trials

_GOOD_SHARE = 0.2
_AXES_PER_CHART = 6


def objective_chart(records: Sequence[TrialRecord], objective: Objective) -> Markup:
    """Draws one dot per completed trial, a cross at the edge per failed one, and the best so far as a step."""
    completed = [(record.number, record.score) for record in records if record.score is not None]
    failed = [record.number for record in records if record.status == "failed"]
    best: list[float] = []
    for _, score in completed:
        best.append(score if not best or objective.better(score, best[-1]) else best[-1])
    alt = f"{objective.name} of {len(completed)} trials; the best so far ends at {best[-1]:.4f}."

    def paint(axes: Axes) -> None:
        numbers = [number for number, _ in completed]
        axes.plot(numbers, [score for _, score in completed], "o", color=OTHER, label="trial")
        axes.step([*numbers, records[-1].number], [*best, best[-1]], where="post", color=MODEL, label="best so far")
        if failed:
            edge = axes.get_ylim()[0]
            axes.plot(failed, [edge] * len(failed), "x", color=MUTED, label="failed", clip_on=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        axes.grid(False, axis="x")
        axes.set_xlabel("trial")
        axes.set_ylabel(f"{objective.name}, validation split")
        above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
        axes.legend(ncols=3, handlelength=1.8, columnspacing=1.2, **above)

    return draw("objective-over-trials", alt, paint)


def parallel_charts(records: Sequence[TrialRecord], space: SearchSpace, objective: Objective) -> list[Markup]:
    """Draws one line per completed trial through its settings to its score, six settings to a figure.

    The best fifth of the trials is drawn over the others, the best one thickest. A setting that is not searched in a
    trial interrupts its line.
    """
    ranked = [record for record in ranked_trials(records, objective) if record.score is not None]
    groups = math.ceil(len(space.parameters) / _AXES_PER_CHART)
    per_chart = math.ceil(len(space.parameters) / groups)
    return [
        _parallel(ranked, space.parameters[first : first + per_chart], objective, f"parallel-{first}")
        for first in range(0, len(space.parameters), per_chart)
    ]


def axis_position(parameter: Parameter, value: Any) -> float:
    """Returns where a value lies on its axis, in [0, 1]: by rank in a choice, else by distance or, with log, ratio."""
    value = value[0] if parameter.config.as_list else value
    config = parameter.config
    if config.type in ("choice", "boolean"):
        grid = parameter.grid or ()
        place = next(place for place, other in enumerate(grid) if other == value and type(other) is type(value))
        return place / (len(grid) - 1) if len(grid) > 1 else 0.5
    low, high = float(config.min or 0), float(config.max or 0)
    if low == high:
        return 0.5
    if config.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _parallel(
    ranked: Sequence[TrialRecord], parameters: Sequence[Parameter], objective: Objective, name: str
) -> Markup:
    scores = [record.score or 0.0 for record in ranked]
    low, high = min(scores), max(scores)
    good = max(1, round(_GOOD_SHARE * len(ranked)))
    names = [parameter.key.rpartition(".")[2] for parameter in parameters]
    alt = f"Lines of {len(ranked)} trials through {', '.join(names)} to {objective.name} {low:.4f} to {high:.4f}."

    def paint(axes: Axes) -> None:
        for place in range(len(ranked) - 1, -1, -1):  # the best last, on top
            record = ranked[place]
            ys = [
                axis_position(parameter, record.values[parameter.key]) if parameter.key in record.values else math.nan
                for parameter in parameters
            ]
            ys.append(((record.score or 0.0) - low) / (high - low) if high > low else 0.5)
            best = place < good
            width = 2.6 if place == 0 else 1.4 if best else 0.8
            axes.plot(
                range(len(ys)),
                ys,
                color=MODEL if best else MUTED,
                linewidth=width,
                marker="o",
                markersize=2.5,
                alpha=1.0 if best else 0.55,
            )
        for place, parameter in enumerate(parameters):
            axes.axvline(place, color=SOFT, linewidth=0.8)
            for height, text in zip((-0.04, 1.04), _ends(parameter), strict=True):
                axes.text(place, height, text, color=SOFT, **_beyond(height))
        axes.axvline(len(parameters), color=INK, linewidth=1.2)
        for height, value in ((-0.04, low), (1.04, high)):
            axes.text(len(parameters), height, f"{value:.4f}", color=INK, **_beyond(height))
        labels = [shorten(label, 20) for label in (*names, objective.name)]
        axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
        axes.tick_params(axis="x", length=0, pad=14)
        axes.set_yticks([])
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(-0.4, len(parameters) + 0.4)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)

    return draw(name, alt, paint, height=330)


def _beyond(height: float) -> dict[str, Any]:
    return {"ha": "center", "va": "top" if height < 0 else "bottom", "fontsize": 9}


def _ends(parameter: Parameter) -> tuple[str, str]:
    grid, config = parameter.grid, parameter.config
    low, high = (grid[0], grid[-1]) if grid else (config.min, config.max)
    return _label(low), _label(high)


def _label(value: Any) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return shorten(f"{value:g}" if number else str(value), 9)
