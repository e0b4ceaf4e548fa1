"""Slices: for whom and for what the model works, and for whom it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Estimate, interval_chart
from tfrec.evaluation.report.numbers import count_text, interval_text, known, metric_text, share_text
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments


def slices_section(run: RunDocuments) -> Section | None:
    """Returns the slices of the primary protocol, or None when none were measured."""
    view = next((view for view in map(ProtocolView, run.protocols) if view.own.get("slices")), None)
    if view is None or not view.headline:
        return None
    slices = view.own["slices"]
    intro = f"{view.model}, {view.title}. Few targets make wide intervals: compare rows with that in mind."
    charts = tuple(
        _chart(view, part, number) for number, part in enumerate(slices) if _measured(part, view.headline[0])
    )
    blocks: list[Block] = [Paragraph(intro)]
    if charts:
        blocks.append(Charts(charts))
    blocks += [_table(view, part) for part in slices]
    return Section("slices", "Slices", tuple(blocks))


def _measured(part: Mapping[str, Any], metric: str) -> list[Mapping[str, Any]]:
    return [row for row in part.get("rows") or [] if known((row.get("metrics") or {}).get(metric))]


def _chart(view: ProtocolView, part: Mapping[str, Any], number: int) -> Chart:
    metric = view.headline[0]
    estimates = []
    for row in _measured(part, metric):
        interval = (row.get("intervals") or {}).get(metric) or {}
        low, high = interval.get("low"), interval.get("high")
        ends = (float(low), float(high)) if known(low) and known(high) else None
        label = f"{row.get('name')} ({share_text(row.get('share'))})"
        estimates.append(Estimate(label, float(row["metrics"][metric]), ends, "model"))
    overall = view.own["metrics"].get(metric)
    said = "; ".join(f"{row.label} of the targets: {row.value:.4f}" for row in estimates)
    svg = interval_chart(
        f"slices-{number}",
        f"{metric} by {part.get('name')}: {said}.",
        estimates,
        x_label=f"{metric} (dashed: all targets)",
        reference=float(overall) if known(overall) else None,
    )
    title = f"By {part.get('name')}"
    return Chart(title, svg, "In brackets: share of the targets.")


def _table(view: ProtocolView, part: Mapping[str, Any]) -> Table:
    metrics = [metric for metric in dict.fromkeys([*view.headline, "mrr"]) if metric in view.metrics]
    rows = []
    for row in part.get("rows") or []:
        values, intervals, chance = (row.get(key) or {} for key in ("metrics", "intervals", "chance"))
        cells = [Cell(count_text(row.get("n")), share_text(row.get("share")))]
        cells += [Cell(metric_text(m, values.get(m)), interval_text(m, intervals.get(m))) for m in metrics]
        cells.append(Cell(metric_text(metrics[0], chance.get(metrics[0]))))
        rows.append(Row(str(row.get("name")), tuple(cells), note=str(row.get("description") or "")))
    caption = f"By {part.get('name')}"
    if part.get("description"):
        caption += f": {part['description']}"
    return Table(caption, "slice", ("targets", *metrics, f"chance {metrics[0]}"), tuple(rows))
