"""Vectors of users: whether the long window of a user finds his own short one, and how far apart both are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfrec.evaluation.report.blocks import Block, Cell, Chart, Charts, Paragraph, Row, Section, Table
from tfrec.evaluation.report.charts import Estimate, Series, histogram, interval_chart
from tfrec.evaluation.report.numbers import count_text, interval_text, known, metric_text, share_text
from tfrec.evaluation.report.run_documents import RunDocuments

_METRICS = ("user_recall@1", "user_recall@10", "user_mrr", "pairwise_accuracy", "own_cosine", "other_cosine", "gap")
_NOTES = {
    "mean_pooling": "mean of the model's event vectors, centred",
    "category_counts": "tf-idf of categories",
    "item_counts": "tf-idf of items",
}


def users_section(run: RunDocuments) -> Section | None:
    """Returns retrieval of own short windows, similarities and the probe, or None for models without such vectors."""
    found = run.evaluation.get("users")
    if not found:
        return None
    blocks: list[Block] = [_table(found), Charts(tuple(_charts(found)))]
    if found.get("probe"):
        blocks += [Paragraph(_probe_text(found["probe"])), _probe_table(found["probe"])]
    return Section("users", "Vectors of users", tuple(blocks))


def _table(found: Mapping[str, Any]) -> Table:
    models = found["models"]
    caption = (
        f"Each of {count_text(found['users'])} users of `{found['split']}`: rank of his own short window among those "
        "of all, by cosine with the vector of his long window; ties count against the model"
    )
    rows = [
        Row(
            name,
            tuple(
                Cell(metric_text(metric, entry["metrics"].get(metric)), interval_text(metric, _bounds(entry, metric)))
                for metric in _METRICS
            ),
            role="model" if entry["role"] == "model" else "",
            note=_NOTES.get(name, ""),
        )
        for name, entry in models.items()
    ]
    chance = tuple(Cell(metric_text(metric, found["chance"].get(metric))) for metric in _METRICS)
    rows.append(Row("chance", chance, role="reference", note="random vectors"))
    return Table(caption, "vectors", _METRICS, tuple(rows))


def _bounds(entry: Mapping[str, Any], metric: str) -> Mapping[str, Any] | None:
    return (entry.get("intervals") or {}).get(metric)


def _charts(found: Mapping[str, Any]) -> list[Chart]:
    metric = "user_recall@10"
    estimates = []
    for name, entry in found["models"].items():
        bounds = _bounds(entry, metric)
        interval = None if bounds is None else (float(bounds["low"]), float(bounds["high"]))
        value = float(entry["metrics"][metric])
        estimates.append(Estimate(name, value, interval, "model" if entry["role"] == "model" else "other"))
    chance = found["chance"].get(metric)
    said = "; ".join(f"{one.label} {one.value:.4f}" for one in estimates)
    svg = interval_chart(
        "users-recall",
        f"{metric} by kind of vector: {said}.",
        estimates,
        x_label=f"{metric} (higher is better)",
        reference=float(chance) if known(chance) else None,
    )
    charts = [Chart(f"{metric} of own short windows", svg, "Dashed line: chance.")]
    own = next((entry for entry in found["models"].values() if entry.get("similarity")), None)
    if own is not None:
        similarity, metrics = own["similarity"], own["metrics"]
        sets = [
            Series("own short window", (), _shares(similarity["own"])),
            Series("those of others", (), _shares(similarity["other"]), "other"),
        ]
        text = f"own {metrics['own_cosine']:.3f}, others {metrics['other_cosine']:.3f} on average"
        svg = histogram(
            "users-similarity",
            f"Distributions of the cosine of long and short windows: {text}.",
            [float(edge) for edge in similarity["edges"]],
            sets,
            x_label="cosine of long and short window",
            y_label="share of pairs",
        )
        charts.append(Chart("Positive and negative similarity", svg, f"{text.capitalize()}; the gap is what counts."))
    return charts


def _probe_text(probe: Mapping[str, Any]) -> str:
    return (
        f"What the vector of the long window is good for elsewhere: a linear probe, fitted on "
        f"{count_text(probe['train_users'])} training users, predicts the `{probe['category']}` of the short window."
    )


def _probe_table(probe: Mapping[str, Any]) -> Table:
    rows = [Row(name, (Cell(share_text(entry["value"]), _range(entry)),)) for name, entry in probe["models"].items()]
    caption = "Share of the events of short windows in the 10 values predicted first, with its bootstrap interval"
    return Table(caption, "vectors", ("share of events",), tuple(rows))


def _range(entry: Mapping[str, Any]) -> str:
    return f"{share_text(entry['low'])} to {share_text(entry['high'])}" if known(entry.get("low")) else ""


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]
