"""What an evaluation says of vectors of users, for models that have two of each."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.config.evaluation_config import EvaluationConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.evaluation.alarms import USER_METRIC, find_user_alarms, too_few_users
from tfrec.evaluation.user_section import user_section
from tfrec.evaluation.user_vectors import has_rivals
from tfrec.models.window_pair_encoder import WindowPairEncoder
from tfrec.tables import make_table
from tfrec.training.evaluation_document import finite_numbers
from tfrec.training.print_evaluation import print_alarms

_SHOWN = ("user_recall@1", "user_recall@10", "user_mrr", "pairwise_accuracy", "gap", "bpr")


def add_user_section(
    document: dict[str, Any], model: Any, dataset: InteractionDataset, settings: EvaluationConfig, console: Console
) -> None:
    """Adds `users`, and alarms about them, to an evaluation document and prints both, when the model is one of windows.

    Nothing is added where there are fewer than two users to compare.

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
    if not has_rivals(model.windows, dataset, settings.split):
        text = f"`{settings.split}` has fewer than two users with a long and a short window: vectors are not compared."
        console.print(text, markup=False, style="yellow", soft_wrap=True)
        return
    with console.status(f"Encoding the users of `{settings.split}`"):
        found = user_section(model, dataset, settings.split, settings.bootstrap, name=name, details=settings.details)
    document["users"] = finite_numbers(found)
    alarms = find_user_alarms(name, found)
    document["alarms"] = [*finite_numbers(alarms), *document["alarms"]]
    _print_users(found, console, settings.bootstrap.confidence)
    print_alarms(alarms, console)


def _print_users(section: dict[str, Any], console: Console, confidence: float) -> None:
    rows: list[list[Any]] = [["chance", *(section["chance"].get(metric, "") for metric in _SHOWN)]]
    rows += [[own, *(model["metrics"][metric] for metric in _SHOWN)] for own, model in section["models"].items()]
    title = f"Own short window among those of all {section['users']:,} users of `{section['split']}`"
    columns = ["", "recall@1", "recall@10", "mrr", "accuracy", "gap", "bpr"]
    console.print(make_table(title, columns, rows))
    if (warning := too_few_users(section)) is not None:
        console.print(f"Warning: {warning}", markup=False, style="yellow", soft_wrap=True)
    certain = section["chance"][USER_METRIC] >= 1.0  # an interval of it would only mislead
    for own, model in section["models"].items() if not certain else ():
        if (bounds := model["intervals"].get(USER_METRIC)) is not None:
            text = f"{own} recall@10: {100 * confidence:g} % interval {bounds['low']:.4f} to {bounds['high']:.4f}"
            if "low" in (gap := model.get("difference", {}).get(USER_METRIC, {})):
                text += f"; the model is {gap['value']:+.4f} against it ({gap['low']:+.4f} to {gap['high']:+.4f})"
            console.print(text, markup=False, soft_wrap=True)
    if (probe := section.get("probe")) is not None:
        shares = ", ".join(f"{own} {100 * found['value']:.1f} %" for own, found in probe["models"].items())
        text = f"Events of short windows in the 10 values of {probe['category']} predicted first from the long window: "
        console.print(text + f"{shares}.", markup=False, soft_wrap=True)
