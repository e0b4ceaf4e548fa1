"""Popularity bias: how much of the catalogue is recommended, how unevenly, and how popular it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Facts, Row, Section, Table
from tfrec.evaluation.report.charts import Role, Series, curve_chart, grouped_bars
from tfrec.evaluation.report.numbers import UNKNOWN, count_text, known, share_text
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments


def popularity_section(run: RunDocuments) -> Section | None:
    """Returns tables and figures about the recommended lists, or None when no lists were made."""
    view = next((view for view in map(ProtocolView, run.protocols) if view.own.get("lists")), None)
    if view is None:
        return None
    lists: Mapping[str, Any] = view.own["lists"]
    blocks: list[Block] = [Facts(tuple(_facts(lists)))]
    charts = [chart for chart in (_shares(lists), _curve(lists)) if chart is not None]
    if charts:
        blocks.append(Charts(tuple(charts)))
    blocks.append(_table(view, lists))
    return Section("popularity", "Popularity bias", tuple(blocks))


def _facts(lists: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    facts = []
    if known(lists.get("num_lists")):
        facts.append(("lists", f"{lists['num_lists']:,} of {count_text(lists.get('length'))} items", "one per target"))
    if known(lists.get("target_popularity")):
        facts.append(("popularity of the targets", count_text(lists["target_popularity"]), "mean training events"))
    if known(lists.get("catalogue_popularity")):
        facts.append(("popularity of the catalogue", count_text(lists["catalogue_popularity"]), "mean training events"))
    return facts


def _shares(lists: Mapping[str, Any]) -> Chart | None:
    shares = lists.get("shares") or {}
    buckets = [str(bucket) for bucket in shares.get("buckets") or []]
    kinds: dict[str, tuple[str, Role]] = {
        "recommended": ("recommended", "model"),
        "targets": ("targets", "other"),
        "events": ("training events", "muted"),
    }
    sets = [
        Series(label, (), shares[key], role)
        for key, (label, role) in kinds.items()
        if len(shares.get(key) or []) == len(buckets) and all(known(value) for value in shares[key])
    ]
    if not buckets or not sets:
        return None
    caption = f"Top-{count_text(shares.get('cutoff'))} lists against what was consumed."
    if len(shares.get("items") or []) == len(buckets):
        caption += f" Share of the catalogue: {_list(buckets, shares['items'])}."
    svg = grouped_bars(
        "popularity-shares",
        f"Shares by popularity of the item. {'; '.join(f'{part.label}: {_list(buckets, part.ys)}' for part in sets)}.",
        buckets,
        sets,
        x_label="items by popularity",
        y_label="share",
    )
    return Chart("Recommended against consumed", svg, caption)


def _list(buckets: Sequence[str], shares: Sequence[float]) -> str:
    return ", ".join(f"{bucket} {share_text(share)}" for bucket, share in zip(buckets, shares, strict=True))


def _curve(lists: Mapping[str, Any]) -> Chart | None:
    curve = lists.get("curve") or {}
    xs = curve.get("item_share") or []
    kinds: dict[str, tuple[str, Role]] = {
        "recommended": ("recommended", "model"),
        "training": ("training events", "other"),
    }
    lines = [
        Series(label, xs, curve[key], role)
        for key, (label, role) in kinds.items()
        if len(curve.get(key) or []) == len(xs) and all(known(value) for value in curve[key])
    ]
    if not xs or not lines:
        return None
    near = min(range(len(xs)), key=lambda place: abs(xs[place] - 0.9))
    top = [f"{share_text(1 - line.ys[near])} of {line.label}" for line in lines]
    svg = curve_chart(
        "popularity-curve",
        f"Concentration: the most frequent {share_text(1 - xs[near])} of the items make {' and '.join(top)}.",
        lines,
        x_label="share of items, from rarest to most frequent",
        y_label="cumulative share",
    )
    caption = "The diagonal is perfect evenness; the area between it and a curve is half the Gini coefficient."
    return Chart("Concentration (Lorenz curves)", svg, caption)


def _table(view: ProtocolView, lists: Mapping[str, Any]) -> Table:
    cutoff = view.cutoff if f"coverage@{view.cutoff}" in lists else lists.get("length")
    families = {"coverage": share_text, "gini": _ratio, "popularity": count_text, "overlap": share_text}
    keys = [f"{family}@{cutoff}" for family in families]
    rows = []
    for name, entry in view.models.items():
        theirs = entry.get("lists") or {}
        if theirs:
            cells = tuple(Cell(write(theirs.get(key))) for key, write in zip(keys, families.values(), strict=True))
            rows.append(Row(name, cells, role=view.row_role(name)))
    caption = (
        "coverage: share of the candidates that appear in at least one list; gini: 0 even, 1 one item takes all; "
        "popularity: mean training events of the recommended items; overlap: items that the lists of two random "
        "targets share (100 %: everybody gets the same list)."
    )
    return Table(caption, "model", tuple(keys), tuple(rows))


def _ratio(value: Any) -> str:
    return f"{value:.3f}" if known(value) else UNKNOWN
