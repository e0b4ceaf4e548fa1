"""Fits a model over batches of whole sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from rich.console import Console

from tfrec.config.run_config import SequenceRunConfig
from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.data.dataset import InteractionDataset
from tfrec.data.training_sequences import batches_per_epoch, training_sequences
from tfrec.errors import ConfigError
from tfrec.losses.sequence_objective import SequenceObjective
from tfrec.losses.target_weights import TargetWeights
from tfrec.models.sequence_encoder import SequenceEncoder
from tfrec.optimizers.build import build_sequence_optimizer
from tfrec.training.fit_epochs import fit_epochs
from tfrec.training.model_store import describe_model
from tfrec.training.run_directory import RunDirectory


def fit_sequences(
    model: SequenceEncoder,
    dataset: InteractionDataset,
    config: SequenceRunConfig,
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
        ConfigError: The objective compares directions, the model scores by products.
    """
    training = config.training
    if config.objective.similarity == "cosine" and config.model.similarity != "cosine":
        raise ConfigError(
            "`objective.similarity=cosine` compares directions, `model.similarity=dot` ranks by products.",
            remedy="Set `model.similarity=cosine`.",
        )
    num_sequences = dataset.num_sequences("train")
    steps = batches_per_epoch(num_sequences, training.batch_size) * training.epochs
    weights = _target_weights(config, dataset)
    objective = state_objective(config.objective, dataset.item_vocabulary.counts)
    model.prepare_training(objective, weights, similarities=training.similarities)
    optimizer = build_sequence_optimizer(
        config.optimizer, model.trainable_variables, steps, precision=training.precision
    )
    model.compile(optimizer=optimizer, jit_compile=False)
    describe_model(model, run)
    return fit_epochs(
        model,
        lambda next_epoch: training_sequences(
            dataset,
            "train",
            training.batch_size,
            max_length=config.model.max_length + 1,
            seed=config.seed,
            bucket_by_length=training.bucket_by_length,
            next_epoch=next_epoch,
            augmentation=training.augmentation,
            features=() if weights is None else (weights.feature,),
        ),
        dataset,
        config,
        run,
        console,
        events_per_epoch=dataset.num_events("train") - num_sequences,
        resume=resume,
    )


def _target_weights(config: SequenceRunConfig, dataset: InteractionDataset) -> TargetWeights | None:
    name = config.objective.weight_feature
    if name is None:
        return None
    if name not in dataset.event_features:
        raise ConfigError(
            f"`objective.weight_feature={name}` is no feature of the events of `{dataset.path}`.",
            remedy=f"Convert the data with --event-features {name}.",
        )
    if config.training.augmentation.enabled:
        raise ConfigError(
            "`objective.weights` does not go with `training.augmentation`, which moves items and not their features.",
            remedy="Leave one of them out.",
        )
    return TargetWeights(name, dataset.vocabulary(name), config.objective.weights)


def state_objective(config: SequenceObjectiveConfig, item_counts: NDArray[Any]) -> Callable[..., tf.Tensor]:
    """Returns what is minimised over the states of an encoder.

    Args:
        config: Loss and negatives; with `tfrs-retrieval`, the encoder becomes the query tower of TFRS.
        item_counts: Training events per index, `[vocab]`.
    """
    if config.loss == "tfrs-retrieval":
        from tfrec.tasks.retrieval_objective import RetrievalObjective  # brings Keras 2 with it

        return RetrievalObjective(config.retrieval, item_counts)
    return SequenceObjective(config, item_counts)
