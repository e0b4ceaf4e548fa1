"""Fits a click model over batches of impressions."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf
from rich.console import Console

from tfrec.config.impression_run_configs import ClickObjectiveConfig
from tfrec.config.run_config import ImpressionRunConfig
from tfrec.data.impressions.training_impressions import training_impressions
from tfrec.data.training_sequences import batches_per_epoch
from tfrec.errors import DataError
from tfrec.models.impression_model import Objective
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.training.fit_epochs import fit_epochs
from tfrec.training.impression_validation import ImpressionValidation
from tfrec.training.model_store import describe_model
from tfrec.training.run_directory import RunDirectory


def fit_impressions(
    model: Any,
    dataset: Any,
    config: ImpressionRunConfig,
    run: RunDirectory,
    console: Console,
    *,
    resume: bool = False,
) -> dict[str, Any]:
    """Prepares the model and runs the epochs, see `fit_epochs`; rates are rows per second.

    Args:
        model: `ImpressionModel` to train; it must be new unless `resume`.
        dataset: `ImpressionDataset`; its split `train` is read.
        config: Effective configuration.
        run: The run directory.
        console: For progress.
        resume: Continue from the latest checkpoint of `run`.

    Returns:
        What `fit_epochs` returns.

    Raises:
        DataError: The training rows have only one class; or as `fit_epochs`.
    """
    training = config.training
    rows = dataset.num_rows("train")
    click_rate = dataset.num_clicks("train") / rows
    if click_rate in (0.0, 1.0):
        raise DataError(
            f"The training rows have {'no' if click_rate == 0.0 else 'only'} clicks.",
            file=dataset.path,
            remedy="Check `label` of the schema, and the split.",
        )
    model.prepare_training(
        click_objective(config.objective, click_rate), vector_penalty=config.objective.vector_penalty
    )
    optimizer = build_sequence_optimizer(
        config.optimizer, model.trainable_variables, batches_per_epoch(rows, training.batch_size) * training.epochs
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    describe_model(model, run)
    return fit_epochs(
        model,
        lambda next_epoch: training_impressions(
            dataset,
            "train",
            training.batch_size,
            max_length=model.max_length,
            seed=config.seed,
            next_epoch=next_epoch,
        ),
        dataset,
        config,
        run,
        console,
        events_per_epoch=rows,
        resume=resume,
        validation_class=functools.partial(ImpressionValidation, training=training),
    )


def click_objective(config: ClickObjectiveConfig, click_rate: float) -> Objective:
    """Returns the loss of labels and logits, computed by the ranking task of TensorFlow Recommenders.

    Args:
        config: Loss and weights.
        click_rate: Share of clicks in the training rows, for balanced weights.
    """
    from tfrec.compat import legacy_keras
    from tfrec.tasks.ranking import RankingTask  # brings Keras 2 with it

    loss: Any = "binary-cross-entropy"
    if config.loss == "focal":
        loss = legacy_keras().losses.BinaryFocalCrossentropy(gamma=config.focal_gamma, from_logits=True)
    task = RankingTask(loss)
    weight = weight_of_clicks(config, click_rate)

    def objective(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        weights = None if weight == 1.0 else tf.where(labels > 0.5, weight, 1.0)[:, tf.newaxis]
        return task(labels[:, tf.newaxis], logits[:, tf.newaxis], sample_weight=weights, compute_metrics=False)

    return objective


def weight_of_clicks(config: ClickObjectiveConfig, click_rate: float) -> float:
    """Returns the weight of clicks in the loss, in numbers."""
    if config.positive_weight == "balanced":
        return (1.0 - click_rate) / click_rate if click_rate > 0 else 1.0
    return config.positive_weight
