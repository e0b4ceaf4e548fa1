"""Semantic ids: how evenly their codes are used, and how many items share them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Facts, Notice, Row, Section, Table
from tfrec.evaluation.report.charts import Role, Series, line_chart
from tfrec.evaluation.report.numbers import count_text, share_text
from tfrec.evaluation.report.run_documents import RunDocuments

_FEW = 0.9
"""Codebooks of which less is used are pointed at."""


def codes_section(run: RunDocuments) -> Section | None:
    """Returns the health of the codebooks, or None for a model without semantic ids."""
    health = run.semantic_ids
    levels = list(health.get("levels") or [])
    if not levels:
        return None
    facts = (
        ("items with a semantic id", count_text(health["items"]), ""),
        ("collisions", share_text(health["collisions"]), "items whose codes another item has too"),
        ("largest group", count_text(health["largest_group"]), "items with the same codes, told apart by a last level"),
    )
    blocks: list[Block] = [Facts(facts), _table(levels)]
    epochs = [epoch for epoch in health.get("epochs") or [] if epoch.get("health")]
    if len(epochs) > 1:
        blocks.append(Charts((_use_chart(epochs), _collision_chart(epochs))))
    return Section("codes", "Semantic ids", tuple(blocks))


def codes_caution(run: RunDocuments) -> list[Notice]:
    """Returns what to say at the top of the page of codebooks of which a part is not used."""
    levels = run.semantic_ids.get("levels") or []
    little = [
        f"level {number}: {share_text(level['used'])} of {count_text(level['size'])}"
        for number, level in enumerate(levels, start=1)
        if level["used"] < _FEW
    ]
    if not little:
        return []
    advice = "Such codes tell no items apart: with `tfrec.tencentgr prepare`, take smaller codebooks (`--codes`)"
    if all(level["size"] <= run.semantic_ids["items"] for level in levels):
        advice += ", or spread the items over all codes (`--set assignment=balanced`)"
    title = f"Some codes of semantic ids are not used ({', '.join(little)})"
    return [Notice("warning", "Caution", title, f"{advice}.")]


def _table(levels: list[Mapping[str, Any]]) -> Table:
    rows = tuple(
        Row(
            str(number),
            (
                Cell(count_text(level["size"])),
                Cell(share_text(level["used"]), tone="alarm")
                if level["used"] < _FEW
                else Cell(share_text(level["used"])),
                Cell(f"{level['perplexity']:.1f}"),
                Cell(share_text(level["largest"])),
            ),
        )
        for number, level in enumerate(levels, start=1)
    )
    caption = "Codebooks; perplexity is the number of codes that, used alike, would be as even"
    return Table(caption, "level", ("codes", "used", "perplexity", "most frequent code"), rows)


def _use_chart(epochs: list[Mapping[str, Any]]) -> Chart:
    xs = [float(epoch["epoch"]) for epoch in epochs]
    roles: tuple[Role, ...] = ("model", "other", "muted")
    lines = []
    for level, last in enumerate(epochs[-1]["health"]["levels"]):
        ys = [float(epoch["health"]["levels"][level]["perplexity"]) / last["size"] for epoch in epochs]
        lines.append(Series(f"level {level + 1}", xs, ys, roles[min(level, 2)]))
    said = "; ".join(f"{line.label} from {share_text(line.ys[0])} to {share_text(line.ys[-1])}" for line in lines)
    svg = line_chart(
        "codes-perplexity",
        f"Perplexity of the codes over their number by epoch: {said}.",
        lines,
        x_label="epoch",
        y_label="perplexity / codes",
    )
    return Chart("Evenness of the codes", svg, f"{said[:1].upper()}{said[1:]}; 100 % is all alike.")


def _collision_chart(epochs: list[Mapping[str, Any]]) -> Chart:
    xs = [float(epoch["epoch"]) for epoch in epochs]
    ys = [float(epoch["health"]["collisions"]) for epoch in epochs]
    text = f"from {share_text(ys[0])} in the first epoch with codes to {share_text(ys[-1])} in the last"
    svg = line_chart(
        "codes-collisions",
        f"Share of items whose codes another item has too, by epoch: {text}.",
        [Series("", xs, ys)],
        x_label="epoch",
        y_label="share of items",
    )
    return Chart("Collisions", svg, f"Share of items that share their codes, {text} (of a sample of the items).")
