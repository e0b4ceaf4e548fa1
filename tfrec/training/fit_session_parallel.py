"""Fits a model over session-parallel blocks."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from tfrec.config.run_config import SessionRunConfig
from tfrec.data.block_pipeline import session_block_dataset
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer
from tfrec.training.fit_epochs import fit_epochs
from tfrec.training.model_store import describe_model
from tfrec.training.run_directory import RunDirectory


def fit_session_parallel(
    model: GRU4Rec,
    dataset: InteractionDataset,
    config: SessionRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Prepares the model and runs the epochs, see `fit_epochs`.

    Args:
        model: Model to train; it must be new unless `resume`.
        dataset: Its split `train` is read.
        config: Effective configuration.
        run: The run directory.
        console: For progress.
        resume: Continue from the latest checkpoint of `run`.

    Returns:
        What `fit_epochs` returns.

    Raises:
        ConfigError: The data set stores its sessions in another order than `training.time_sort` asks for, or a single
            lane has nothing to compare its target with.
    """
    training = config.training
    _check_order(dataset, config)
    # A lane beyond the number of sessions would never be used (the reference fails there).
    lanes = min(training.batch_size, dataset.num_sequences("train"))
    if lanes < 2 and not config.objective.num_negatives:
        raise ConfigError(
            "With one lane and `objective.num_negatives=0` there is nothing to compare a target with.",
            remedy="Raise `training.batch_size` or `objective.num_negatives`.",
        )
    model.prepare_training(CandidateObjective(config.objective, dataset.item_vocabulary.counts), lanes)
    optimizer = build_optimizer(config.optimizer)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    describe_model(model, run)
    return fit_epochs(
        model,
        lambda next_epoch: session_block_dataset(
            dataset,
            "train",
            lanes,
            training.block_steps,
            min_active_lanes=1 if config.objective.num_negatives else 2,
            shuffle_seed=config.seed if training.random_order else None,
            next_epoch=next_epoch,
        ),
        dataset,
        config,
        run,
        console,
        events_per_epoch=dataset.num_events("train") - dataset.num_sequences("train"),
        training_state=model.lane_states,
        resume=resume,
    )


def _check_order(dataset: InteractionDataset, config: SessionRunConfig) -> None:
    wanted = "time" if config.training.time_sort else "id"
    if not config.training.random_order and dataset.manifest.sequence_order != wanted:
        raise ConfigError(
            f"`training.time_sort` is `{config.training.time_sort}`, but the data set is stored in the order of "
            f"{dataset.manifest.sequence_order}.",
            remedy=f"Convert it with `--sequence-order {wanted}`, or change the setting.",
        )
