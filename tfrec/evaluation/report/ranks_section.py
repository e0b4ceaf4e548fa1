"""Where the targets land: the distribution of ranks, of which every metric is a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Row, Section, Table
from tfrec.evaluation.report.charts import Series, histogram
from tfrec.evaluation.report.numbers import count_text, share_text
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments

_DEPTHS = (1, 2, 5, 10, 20, 50, 100, 1_000, 10_000)


def ranks_section(run: RunDocuments) -> Section | None:
    """Returns the rank histograms of all protocols, or None when there are none."""
    views = [ProtocolView(document, position) for position, document in enumerate(run.protocols)]
    drawn = [view for view in views if (view.own.get("rank_histogram") or {}).get("counts")]
    if not drawn:
        return None
    blocks: list[Block] = [Charts(tuple(_chart(view) for view in drawn))]
    blocks += [_table(view) for view in drawn]
    return Section("ranks", "Ranks of the targets", tuple(blocks))


def _chart(view: ProtocolView) -> Chart:
    found: Mapping[str, Any] = view.own["rank_histogram"]
    edges: Sequence[float] = found["edges"]
    sets = [Series(str(view.model), (), _shares(found["counts"], found))]
    other = view.best_baseline
    theirs = view.models.get(other or "", {}).get("rank_histogram") or {}
    if other and list(theirs.get("edges") or []) == list(edges):
        sets.append(Series(other, (), _shares(theirs["counts"], theirs), "other"))
    if found.get("chance"):
        sets.append(Series("chance", (), _shares(found["chance"]), "muted"))
    unknown = found.get("unknown") or 0
    caption = "Share of targets per range of ranks; left is better, and the ranges widen by steps of 1, 2, 5."
    if unknown:
        caption += f" {unknown:,} targets are no candidates and have no rank."
    bins = zip(edges[:-1], edges[1:], sets[0].ys, strict=True)
    said = "; ".join(f"{_range(low, high)}: {share_text(share)}" for low, high, share in bins)
    svg = histogram(
        f"ranks-{view.position}",
        f"Share of targets by rank with {view.model}. {said}.",
        edges,
        sets,
        x_label="rank of the target (logarithmic)",
        y_label="share of targets",
        log=True,
    )
    return Chart(f"Rank histogram, {view.title}", svg, caption)


def _table(view: ProtocolView) -> Table:
    edges = list(view.own["rank_histogram"]["edges"])
    depths = [depth for depth in _DEPTHS if depth + 1 in edges[1:-1]]
    rows = []
    for name, entry in view.models.items():
        found = entry.get("rank_histogram") or {}
        if list(found.get("edges") or []) == edges:
            shares = _shares(found["counts"], found)
            cells = tuple(Cell(share_text(sum(shares[: edges.index(depth + 1)]))) for depth in depths)
            rows.append(Row(name, cells, role=view.row_role(name)))
    chance = view.own["rank_histogram"].get("chance")
    if chance:
        shares = _shares(chance)
        cells = tuple(Cell(share_text(sum(shares[: edges.index(depth + 1)]))) for depth in depths)
        rows.append(Row("chance", cells, role="reference"))
    columns = tuple(f"top {depth:,}" for depth in depths)
    return Table(f"Share of targets within the first ranks, {view.title}", "model", columns, tuple(rows))


def _shares(counts: Sequence[float], found: Mapping[str, Any] | None = None) -> list[float]:
    total = sum(counts) + ((found or {}).get("unknown") or 0)
    return [count / total if total else 0.0 for count in counts]


def _range(low: float, high: float) -> str:
    return f"rank {count_text(low)}" if high - low <= 1 else f"ranks {count_text(low)} to {count_text(high - 1)}"
