"""GRU4Rec as one would write it with stock Keras layers, losses and optimisers: the yardsticks of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from tfrec.data.session_blocks import SessionBlock
from tfrec.models.gru4rec import GRU4Rec

_EPSILON = 1e-24


class KerasGRU4Rec(keras.Model):
    """GRU4Rec with a shared `Embedding`, a `GRUCell` advanced by one event per batch, and sampled candidates.

    The states of the lanes are a variable that every batch reads and writes. Candidates are the targets of the batch
    and sampled ids: those that come with the data under `negatives`, or else drawn in the step by TensorFlow's sampler
    for such distributions.

    Args:
        counts: Training events per item index, `[vocab_size]`.
        units: Width of the state and of the item vectors.
        lanes: Parallel sessions.
        num_negatives: Sampled ids per step.
        alpha: Ids are drawn with probability proportional to count^alpha.
        logq: Correct the scores by the logarithm of the sampling weight.
        dropout_embedding: Drop-out of the input vectors.
        dropout_hidden: Drop-out of the new state.
        final_activation: Activation of the scores, `linear` or `elu`.
        elu_alpha: Parameter of `elu`.
    """

    def __init__(
        self,
        counts: NDArray[np.int64],
        units: int,
        lanes: int,
        *,
        num_negatives: int,
        alpha: float,
        logq: bool,
        dropout_embedding: float = 0.0,
        dropout_hidden: float = 0.0,
        final_activation: str = "linear",
        elu_alpha: float = 1.0,
    ) -> None:
        super().__init__()
        self.item_counts = counts
        self.num_negatives = num_negatives
        self.alpha = alpha
        self.log_counts = tf.constant(np.log(np.maximum(counts, 1)), tf.float32) if logq else None
        self.items = keras.layers.Embedding(len(counts), units, embeddings_initializer="glorot_uniform")
        self.item_bias = keras.layers.Embedding(len(counts), 1, embeddings_initializer="zeros")
        self.cell = keras.layers.GRUCell(units, reset_after=False)
        self.drop_input = keras.layers.Dropout(dropout_embedding)
        self.drop_state = keras.layers.Dropout(dropout_hidden)
        self.final_activation = final_activation
        self.elu_alpha = elu_alpha
        self.lane_state = self.add_weight(shape=(lanes, units), initializer="zeros", trainable=False, name="lane_state")
        self.items.build()
        self.item_bias.build()
        self.cell.build((None, units))

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the scores of the candidates, `[lanes, lanes + negatives]`; those of the targets come first."""
        state = ops.where(batch["starts"][:, None], 0.0, self.lane_state)  # [lanes, units]
        inputs = self.drop_input(self.items(batch["inputs"]), training=training)  # [lanes, units]
        output, _ = self.cell(inputs, [state])
        output = self.drop_state(output, training=training)  # [lanes, units]
        self.lane_state.assign(ops.stop_gradient(output))
        targets = batch["targets"]
        negatives = batch["negatives"] if "negatives" in batch else self._sample(targets)
        candidates = ops.concatenate([targets, negatives])  # [candidates]
        vectors = ops.take(self.items.embeddings, candidates, axis=0)  # [candidates, units]
        bias = ops.take(self.item_bias.embeddings, candidates, axis=0)[:, 0]  # [candidates]
        if self.log_counts is not None:
            log_q = ops.take(self.log_counts, targets), self.alpha * ops.take(self.log_counts, negatives)
            bias = bias - ops.concatenate(log_q)
        scores = ops.matmul(output, ops.transpose(vectors)) + bias  # [lanes, candidates]
        return ops.elu(scores, alpha=self.elu_alpha) if self.final_activation == "elu" else scores

    def _sample(self, targets: tf.Tensor) -> tf.Tensor:
        sampled = tf.random.fixed_unigram_candidate_sampler(
            ops.cast(targets, "int64")[:, None],  # only used for the expected counts, which nobody reads
            1,
            self.num_negatives,
            unique=False,
            range_max=len(self.item_counts),
            distortion=self.alpha,
            unigrams=self.item_counts.tolist(),
        )
        return ops.cast(sampled[0], targets.dtype)  # [negatives]


