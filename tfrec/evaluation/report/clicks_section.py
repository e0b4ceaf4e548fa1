"""Click models: metrics beside the prior, curves, calibration, what the model looks at, and slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Series, curve_chart, line_chart
from tfrec.evaluation.report.clicks_overview import auc_bounds
from tfrec.evaluation.report.drawing import MODEL, draw, shorten
from tfrec.evaluation.report.numbers import count_text, interval_text, known, metric_text
from tfrec.evaluation.report.run_documents import RunDocuments

_METRICS = ("auc", "logloss", "ap", "wll", "score", "wll_balanced", "score_balanced", "mean_prediction")
_MOST_FIELDS = 12
_AREA = 260.0
_INTERACTION_KIND = "how much the feature of the row makes of that of the column."


def clicks_section(run: RunDocuments) -> Section | None:
    """Returns the section of a click model, or None for recommenders."""
    document = run.evaluation
    if not run.is_clicks:
        return None
    own = document["metrics"]
    rows = [_row(run.model, own, "model"), *(_row(name, part, "") for name, part in document["baselines"].items())]
    shift = f"Logits moved by {document['balanced_shift']:.3f}, as if there were as many clicks as other rows, change "
    scores = [metric_text(name, own[name]) for name in ("score", "score_balanced")]
    shift += f"the score from {scores[0]} to {scores[1]}; AUC and AP stay."
    blocks: list[Block] = [Table(f"{count_text(document['rows'])} rows", "model", _METRICS, tuple(rows))]
    blocks += [Paragraph(shift)] if known(own["score"]) else []
    blocks += [Charts(_curves(document, own)), *_explanation(document.get("explanation") or {})]
    blocks += [_slices(name, parts) for name, parts in document["slices"].items()]
    return Section("clicks", "Clicks", tuple(blocks))


def _row(name: str, metrics: Mapping[str, Any], role: Any) -> Row:
    cells = [Cell(metric_text(metric, metrics.get(metric))) for metric in _METRICS]
    cells[0] = Cell(cells[0].text, interval_text("auc", auc_bounds(metrics)))
    return Row(name, tuple(cells), role)


def _curves(document: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[Chart, ...]:
    charts = []
    if roc := document["curves"]["roc"]:
        xs, ys = _columns([[0.0, 0.0], *roc])
        svg = curve_chart(
            "clicks-roc",
            f"ROC curve with an area of {own['auc']:.4f}.",
            [Series("", xs, ys)],
            x_label="other rows above the threshold",
            y_label="clicks above it",
        )
        charts.append(Chart("ROC", svg))
        xs, ys = _columns(document["curves"]["precision_recall"])
        svg = line_chart(
            "clicks-precision",
            f"Precision by recall; the average precision is {own['ap']:.4f}, the click rate {own['click_rate']:.4f}.",
            [Series("model", xs, ys), Series("click rate", [0.0, 1.0], [own["click_rate"]] * 2, "muted")],
            x_label="recall",
            y_label="precision",
        )
        charts.append(Chart("Precision and recall", svg))
    points = document["calibration"]
    predicted, observed = [point["predicted"] for point in points], [point["observed"] for point in points]
    svg = line_chart(
        "clicks-calibration",
        f"Click rate by prediction in {len(points)} bins; mean difference {own['calibration_error']:.5f}.",
        [Series("model", predicted, observed), Series("calibrated", predicted, predicted, "muted")],
        x_label="mean prediction",
        y_label="click rate",
    )
    charts.append(Chart("Calibration", svg, "Bins with equal numbers of rows."))
    return tuple(charts)


def _explanation(told: Mapping[str, Any]) -> list[Block]:
    charts = []
    if "interaction" in told:
        charts.append(_interaction(told["interaction"]))
    if "by_distance" in told:
        weights = told["by_distance"]["weights"]
        svg = line_chart(
            "clicks-distance",
            f"Mean weight by distance to the target: {weights[0]:.4f} at the target.",
            [Series("", list(range(len(weights))), weights)],
            x_label="entries before the target (0: the target)",
            y_label="mean weight",
        )
        charts.append(Chart("Relevance by position", svg, told["by_distance"]["kind"]))
    return [Charts(tuple(charts))] if charts else []


def _interaction(told: Mapping[str, Any]) -> Chart:
    """Discs whose areas are the entries of a matrix; of many features those that others attend to most."""
    fields, matrix = told["fields"], np.asarray(told["matrix"])
    chosen = np.sort(np.argsort(-matrix.sum(axis=0), kind="stable")[:_MOST_FIELDS])
    part, names = matrix[np.ix_(chosen, chosen)], [fields[place] for place in chosen]
    shares = part / max(float(part.max()), 1e-12)

    def paint(axes: Axes) -> None:
        rows, columns = np.indices(shares.shape)
        axes.scatter(columns.ravel(), rows.ravel(), s=_AREA * shares.ravel() * 4 / len(names), color=MODEL)
        labels = [shorten(name, 14) for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), labels)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)

    pairs = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
    row, column = max(pairs, key=lambda pair: shares[pair]) if pairs else (0, 0)
    alt = f"Interaction of features; strongest between two: {names[row]} and {names[column]}."
    svg: Markup = draw("clicks-interaction", alt, paint, height=300)
    return Chart("Interaction of features", svg, f"Area: {told.get('kind', _INTERACTION_KIND)}")


def _slices(name: str, parts: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        Row(
            str(part["value"]),
            (
                Cell(count_text(part["rows"])),
                Cell(count_text(part["clicks"])),
                *(Cell(metric_text(metric, part[metric])) for metric in ("auc", "logloss", "mean_prediction")),
            ),
        )
        for part in parts
    ]
    columns = ("rows", "clicks", "auc", "logloss", "mean prediction")
    return Table(f"By {name}", name, columns, tuple(rows))


def _columns(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]
