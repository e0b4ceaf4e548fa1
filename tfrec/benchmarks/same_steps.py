"""Two training steps of our model and of the Keras model, which must agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.benchmarks.gru4rec_cases import LANES, Setting, keras_loss, keras_model, keras_momentum_adagrad, own_model
from tfrec.benchmarks.keras_gru4rec import copy_weights, keras_batches, with_negatives
from tfrec.data.session_blocks import SessionBlock


class Agreement(NamedTuple):
    """How far both are apart.

    Attributes:
        own_losses: Mean loss of the mini-batch before each of our steps.
        keras_losses: The same of the Keras model.
        weights: Largest difference of a weight after the steps.
        moved: Largest change of a weight in the steps.
    """

    own_losses: list[float]
    keras_losses: list[float]
    weights: float
    moved: float

    @property
    def holds(self) -> bool:
        """Whether the differences are rounding errors: 1e-4 of the loss and of the largest change of a weight."""
        same_loss = np.allclose(self.own_losses, self.keras_losses, rtol=1e-4)
        return bool(same_loss) and self.moved > 0 and self.weights <= 1e-4 * self.moved


def compare_steps(chosen: Setting, counts: NDArray[np.int64], block: SessionBlock, *, steps: int = 2) -> Agreement:
    """Trains both on one mini-batch, from the same weights, with the same negatives and without drop-out.

    The mini-batch is the same in all steps, so that every row that moves is looked up in each of them: only then does
    momentum over the whole table move the same rows as ours.
    """
    ours, objective = own_model(chosen, counts)
    theirs, twin = keras_model(chosen, counts), keras_model(chosen, counts)
    copy_weights(ours, theirs)
    start = [variable.numpy() for variable in theirs.trainable_variables]
    optimizer = keras_momentum_adagrad(chosen)
    optimizer.build(theirs.trainable_variables)
    batches = with_negatives(
        keras_batches([block]), counts, chosen.objective.num_negatives, chosen.objective.negative_alpha, steps=1
    )
    x, columns = next(iter(batches))
    own_losses, keras_losses = [], []
    for _ in range(steps):
        total, _, gradients = ours.mini_batch_gradients(
            objective,
            inputs=x["inputs"],
            targets=x["targets"],
            negatives=x["negatives"],
            active=tf.ones([LANES], tf.bool),
            state=ours.stack.zero_state(LANES),
            scale=1.0 / LANES,
        )
        ours.optimizer.apply(gradients, ours.trainable_variables)
        own_losses.append(float(total) / LANES)
        theirs.lane_state.assign(tf.zeros_like(theirs.lane_state.value))
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(keras_loss(chosen)(columns, theirs(x)))
        variables = theirs.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        keras_losses.append(float(loss))
    copy_weights(ours, twin)
    ended, wanted = ([v.numpy() for v in model.trainable_variables] for model in (theirs, twin))
    difference = max(float(np.abs(a - b).max()) for a, b in zip(ended, wanted, strict=True))
    moved = max(float(np.abs(a - b).max()) for a, b in zip(ended, start, strict=True))
    return Agreement(own_losses, keras_losses, difference, moved)
