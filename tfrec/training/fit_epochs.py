"""The epochs of a run: progress, validation, history, checkpoints and resumption, whatever a batch is."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console

from tfrec.config.run_config import GradientRunConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.epoch_start import EpochStart
from tfrec.errors import DataError
from tfrec.models.sequence_recommender import SequenceRecommender
from tfrec.training.checkpoint_writer import CheckpointWriter
from tfrec.training.history_log import HistoryLog
from tfrec.training.loss_trace import compare_loss_trace
from tfrec.training.nan_guard import NanGuard
from tfrec.training.progress import TrainingProgress
from tfrec.training.run_directory import RunDirectory
from tfrec.training.validation import Validation
from tfrec.training.weight_average import WeightAverage


def fit_epochs(
    model: SequenceRecommender,
    batches: Callable[[Callable[[], EpochStart]], tf.data.Dataset],
    dataset: InteractionDataset,
    config: GradientRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    events_per_epoch: int,
    training_state: Sequence[tf.Variable] = (),
    resume: bool = False,
    validation_class: Callable[..., Validation] = Validation,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, Any]:
    """Runs the epochs and leaves the trained weights in the model and in `checkpoints/`.

    Args:
        model: Compiled model whose optimiser is built, with the metrics `loss`, `events` and `mini_batches`; it must be
            new unless `resume`.
        batches: Makes the training data; what it is given says, at the start of each iteration, where that begins.
        dataset: Its split `valid` is ranked after every epoch where `training.patience` is set.
        config: Effective configuration.
        run: Where checkpoints, history and TensorBoard files go.
        console: For progress.
        events_per_epoch: Length of the progress bar.
        training_state: Variables of the model besides weights, optimiser and metrics that a resumed run needs.
        resume: Continue from the latest checkpoint of `run`.
        validation_class: What measures the split `valid`.
        callbacks: Called before it at the end of every epoch.

    Returns:
        `epochs`, `loss` of the last one, `seconds`, `best_epoch` where validated; `events_per_second` and
        `mini_batches_per_second`, medians over the epochs of this process.

    Raises:
        TrainingError: The loss became NaN or infinite.
        DataError: A shard of the training data is damaged, or there is no validation split to stop early by.
    """
    training = config.training
    average = WeightAverage(model, training.weight_average) if training.weight_average else None
    validation = _validation(dataset, config, run, console, average, validation_class)
    writer = CheckpointWriter(
        run.checkpoints,
        [*training_state, *(average.state if average is not None else [])],
        keep=training.checkpoints_to_keep,
        minutes=training.checkpoint_minutes,
        validation=validation,
    )
    start = writer.restore(model) if resume else writer.position
    pointer = _EpochPointer(EpochStart(start.epoch, start.block))
    data = batches(pointer.next_epoch)
    progress = TrainingProgress(console, events_per_epoch, training.epochs)
    if start.block:
        done = {metric.name: float(metric.result()) for metric in model.metrics}
        progress.resume_within_epoch(done["events"], done["mini_batches"])
    history = HistoryLog(run.history, progress, first_epoch=start.epoch)
    everyone: list[keras.callbacks.Callback] = [
        pointer,
        progress,
        NanGuard(),
        *([average] if average is not None else []),
        *callbacks,
        *([validation] if validation is not None else []),
        history,
        keras.callbacks.TensorBoard(str(run.tensorboard), write_graph=False, update_freq="epoch"),
        writer,
    ]
    stopped = validation is not None and validation.exhausted
    try:
        with warnings.catch_warnings(), dataset.explain_data_loss("train"):
            # The number of batches of an epoch is known only when it ends, which Keras takes for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            # Keras takes the length of the first epoch it sees for all: the rest of an epoch is fitted on its own.
            stages = [start.epoch + 1, training.epochs] if start.block else [training.epochs]
            first = start.epoch
            for last in stages:
                if first < last and not stopped:
                    model.fit(data, epochs=last, initial_epoch=first, verbose=0, callbacks=everyone, shuffle=False)
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


class _EpochPointer(keras.callbacks.Callback):
    """Tells the data where an epoch begins, however often that is iterated over."""

    def __init__(self, start: EpochStart) -> None:
        super().__init__()
        self._resumed = start
        self._current = start

    def next_epoch(self) -> EpochStart:
        """Returns the start of the epoch that is under way."""
        return self._current

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._current = self._resumed if epoch == self._resumed.epoch else EpochStart(epoch, 0)


def _validation(
    dataset: InteractionDataset,
    config: GradientRunConfig,
    run: RunDirectory,
    console: Console,
    average: WeightAverage | None,
    validation_class: Callable[..., Validation],
) -> Validation | None:
    if not config.training.patience:
        return None
    if "valid" not in dataset.splits:
        raise DataError(
            "`training.patience` needs a validation split, which the data set does not have.",
            file=dataset.path,
            remedy="Convert with `--valid-days`, `--valid-fraction` or `--valid`, or set `training.patience=0`.",
        )
    training = config.training
    return validation_class(
        dataset,
        config.evaluation,
        run.best,
        console,
        monitor=training.monitor,
        patience=training.patience,
        average=average,
    )


def _summary(history: HistoryLog) -> dict[str, Any]:
    rows = history.rows
    summary: dict[str, Any] = {"epochs": len(rows), "loss": float(rows[-1]["loss"])}
    summary["seconds"] = sum(float(row["seconds"]) for row in rows)
    for rate in ("events_per_second", "mini_batches_per_second"):
        summary[rate] = statistics.median([float(row[rate]) for row in rows if float(row[rate])] or [0.0])
    return summary
