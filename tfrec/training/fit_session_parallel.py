"""Fits a model over session-parallel blocks."""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import keras
from rich.console import Console

from tfrec.config.run_config import GradientRunConfig
from tfrec.data.block_pipeline import EpochStart, session_block_dataset
from tfrec.data.dataset import InteractionDataset
from tfrec.errors import ConfigError, DataError
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.history_log import HistoryLog
from tfrec.training.loss_trace import compare_loss_trace
from tfrec.training.nan_guard import NanGuard
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunDirectory
from tfrec.training.validation import Validation


def fit_session_parallel(
    model: GRU4Rec,
    dataset: InteractionDataset,
    config: GradientRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Runs the epochs and leaves the trained weights in the model and in `checkpoints/`.

    Args:
        model: Model to train; it must be new unless `resume`.
        dataset: Its split `train` is read.
        config: Effective configuration.
        run: Where checkpoints, history and TensorBoard files go.
        console: For progress.
        resume: Continue from the latest checkpoint of `run`.

    Returns:
        `epochs`, `loss` of the last one, `seconds`, `best_epoch` where validated; `events_per_second` and
        `mini_batches_per_second`, medians over the epochs of this process.

    Raises:
        TrainingError: The loss became NaN or infinite.
        DataError: A shard of the training data is damaged, or there is no validation split to stop early by.
        ConfigError: The data set stores its sessions in another order than `training.time_sort` asks for.
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

    validation = _validation(dataset, config, run, console)
    writer = CheckpointWriter(
        run.checkpoints,
        model.lane_states,
        keep=training.checkpoints_to_keep,
        minutes=training.checkpoint_minutes,
        validation=validation,
    )
    start = writer.restore(model) if resume else writer.position
    epochs = iter(
        [EpochStart(start.epoch, start.block), *(EpochStart(e, 0) for e in range(start.epoch + 1, training.epochs))]
    )
    blocks = session_block_dataset(
        dataset,
        "train",
        lanes,
        training.block_steps,
        min_active_lanes=1 if config.objective.num_negatives else 2,
        shuffle_seed=config.seed if training.random_order else None,
        next_epoch=lambda: next(epochs),
    )
    events = dataset.num_events("train") - dataset.num_sequences("train")
    progress = TrainingProgress(console, events, training.epochs)
    if start.block:
        progress.resume_within_epoch(float(model.event_counter.result()), float(model.step_counter.result()))
    history = HistoryLog(run.history, progress, first_epoch=start.epoch)
    callbacks: list[keras.callbacks.Callback] = [
        progress,
        NanGuard(),
        *([validation] if validation is not None else []),
        history,
        keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False, update_freq="epoch"),
        writer,
    ]
    stopped = validation is not None and validation.exhausted
    try:
        with warnings.catch_warnings(), dataset.explain_data_loss("train"):
            # The number of blocks of an epoch is known only when it ends, which Keras takes for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            # Keras takes the length of the first epoch it sees for all: the rest of an epoch is fitted on its own.
            stages = [start.epoch + 1, training.epochs] if start.block else [training.epochs]
            first = start.epoch
            for last in stages:
                if first < last and not stopped:
                    model.fit(blocks, epochs=last, initial_epoch=first, verbose=0, callbacks=callbacks, shuffle=False)
                    stopped = bool(model.stop_training)
                first = last
    finally:
        progress.close()
    summary = _summary(history)
    if validation is not None:
        validation.load_best(model)
        summary["best_epoch"] = validation.best_epoch
        summary[f"valid_{validation.monitor}"] = validation.best
    if training.loss_trace:
        summary["loss_trace"] = compare_loss_trace([float(row["loss"]) for row in history.rows], training.loss_trace)
        console.print(f"Largest relative difference to the loss trace: {summary['loss_trace']['largest']:.2%}")
    return summary


def _check_order(dataset: InteractionDataset, config: GradientRunConfig) -> None:
    wanted = "time" if config.training.time_sort else "id"
    if not config.training.random_order and dataset.manifest.sequence_order != wanted:
        raise ConfigError(
            f"`training.time_sort` is `{config.training.time_sort}`, but the data set is stored in the order of "
            f"{dataset.manifest.sequence_order}.",
            remedy=f"Convert it with `--sequence-order {wanted}`, or change the setting.",
        )


def _validation(
    dataset: InteractionDataset, config: GradientRunConfig, run: RunDirectory, console: Console
) -> Validation | None:
    if not config.training.patience:
        return None
    if "valid" not in dataset.splits:
        raise DataError(
            "`training.patience` needs a validation split, which the data set does not have.",
            file=dataset.path,
            remedy="Convert with `--valid-days` (or `--valid`), or set `training.patience=0`.",
        )
    training = config.training
    return Validation(
        dataset, config.evaluation, run.best, console, monitor=training.monitor, patience=training.patience
    )


def _summary(history: HistoryLog) -> dict[str, Any]:
    rows = history.rows
    summary: dict[str, Any] = {"epochs": len(rows), "loss": float(rows[-1]["loss"])}
    summary["seconds"] = sum(float(row["seconds"]) for row in rows)
    for rate in ("events_per_second", "mini_batches_per_second"):
        summary[rate] = statistics.median([float(row[rate]) for row in rows if float(row[rate])] or [0.0])
    return summary
