"""Accuracy: the model, its baselines, the optimum and chance, with intervals, one table per protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Fold, Heading, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Estimate, interval_chart
from tfrec.evaluation.report.numbers import (
    LOWER_IS_BETTER,
    difference_text,
    interval_text,
    known,
    metric_text,
    probability_text,
    share_text,
)
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments

_NOTES = {"model": "this run", "optimum": "true probabilities of the synthetic data"}


def accuracy_section(run: RunDocuments) -> Section | None:
    """Returns tables and figures of all protocols, or None without a measurement."""
    views = [ProtocolView(document, position) for position, document in enumerate(run.protocols)]
    blocks: list[Block] = []
    for view in views:
        if view.model is not None:
            blocks += _protocol(run, view)
    return Section("accuracy", "Accuracy", tuple(blocks)) if blocks else None


def protocol_caption(run: RunDocuments, view: ProtocolView) -> str:
    """Says how the numbers of a protocol were made."""
    document = view.document
    parts = [view.title]
    if known(document.get("num_targets")):
        parts.append(f"{document['num_targets']:,} targets of `{run.evaluation.get('split', 'test')}`")
    if known(document.get("num_candidates")):
        parts.append(f"{document['num_candidates']:,} candidates")
    if document.get("tie_rule"):
        parts.append(f"{document['tie_rule']} ties")
    return ", ".join(parts)


def _protocol(run: RunDocuments, view: ProtocolView) -> list[Block]:
    blocks: list[Block] = [Heading(f"{view.title[:1].upper()}{view.title[1:]}")]
    if view.document.get("description"):
        blocks.append(Paragraph(str(view.document["description"])))
    blocks.append(_table(run, view, view.shown, protocol_caption(run, view)))
    blocks.append(Charts(tuple(_chart(view, metric) for metric in view.headline)))
    differences = _differences(run, view)
    if differences is not None:
        blocks.append(differences)
    ties = _ties(view)
    if ties is not None:
        blocks.append(ties)
    if set(view.metrics) - set(view.shown):
        blocks.append(Fold(f"All metrics, {view.title}", _complete(view)))
    return blocks


def _table(run: RunDocuments, view: ProtocolView, metrics: list[str], caption: str) -> Table:
    bootstrap = run.evaluation.get("bootstrap") or {}
    has_intervals = any(view.models[name].get("intervals") for name in view.models)
    if has_intervals and known(bootstrap.get("confidence")):
        caption += f"; beneath each value its {100 * bootstrap['confidence']:g} % bootstrap interval"
        caption += f" ({bootstrap.get('samples', 0):,} resamples of {bootstrap.get('unit', 'target')}s)"
    if any(metric in LOWER_IS_BETTER for metric in metrics):
        caption += "; higher is better, except for avg_rank"
    best = {metric: _best(view, metric) for metric in metrics}
    rows = [
        Row(
            name,
            tuple(
                Cell(
                    metric_text(metric, view.value(name, metric)),
                    interval_text(metric, (entry.get("intervals") or {}).get(metric)),
                    tone="best" if name == best[metric] else "",
                )
                for metric in metrics
            ),
            role=view.row_role(name),
            note=_NOTES.get(str(entry.get("role")), ""),
        )
        for name, entry in view.models.items()
    ]
    if view.chance:
        cells = tuple(Cell(metric_text(metric, view.chance.get(metric))) for metric in metrics)
        rows.append(Row("chance", cells, role="reference", note="uniformly random ranking"))
    return Table(caption, "model", tuple(metrics), tuple(rows))


def _best(view: ProtocolView, metric: str) -> str | None:
    rated = [
        (float(view.value(name, metric)), name)
        for name, entry in view.models.items()
        if entry.get("role") != "optimum" and known(view.value(name, metric))
    ]
    if len(rated) < 2:
        return None
    return (min if metric in LOWER_IS_BETTER else max)(rated, key=lambda pair: pair[0])[1]


def _chart(view: ProtocolView, metric: str) -> Chart:
    estimates = []
    for name in view.models:
        value = view.value(name, metric)
        if known(value):
            estimates.append(Estimate(name, float(value), view.interval(name, metric), view.mark_role(name)))
    chance = view.chance.get(metric)
    said = "; ".join(f"{row.label} {row.value:.4f}" for row in estimates)
    said += f"; chance {chance:.4f}" if known(chance) else ""
    caption = "Bars: bootstrap intervals. " if any(row.interval for row in estimates) else ""
    caption += "Dashed line: chance." if known(chance) else ""
    svg = interval_chart(
        f"accuracy-{view.position}-{metric.replace('@', '-')}",
        f"{metric} by model: {said}",
        estimates,
        x_label=f"{metric} (higher is better)",
        reference=float(chance) if known(chance) else None,
    )
    return Chart(f"{metric}, {view.title}", svg, caption.strip())


def _differences(run: RunDocuments, view: ProtocolView) -> Table | None:
    metrics = [metric for metric in dict.fromkeys([*view.headline, "mrr", "avg_rank"]) if metric in view.metrics]
    rows = []
    for name in view.baselines:
        found = {metric: view.difference(name, metric) for metric in metrics}
        if not any(found.values()):
            continue
        cells = []
        for metric in metrics:
            difference = found[metric]
            notes = (interval_text(metric, difference, signed=True), probability_text(difference.get("p_value")))
            note = "; ".join(part for part in notes if part)
            cells.append(Cell(difference_text(metric, difference.get("value")), note))
        rows.append(Row(f"minus {name}", tuple(cells)))
    if not rows:
        return None
    unit = (run.evaluation.get("bootstrap") or {}).get("unit", "target")
    caption = (
        f"{view.model} minus each baseline: paired bootstrap over the same {unit}s. An interval without zero is a "
        "difference that luck in the choice of test data does not explain."
    )
    return Table(caption, f"{view.model} …", tuple(metrics), tuple(rows))


def _ties(view: ProtocolView) -> Block | None:
    ties: Mapping[str, Any] = view.own.get("ties") or {}
    share = ties.get("share_tied")
    if not known(share):
        return None
    if share == 0:
        return Paragraph("No target shares its score with another candidate, so the tie rule changes nothing.")
    names = {"standard": "optimistic", "median": "mid-rank", "conservative": "pessimistic"}
    metrics = [metric for metric in view.shown if any(metric in (ties.get(rule) or {}) for rule in names)]
    rows = tuple(
        Row(rule, tuple(Cell(metric_text(metric, ties[rule].get(metric))) for metric in metrics), note=meaning)
        for rule, meaning in names.items()
        if ties.get(rule)
    )
    caption = f"{share_text(share)} of the targets share their score with another candidate; {view.model} by tie rule."
    return Table(caption, "tie rule", tuple(metrics), rows) if rows else Paragraph(caption)


def _complete(view: ProtocolView) -> Table:
    names = [*view.models, *(["chance"] if view.chance else [])]
    rows = []
    for metric in view.metrics:
        values = [view.value(name, metric) for name in view.models] + ([view.chance.get(metric)] if view.chance else [])
        if any(known(value) for value in values):
            rows.append(Row(metric, tuple(Cell(metric_text(metric, value)) for value in values)))
    return Table(f"Every metric, {view.title}", "metric", tuple(names), tuple(rows))
