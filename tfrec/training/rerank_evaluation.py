"""What an evaluation says of re-ranking, where it is asked for."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.item_likeness import item_likeness
from tfrec.evaluation.scorer import Scorer
from tfrec.evaluation.trade_off import trade_off
from tfrec.tables import make_table
from tfrec.training.evaluation_document import finite_numbers
from tfrec.training.measure import evaluation_batches


def add_rerank_section(
    document: dict[str, Any], model: Scorer, dataset: InteractionDataset, settings: EvaluationConfig, console: Console
) -> None:
    """Adds `reranking` to an evaluation document and prints it, when the settings name a method.

    Args:
        document: What `evaluation_document` returned.
        model: The model of the run.
        dataset: The data.
        settings: How it is measured.
        console: Where to print.

    Raises:
        ConfigError: A method needs to know something of the items that the data set does not say.
    """
    rerank = settings.rerank
    if not rerank.methods:
        return
    targets = dataset.num_targets(settings.split)
    if settings.targets_per_sequence:
        targets = min(targets, settings.targets_per_sequence * dataset.num_sequences(settings.split))
    with console.status(f"Re-ranking lists of `{settings.split}`"):
        found = trade_off(
            model,
            evaluation_batches(dataset, settings),
            item_likeness(model, dataset, rerank),
            rerank,
            settings.bootstrap,
            item_counts=dataset.item_vocabulary.counts,
            num_targets=targets,
            exclude_history=settings.exclude_history,
        )
    document["reranking"] = finite_numbers({"model": document["model"], "split": settings.split, **found})
    _print(document["reranking"], console)


def _print(section: dict[str, Any], console: Console) -> None:
    length = section["length"]
    names = ("ndcg", "hit", "diversity", "novelty", "coverage", "divergence")
    keys = [f"{name}@{length}" for name in names]
    rows = []
    for point in section["points"]:
        label = f"{point['method']} {point['strength']:g}" if point["method"] else "as it was"
        rows.append([label, *("" if point.get(key) is None else point[key] for key in keys)])
    title = f"{section['lists']:,} lists of {length} from {section['candidates']} candidates of {section['model']}"
    console.print(make_table(title, ["re-ranking", *names], rows))
