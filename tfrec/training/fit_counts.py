"""Fits a model that counts."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.config.run_config import RunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.models.counting_recommender import CountingRecommender
from tfrec.training.checkpoints import save_checkpoint
from tfrec.training.model_store import describe_model
from tfrec.training.run_directory import RunDirectory


def fit_counts(
    model: CountingRecommender,
    dataset: InteractionDataset,
    config: RunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Counts the training split and saves the counts; an interrupted run counts again, which gives the same.

    Args:
        model: Model to fill.
        dataset: Its split `train` is read.
        config: Effective configuration.
        run: Where the checkpoint goes.
        console: For progress.
        resume: Changes nothing.

    Returns:
        `epochs`.
    """
    with console.status(f"Counting {config.model.name}"):
        model.fit_counts(dataset)
    describe_model(model, run)
    save_checkpoint(run.checkpoints, "counts", weights=model.weights)
    return {"epochs": 1}
