"""Training in stages: what each stage reached, how branches are weighed, what memories hold, where texts come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Facts, Notice, Paragraph, Row, Section, Table
from tfrec.evaluation.report.numbers import count_text, known, seconds_text, share_text
from tfrec.evaluation.report.run_documents import RunDocuments

_PROVENANCE = {
    "train_only": "made from training events alone",
    "unknown": "of unknown provenance: they may have seen events that are to be predicted",
}

_PARTS = (
    "In the tables of accuracy, `sasrec alone`, `retriever alone` and `without memory` are parts of this very model, "
    "as its last stage left them. What a part adds is said by a run that was trained without it "
    "(`model.use_retriever=false`, `model.memory.enabled=false`) and `python -m tfrec.evaluate --compare RUN OTHER`."
)


def stages_section(run: RunDocuments) -> Section | None:
    """Returns stages, weights of the fusion, memories and texts; None for a model that is not trained in stages."""
    training = run.training
    stages = training.get("stages")
    if not stages:
        return None
    texts = training.get("texts") or {}
    blocks: list[Block] = []
    if (texts.get("users") or {}).get("provenance") == "unknown":
        name = texts["users"].get("name")
        blocks.append(
            Notice(
                "warning",
                "Caution",
                f"the user texts `{name}` are {_PROVENANCE['unknown']}",
                "Compare with a run without texts of users, or with texts made from training events alone.",
            )
        )
    blocks.append(_stages(stages))
    if {"sasrec alone", "without memory"} & set(run.evaluation.get("baselines") or {}):
        blocks.append(Paragraph(_PARTS))
    facts = [
        (f"weight of {branch}", f"{weight:.3f}", "of standardised scores")
        for branch, weight in (training.get("fusion") or {}).items()
    ]
    facts += [
        (f"texts of {whose}", f"{of['name']} ({count_text(of['known'])})", _origin(of)) for whose, of in texts.items()
    ]
    facts += _memory(training.get("memory") or {})
    if facts:
        blocks.append(Facts(tuple(facts)))
    return Section("stages", "Stages, fusion and memory", tuple(blocks))


def _origin(texts: Mapping[str, Any]) -> str:
    """Says where texts come from, and whether the retriever learned to find its targets in them."""
    known = "; the targets of training are among them" if texts.get("knows_training_targets") else ""
    return _PROVENANCE.get(texts["provenance"], "") + known


def _stages(stages: Mapping[str, Mapping[str, Any]]) -> Table:
    metric = next((name for found in stages.values() for name in found if name.startswith("valid_")), None)
    columns = ("epochs", "best epoch", *([metric.replace("_", " ", 1)] if metric else []), "last loss", "time")
    rows = []
    for name, found in stages.items():
        if "skipped" in found:
            rows.append(Row(name, tuple(Cell("") for _ in columns), note=f"passed over: {found['skipped']}"))
            continue
        cells = [count_text(found["epochs"]), str(found.get("best_epoch", ""))]
        if metric:
            cells.append(f"{found[metric]:.4f}" if known(found.get(metric)) else "")
        cells += [f"{found['loss']:.4f}", seconds_text(found["seconds"])]
        rows.append(Row(name, tuple(Cell(cell) for cell in cells)))
    caption = "Stages in their order; best epoch 0: no epoch was better than the weights before the stage"
    return Table(caption, "stage", columns, tuple(rows))


def _memory(memory: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    if not memory:
        return []
    return [
        ("users with a memory", count_text(memory["users"]), share_text(memory["share"])),
        ("updates of memories", count_text(memory["updates"]), f"in {count_text(memory['step'])} steps"),
        ("events per user", f"{memory['mean_interactions']:.1f}", "that training went through"),
        ("former states per user", f"{memory['mean_history']:.1f}", ""),
        ("change by the last update", f"{memory['mean_change']:.4f}", "1 minus the cosine, mean over users"),
    ]
