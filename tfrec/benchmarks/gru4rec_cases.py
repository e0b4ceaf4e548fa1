"""GRU4Rec as the benchmarks fit it: our model, and the Keras models beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.block_clock import BlockClock
from tfrec.benchmarks.keras_adagrad import KerasMomentumAdagrad
from tfrec.benchmarks.keras_gru4rec import (
    KerasFullSoftmax,
    KerasGRU4Rec,
    keras_batches,
    keras_bpr_max,
    targets_as_labels,
    with_negatives,
)
from tfrec.config.gru4rec_config import GRU4RecConfig, parse_official_params
from tfrec.config.objective_config import ObjectiveConfig
from tfrec.config.optimizer_config import OptimizerConfig
from tfrec.data.session_blocks import SessionBlock
from tfrec.losses.candidate_objective import CandidateObjective
from tfrec.models.gru4rec import GRU4Rec
from tfrec.optimizers.build import build_optimizer

_COMMON = "layers=100,batch_size=32,momentum=0.2,n_sample=2048,constrained_embedding=True"
PARAMS = {
    "cross-entropy": f"{_COMMON},loss=cross-entropy,dropout_p_hidden=0.4,learning_rate=0.2,sample_alpha=0.5,logq=1.0",
    "bpr-max": f"{_COMMON},loss=bpr-max,dropout_p_embed=0.2,learning_rate=0.05,sample_alpha=0.4,logq=0.0,bpreg=1.0,"
    "elu_param=0.5",
}
LANES = 32

SAME_ALGORITHM = "Keras, same algorithm"
WITH_OUR_OPTIMISER = "Keras, tfrec's optimiser"
BUILT_IN = "Keras, built-in parts"
FULL_SOFTMAX = "Keras, full softmax"
KERAS_SYSTEMS = {
    SAME_ALGORITHM: "same loss, negatives law (drawn in the step by TensorFlow's sampler), drop-out and Adagrad with "
    "momentum, the latter over the whole table; weights after two steps are checked to be equal",
    WITH_OUR_OPTIMISER: "the same model and fit with our row-sparse optimiser",
    BUILT_IN: "less work than ours: keras.optimizers.Adagrad without momentum (repeated rows are not summed), "
    "negatives drawn ahead of time",
    FULL_SOFTMAX: "what most published Keras versions train: Embedding, GRUCell, Dense softmax over all items, "
    "SparseCategoricalCrossentropy, Adagrad; no negatives",
}


class Setting(NamedTuple):
    """One setting of the official command line."""

    model: GRU4RecConfig
    objective: ObjectiveConfig
    optimizer: OptimizerConfig


def setting(loss: str) -> Setting:
    """Returns the setting of a key of `PARAMS`."""
    sections = parse_official_params(PARAMS[loss])
    return Setting(
        GRU4RecConfig(**sections["model"]),
        ObjectiveConfig(**sections["objective"]),
        OptimizerConfig(**sections["optimizer"]),
    )


def own_model(chosen: Setting, counts: NDArray[np.int64]) -> tuple[GRU4Rec, CandidateObjective]:
    """Returns our model, ready for `fit`, and its objective."""
    objective = CandidateObjective(chosen.objective, counts)
    model = GRU4Rec(chosen.model, len(counts), seed=1)
    model.prepare_training(objective, LANES)
    optimizer = build_optimizer(chosen.optimizer)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)
    return model, objective


def keras_model(chosen: Setting, counts: NDArray[np.int64]) -> KerasGRU4Rec:
    """Returns the Keras model of a setting, not compiled."""
    activation, _, parameter = chosen.objective.final_activation.partition("-")
    return KerasGRU4Rec(
        counts,
        chosen.model.layers[0],
        LANES,
        num_negatives=chosen.objective.num_negatives,
        alpha=chosen.objective.negative_alpha,
        logq=chosen.objective.logq_strength > 0,
        dropout_embedding=chosen.model.dropout_embedding,
        dropout_hidden=chosen.model.dropout_hidden,
        final_activation=activation,
        elu_alpha=float(parameter or 1.0),
    )


def keras_loss(chosen: Setting) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the Keras loss of a setting."""
    if chosen.objective.loss == "bpr-max":
        loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = keras_bpr_max(chosen.objective.score_regularization)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss


def keras_momentum_adagrad(chosen: Setting) -> KerasMomentumAdagrad:
    """Returns the optimiser of a setting, written for Keras."""
    return KerasMomentumAdagrad(chosen.optimizer.learning_rate, chosen.optimizer.momentum)


def keras_system(
    name: str, chosen: Setting, counts: NDArray[np.int64], blocks: Sequence[SessionBlock]
) -> tuple[keras.Model, tf.data.Dataset]:
    """Returns a compiled model of `KERAS_SYSTEMS` and its batches."""
    batches = keras_batches(blocks)
    rate = chosen.optimizer.learning_rate
    if name == FULL_SOFTMAX:
        softmax = KerasFullSoftmax(
            len(counts), chosen.model.layers[0], LANES, dropout_hidden=chosen.model.dropout_hidden
        )
        softmax.compile(keras.optimizers.Adagrad(rate), keras.losses.SparseCategoricalCrossentropy())
        return softmax, targets_as_labels(batches)
    model = keras_model(chosen, counts)
    if name == BUILT_IN:
        batches = with_negatives(batches, counts, chosen.objective.num_negatives, chosen.objective.negative_alpha)
        optimizer: keras.optimizers.Optimizer = keras.optimizers.Adagrad(rate)
    elif name == WITH_OUR_OPTIMISER:
        optimizer = build_optimizer(chosen.optimizer)
    else:
        optimizer = keras_momentum_adagrad(chosen)
    model.compile(optimizer=optimizer, loss=keras_loss(chosen))
    return model, batches


def timed_fit(
    model: keras.Model, batches: tf.data.Dataset, clock: BlockClock, blocks: int, block_steps: int
) -> Callable[[], float]:
    """Returns a function that fits some blocks, the first of them not timed, and returns mini-batches per second."""

    def measure() -> float:
        steps = blocks * clock.batches_per_block
        with warnings.catch_warnings():
            # Keras does not know how many batches a generator has, and takes the end for a mistake.
            warnings.filterwarnings("ignore", message="Your input ran out of data")
            model.fit(batches.take(steps), epochs=1, verbose=0, callbacks=[clock], shuffle=False)
        return block_steps / clock.block_seconds

    return measure
