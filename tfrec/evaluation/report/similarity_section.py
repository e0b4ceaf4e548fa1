"""Similarities: how far the model's states tell their targets from random items."""

from __future__ import annotations

from collections.abc import Sequence

from tfrec.evaluation.report.blocks import Block, Chart, Charts, Facts, Section
from tfrec.evaluation.report.charts import Series, histogram
from tfrec.evaluation.report.numbers import known, share_text
from tfrec.evaluation.report.protocol_view import ProtocolView
from tfrec.evaluation.report.run_documents import RunDocuments


def similarity_section(run: RunDocuments) -> Section | None:
    """Returns the distributions of similarities and the spread of scores, or None when neither was measured."""
    views = list(map(ProtocolView, run.protocols))
    found = next((view.own["similarity"] for view in views if view.own.get("similarity")), None)
    scores = next((view.own["scores"] for view in views if view.own.get("scores")), None)
    facts: list[tuple[str, str, str]] = []
    blocks: list[Block] = []
    if found:
        for name, label in (("target", "targets"), ("random", "random items")):
            if known(found.get(f"{name}_mean")) and known(found.get(f"{name}_std")):
                text = f"{found[f'{name}_mean']:.3f} ± {found[f'{name}_std']:.3f}"
                facts.append((f"cosine with {label}", text, "mean ± standard deviation"))
        if known(found.get("separation")):
            note = "pairs in which the target is the more similar one; 50 % is chance"
            facts.append(("separation", share_text(found["separation"]), note))
    if scores:
        if known(scores.get("median_spread")):
            note = "median standard deviation of one target's scores over the candidates"
            facts.append(("spread of scores", f"{scores['median_spread']:.4g}", note))
        if known(scores.get("share_constant")):
            facts.append(("constant scores", share_text(scores["share_constant"]), "targets with all scores equal"))
    if facts:
        blocks.append(Facts(tuple(facts)))
    if found and found.get("target") and found.get("random"):
        edges = [float(edge) for edge in found["edges"]]
        sets = [
            Series("targets", (), _shares(found["target"])),
            Series("random items", (), _shares(found["random"]), "other"),
        ]
        said = "; ".join(f"{term} {value}" for term, value, _ in facts)
        svg = histogram(
            "similarity",
            f"Distributions of the cosine between state and item vector. {said}.",
            edges,
            sets,
            x_label="cosine of state and item vector",
            y_label="share of pairs",
        )
        caption = "The further apart the two, the better the model separates; both at one point is a collapse."
        blocks.append(Charts((Chart("Similarity to targets and to random items", svg, caption),)))
    return Section("similarity", "Similarities and scores", tuple(blocks)) if blocks else None


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]
