"""Where the texts of a run come from: texts that may have seen the future are said to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from tfrec.config.run_config import StagedRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.item_vectors import read_item_text
from tfrec.data.text_vectors import TextVectors
from tfrec.data.user_vectors import read_user_vectors


def text_provenance(config: StagedRunConfig, dataset: InteractionDataset, console: Console) -> dict[str, Any]:
    """Returns name, provenance, source and number of the texts of `items` and `users` that a model reads.

    Args:
        config: Effective configuration.
        dataset: The data.
        console: Warned of texts of users that are not known to be made from training events alone.
    """
    if not config.model.has_retriever:
        return {}
    names, found = config.model.retriever, {}
    if names.item_texts is not None:
        found["items"] = _described(read_item_text(dataset, names.item_texts))
    if names.user_texts is not None:
        found["users"] = _described(read_user_vectors(dataset, names.user_texts))
        found["users"]["knows_training_targets"] = _knows_targets(found["users"]["source"], config.joint.last_events)
        if found["users"]["provenance"] != "train_only":
            console.print(
                f"WARNING: nobody knows what the user texts `{names.user_texts}` were made from: they may have seen "
                "events that are to be predicted.",
                markup=False,
                style="yellow",
                soft_wrap=True,
            )
        if found["users"]["knows_training_targets"]:
            console.print(
                f"WARNING: the user texts `{names.user_texts}` were made from events that the retriever learns to "
                "predict: it learns to find them there, which helps with no other event. Make texts with "
                "`--skip-last N` and set `joint.last_events=N`.",
                markup=False,
                style="yellow",
                soft_wrap=True,
            )
    return found


def _knows_targets(source: Mapping[str, Any], last_events: int) -> bool | None:
    """Whether texts of users were made from the targets of training; None when nobody knows.

    Args:
        source: How the texts were made.
        last_events: How many of the last events of a sequence are targets; 0: any.
    """
    left_out = source.get("skip_last", source.get("texts", {}).get("skip_last"))
    return None if left_out is None else not 0 < last_events <= left_out


def _described(texts: TextVectors) -> dict[str, Any]:
    return {
        "name": texts.name,
        "provenance": texts.provenance,
        "known": int(texts.known.sum()),
        "source": dict(texts.source),
    }
