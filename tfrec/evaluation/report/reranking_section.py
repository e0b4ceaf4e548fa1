"""Re-ranking: what diversity, novelty and calibration cost in accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Paragraph, Row, Section, Table
from tfrec.evaluation.report.numbers import count_text, interval_text, known, metric_text
from tfrec.evaluation.report.run_documents import RunDocuments
from tfrec.evaluation.report.trade_off_chart import TradeOffPoint, trade_off_chart

_TITLES = {
    "mmr": "Diversity (maximal marginal relevance)",
    "novelty": "Novelty (popularity penalty)",
    "calibration": "Calibration (categories as in the history)",
}
_AXES = {
    "mmr": "diversity: mean cosine distance in a list",
    "novelty": "novelty: bits, higher is less popular",
    "calibration": "divergence from the history in nats (lower is better)",
}


def reranking_section(run: RunDocuments) -> Section | None:
    """Returns the curves and all points, or None when no lists were ordered anew."""
    found = run.evaluation.get("reranking")
    if not found or not found.get("points"):
        return None
    blocks: list[Block] = [Paragraph(_text(found)), Charts(tuple(_charts(found))), _table(found)]
    return Section("reranking", "Re-ranking", tuple(blocks))


def _text(found: Mapping[str, Any]) -> str:
    text = (
        f"The {count_text(found['candidates'])} best candidates of `{found['model']}` for "
        f"{count_text(found['lists'])} targets of `{found['split']}` are ordered anew; lists of "
        f"{count_text(found['length'])} are measured. Strength 0 is the order as it was, 1 would leave the scores out."
    )
    if found.get("likeness"):
        text += f" Likeness: {found['likeness']}."
    if found.get("category"):
        text += f" Calibration: shares of `{found['category']}`."
    return text


def _charts(found: Mapping[str, Any]) -> list[Chart]:
    kept = f"ndcg@{found['length']}"
    first = found["points"][0]
    charts = []
    for method, goal in found["goals"].items():
        chosen = [first, *(point for point in found["points"] if point["method"] == method)]
        points = [
            TradeOffPoint(f"{point['strength']:g}", point[goal], point[kept], _range(first, point, kept))
            for point in chosen
            if known(point.get(goal)) and known(point.get(kept))
        ]
        if not points:
            continue
        said = "; ".join(f"strength {one.label}: {goal} {one.gained:.3f}, {kept} {one.kept:.4f}" for one in points)
        svg = trade_off_chart(
            f"reranking-{method}", f"{said}.", points, x_label=_AXES[method], y_label=kept, reference=points[0].kept
        )
        caption = (
            "Numbers: strength. Dashed: accuracy of the lists as they were; bars: bootstrap intervals of the change."
        )
        charts.append(Chart(_TITLES[method], svg, caption))
    return charts


def _range(first: Mapping[str, Any], point: Mapping[str, Any], metric: str) -> tuple[float, float] | None:
    change = (point.get("difference") or {}).get(metric)
    if not change or not (known(change.get("low")) and known(change.get("high"))):
        return None
    return first[metric] + change["low"], first[metric] + change["high"]


def _table(found: Mapping[str, Any]) -> Table:
    length = found["length"]
    names = [f"{name}@{length}" for name in ("ndcg", "hit", "mrr", "diversity", "novelty", "coverage", "divergence")]
    names = [name for name in names if known(found["points"][0].get(name))]
    rows = []
    for point in found["points"]:
        label = "as it was" if point["method"] is None else f"{point['method']} {point['strength']:g}"
        changes = point.get("difference") or {}
        cells = tuple(
            Cell(metric_text(name, point.get(name)), interval_text(name, changes.get(name), signed=True))
            for name in names
        )
        rows.append(Row(label, cells, role="model" if point["method"] is None else ""))
    caption = (
        "ndcg, hit, mrr: the target in the list; beneath: interval of the change. diversity: mean cosine distance of "
        "two items of a list; novelty: mean -log2 of the share of training events; coverage: share of the items that "
        "are in a list; divergence: of the categories of the list from those of the history, 0 is calibrated."
    )
    return Table(caption, "re-ranking", tuple(names), tuple(rows))