class KerasFullSoftmax(keras.Model):
    """What most published Keras versions of GRU4Rec train: `Embedding`, `GRUCell`, and a softmax over all items.

    Args:
        vocab_size: Number of item indices.
        units: Width of the state and of the item vectors.
        lanes: Parallel sessions.
        dropout_hidden: Drop-out of the new state.
    """

    def __init__(self, vocab_size: int, units: int, lanes: int, *, dropout_hidden: float = 0.0) -> None:
        super().__init__()
        self.items = keras.layers.Embedding(vocab_size, units)
        self.cell = keras.layers.GRUCell(units)
        self.drop_state = keras.layers.Dropout(dropout_hidden)
        self.scores = keras.layers.Dense(vocab_size, activation="softmax")
        self.lane_state = self.add_weight(shape=(lanes, units), initializer="zeros", trainable=False, name="lane_state")

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the probability of every item, `[lanes, vocab_size]`."""
        state = ops.where(batch["starts"][:, None], 0.0, self.lane_state)  # [lanes, units]
        output, _ = self.cell(self.items(batch["inputs"]), [state])
        output = self.drop_state(output, training=training)  # [lanes, units]
        self.lane_state.assign(ops.stop_gradient(output))
        return self.scores(output)


def keras_bpr_max(score_regularization: float) -> Any:
    """Returns BPR-max as a Keras loss: column of each row's target `[rows]`, scores `[rows, candidates]`."""

    def bpr_max(columns: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        own = ops.one_hot(ops.cast(columns, "int32"), ops.shape(scores)[1])  # [rows, candidates]
        target = ops.sum(scores * own, axis=1, keepdims=True)  # [rows, 1]
        softmax = ops.softmax(scores - 1e9 * own)  # [rows, candidates], over the negatives
        chance = ops.sum(softmax * ops.sigmoid(target - scores), axis=1)
        penalty = ops.sum(softmax * ops.square(scores), axis=1)
        return score_regularization * penalty - ops.log(chance + _EPSILON)  # [rows]

    return bpr_max


def keras_batches(blocks: Sequence[SessionBlock]) -> tf.data.Dataset:
    """Turns full blocks (all lanes active) into one Keras batch per mini-batch, over and over.

    Returns:
        Batches `(x, y)`; y is the column of each row's target among the candidates.
    """
    x = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in ("inputs", "targets", "starts")}
    columns = np.broadcast_to(np.arange(x["inputs"].shape[1], dtype=np.int32), x["inputs"].shape)  # [steps, lanes]
    return tf.data.Dataset.from_tensor_slices((x, columns)).repeat().prefetch(tf.data.AUTOTUNE)


def with_negatives(
    batches: tf.data.Dataset, counts: NDArray[np.int64], num_negatives: int, alpha: float, *, steps: int = 500
) -> tf.data.Dataset:
    """Adds negatives that were drawn ahead of time, so that drawing costs the timed `fit` nothing."""
    edges = np.cumsum(np.where(counts > 0, counts.astype(np.float64), 0.0) ** alpha * (counts > 0))
    draws = np.random.default_rng(0).random((steps, num_negatives)) * edges[-1]
    negatives = np.searchsorted(edges, draws, side="right").astype(np.int32)  # [steps, negatives]
    drawn = tf.data.Dataset.from_tensor_slices(negatives).repeat()
    pairs = tf.data.Dataset.zip(batches, drawn)
    return pairs.map(lambda batch, ids: ({**batch[0], "negatives": ids}, batch[1])).prefetch(tf.data.AUTOTUNE)


def targets_as_labels(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Makes the targets themselves the labels, for a softmax over all items."""
    return batches.map(lambda x, _: (x, x["targets"])).prefetch(tf.data.AUTOTUNE)


def copy_weights(ours: GRU4Rec, theirs: KerasGRU4Rec) -> None:
    """Gives the Keras model the weights of ours; its update gate keeps the old state where ours takes the new one."""
    cell = ours.stack.cells[0]
    candidate, reset, update = np.split(cell.input_kernel.numpy(), 3, axis=1)
    reset_gate, update_gate = np.split(cell.gate_kernel.numpy(), 2, axis=1)
    bias = np.split(cell.bias.numpy(), 3)
    theirs.items.set_weights([ours.items.vectors.numpy()])
    theirs.item_bias.set_weights([ours.items.bias.numpy()[:, None]])
    theirs.cell.set_weights(
        [
            np.concatenate([-update, reset, candidate], axis=1),
            np.concatenate([-update_gate, reset_gate, cell.candidate_kernel.numpy()], axis=1),
            np.concatenate([-bias[2], bias[1], bias[0]]),
        ]
    )
