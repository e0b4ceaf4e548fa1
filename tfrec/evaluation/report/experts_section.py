"""Mixtures of experts: how busy every expert was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.config.ur4rec_terms import EXPERTS, explained
from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Series, line_chart
from tfrec.evaluation.report.numbers import known, share_text
from tfrec.evaluation.report.run_documents import RunDocuments


def experts_section(run: RunDocuments) -> Section | None:
    """Returns the usage of the last epoch and the course of the entropy, or None for models without experts."""
    epochs = list(run.experts.get("epochs") or [])
    if not epochs:
        return None
    blocks: list[Block] = [_table(epochs[-1])]
    named = explained(next(iter(epochs[-1]["layers"].values())).get("names") or (), EXPERTS)
    if named:
        blocks.append(Paragraph(f"What an expert compares a candidate with: {named}."))
    if len(epochs) > 1:
        blocks.append(Charts((_chart(epochs),)))
    return Section("experts", "Usage of experts", tuple(blocks))


def _table(epoch: Mapping[str, Any]) -> Table:
    layers = epoch["layers"]
    experts = max(len(layer["shares"]) for layer in layers.values())
    names = next(iter(layers.values())).get("names") or [f"E{number}" for number in range(experts)]
    columns = (*names, "entropy", "max/min")
    rows = [
        Row(
            name,
            (
                *(Cell(share_text(share)) for share in layer["shares"]),
                Cell(f"{layer['entropy']:.3f}"),
                Cell(f"{layer['max_min']:.2f}") if known(layer["max_min"]) else Cell("infinite", tone="alarm"),
            ),
        )
        for name, layer in layers.items()
    ]
    caption = f"Share of each expert in the selections of epoch {epoch['epoch']}; entropy 1 is all alike"
    return Table(caption, "mixture", columns, tuple(rows))


def _chart(epochs: list[Mapping[str, Any]]) -> Chart:
    names = list(epochs[-1]["layers"])
    xs = [float(epoch["epoch"]) for epoch in epochs]

    def course(pick: Any) -> list[float]:
        return [float(pick([epoch["layers"][name]["entropy"] for name in names])) for epoch in epochs]

    lines = [
        Series("mean", xs, course(lambda values: sum(values) / len(values))),
        Series("least balanced mixture", xs, course(min), "other"),
    ]
    text = f"mean entropy {lines[0].ys[0]:.3f} in the first epoch, {lines[0].ys[-1]:.3f} in the last"
    svg = line_chart(
        "experts-entropy",
        f"Entropy of the usage of experts by epoch: {text}.",
        lines,
        x_label="epoch",
        y_label="entropy",
    )
    return Chart("Balance of the experts", svg, text.capitalize() + ".")
