"""Fits a model over pairs of windows of users."""

from __future__ import annotations

import functools
from typing import Any

from rich.console import Console

from tfrec.config.run_config import PairRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.training_sequences import batches_per_epoch
from tfrec.data.user_windows import training_pairs
from tfrec.evaluation.user_vectors import has_rivals
from tfrec.models.window_pair_encoder import WindowPairEncoder
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.training.expert_usage import ExpertUsage
from tfrec.training.fit_epochs import fit_epochs
from tfrec.training.model_store import describe_model
from tfrec.training.run_directory import RunDirectory
from tfrec.training.user_validation import UserValidation
from tfrec.training.validation import SPLIT


def fit_user_pairs(
    model: WindowPairEncoder,
    dataset: InteractionDataset,
    config: PairRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Prepares the model and runs the epochs, see `fit_epochs`; rates are users per second.

    Args:
        model: Model to train; it must be new unless `resume`.
        dataset: Its split `train` is read.
        config: Effective configuration.
        run: The run directory.
        console: For progress.
        resume: Continue from the latest checkpoint of `run`.

    Returns:
        What `fit_epochs` returns. Where the validation split has fewer than two users with both windows, all epochs
        are run without it, and the last weights are kept.
    """
    config = _without_validation_of_one(model, dataset, config, console)
    training = config.training
    if lacking := getattr(model, "features_left_out", []):
        names = ", ".join(f"`{name}`" for name in lacking)
        console.print(f"Not in the data set, so the model does without: {names}.", markup=False, soft_wrap=True)
    users = dataset.num_sequences("train")
    model.prepare_training(config.objective)
    optimizer = build_sequence_optimizer(
        config.optimizer, model.trainable_variables, batches_per_epoch(users, training.batch_size) * training.epochs
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    describe_model(model, run)
    return fit_epochs(
        model,
        lambda next_epoch: training_pairs(
            dataset, "train", training.batch_size, model.windows, seed=config.seed, next_epoch=next_epoch
        ),
        dataset,
        config,
        run,
        console,
        events_per_epoch=users,
        resume=resume,
        validation_class=functools.partial(UserValidation, training=training),
        callbacks=[ExpertUsage(run.path, run.tensorboard, console)],
    )


def _without_validation_of_one(
    model: WindowPairEncoder, dataset: InteractionDataset, config: PairRunConfig, console: Console
) -> PairRunConfig:
    """Returns the configuration without `patience` where there is nobody to tell a validated user from, and says so."""
    training = config.training
    if not training.patience or SPLIT not in dataset.splits:
        return config
    if has_rivals(model.windows, dataset, SPLIT, training.validation_users):
        return config
    console.print(
        f"`{SPLIT}` has fewer than two users with a long and a short window: nothing can be validated, so all "
        f"{training.epochs} epochs are run as with `training.patience=0`.",
        markup=False,
        style="yellow",
        soft_wrap=True,
    )
    return config.model_copy(update={"training": training.model_copy(update={"patience": 0})})
