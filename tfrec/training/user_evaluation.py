"""What an evaluation says of vectors of users, for models that have two of each."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.user_section import user_section
from tfrec.models.window_pair_encoder import WindowPairEncoder
from tfrec.tables import make_table
from tfrec.training.evaluation_document import finite_numbers

_SHOWN = ("user_recall@1", "user_recall@10", "user_mrr", "pairwise_accuracy", "gap", "bpr")


def add_user_section(
    document: dict[str, Any], model: Any, dataset: InteractionDataset, settings: EvaluationConfig, console: Console
) -> None:
    """Adds `users` to an evaluation document and prints it, when the model is one of long and short windows.

    Args:
        document: What `evaluation_document` returned.
        model: The model of the run.
        dataset: The data.
        settings: How it is measured.
        console: Where to print.
    """
    if not isinstance(model, WindowPairEncoder):
        return
    name = document["model"]
    with console.status(f"Encoding the users of `{settings.split}`"):
        found = user_section(model, dataset, settings.split, settings.bootstrap, name=name, details=settings.details)
    document["users"] = finite_numbers(found)
    _print_users(found, console, settings.bootstrap.confidence)


def _print_users(section: dict[str, Any], console: Console, confidence: float) -> None:
    rows: list[list[Any]] = [["chance", *(section["chance"].get(metric, "") for metric in _SHOWN)]]
    rows += [[own, *(model["metrics"][metric] for metric in _SHOWN)] for own, model in section["models"].items()]
    title = f"Own short window among those of all {section['users']:,} users of `{section['split']}`"
    columns = ["", "recall@1", "recall@10", "mrr", "accuracy", "gap", "bpr"]
    console.print(make_table(title, columns, rows))
    for own, model in section["models"].items():
        if (bounds := model["intervals"].get("user_recall@10")) is not None:
            text = f"{own} recall@10: {100 * confidence:g} % interval {bounds['low']:.4f} to {bounds['high']:.4f}"
            console.print(text, markup=False)
    if (probe := section.get("probe")) is not None:
        shares = ", ".join(f"{own} {100 * found['value']:.1f} %" for own, found in probe["models"].items())
        text = f"Events of short windows in the 10 values of {probe['category']} predicted first from the long window: "
        console.print(text + f"{shares}.", markup=False, soft_wrap=True)
