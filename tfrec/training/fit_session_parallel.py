"""Fits a model over session-parallel blocks."""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console

from tfrec.config.run_config import GradientRunConfig
from tfrec.data.block_pipeline import session_block_dataset
from tfrec.data.dataset import InteractionDataset
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.history_log import HistoryLog
from tfrec.training.nan_guard import NanGuard
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunDirectory


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
        `epochs`, `loss` of the last one, `seconds`; `events_per_second` and `mini_batches_per_second`, medians over the
        epochs of this process.

    Raises:
        TrainingError: The loss became NaN or infinite.
        DataError: A shard of the training data is damaged.
    """
    training = config.training
    # A lane beyond the number of sessions would never be used (the reference fails there).
    lanes = min(training.batch_size, dataset.num_sequences("train"))
    objective = CandidateObjective(config.objective, dataset.item_vocabulary.counts)
    model.prepare_training(objective, lanes)
    optimizer = build_optimizer(config.optimizer)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)

    writer = CheckpointWriter(
        run.checkpoints,
        model.lane_states,
        keep=training.checkpoints_to_keep,
        minutes=training.checkpoint_minutes,
    )
    start = writer.restore(model) if resume else writer.position
    pending_skip = [start.block]
    blocks = session_block_dataset(
        dataset,
        "train",
        lanes,
        training.block_steps,
        min_active_lanes=1 if config.objective.num_negatives else 2,
        skip_blocks=lambda: pending_skip.pop() if pending_skip else 0,
    )
    events = dataset.num_events("train") - dataset.num_sequences("train")
    progress = TrainingProgress(console, events, training.epochs)
    history = HistoryLog(run.history, progress, first_epoch=start.epoch)
    callbacks: list[keras.callbacks.Callback] = [
        progress,
        NanGuard(),
        history,
        keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False, update_freq="epoch"),
        writer,
    ]
    try:
        with warnings.catch_warnings(), dataset.explain_data_loss("train"):
            # The number of blocks of an epoch is known only when it ends, which Keras takes for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            # Keras takes the length of the first epoch it sees for all: the rest of an epoch is fitted on its own.
            stages = [start.epoch + 1, training.epochs] if start.block else [training.epochs]
            first = start.epoch
            for last in stages:
                model.fit(blocks, epochs=last, initial_epoch=first, verbose=0, callbacks=callbacks, shuffle=False)
                first = last
    finally:
        progress.close()
    return _summary(history, progress)


def _summary(history: HistoryLog, progress: TrainingProgress) -> dict[str, Any]:
    summary: dict[str, Any] = {"epochs": len(history.rows)}
    if history.rows:
        summary["loss"] = float(history.rows[-1]["loss"])
        summary["seconds"] = sum(float(row["seconds"]) for row in history.rows)
    for rate in ("events_per_second", "mini_batches_per_second"):
        if progress.rates:
            summary[rate] = statistics.median(epoch[rate] for epoch in progress.rates)
    return summary


def set_determinism(seed: int, *, deterministic: bool) -> None:
    """Seeds every generator; with `deterministic`, also selects deterministic kernels (slower on GPU)."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
