"""SASRec as one would write it with stock Keras layers, losses and optimisers: the yardstick of our own."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrec.models.sasrec import SASRec


class KerasSASRec(keras.Model):
    """Pre-norm SASRec of `Embedding`, `MultiHeadAttention`, `LayerNormalization` and `Dense`.

    It scores every item at every one of the `length` positions of a left-padded batch, as Keras users do; padding has
    sample weight 0.

    Args:
        vocab_size: Number of item indices.
        length: Positions.
        dim: Width.
        heads: Attention heads.
        blocks: Transformer blocks.
        dropout: Drop-out rate.
    """

    def __init__(self, vocab_size: int, length: int, dim: int, heads: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.items = keras.layers.Embedding(vocab_size, dim)
        self.positions = keras.layers.Embedding(length, dim)
        self.drop = keras.layers.Dropout(dropout)
        self.stack = [
            {
                "first_norm": keras.layers.LayerNormalization(epsilon=1e-6),
                "attention": keras.layers.MultiHeadAttention(heads, dim // heads, dropout=dropout),
                "second_norm": keras.layers.LayerNormalization(epsilon=1e-6),
                "inner": keras.layers.Dense(dim, activation="relu"),
                "outer": keras.layers.Dense(dim),
            }
            for _ in range(blocks)
        ]
        self.layers_of_blocks = [layer for block in self.stack for layer in block.values()]  # so that Keras sees them
        self.final_norm = keras.layers.LayerNormalization(epsilon=1e-6)

    def call(self, items: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the scores of all items after every event, `[batch, length, vocab]`; items int `[batch, length]`."""
        real = ops.not_equal(items, 0)  # [batch, length]
        states = self.items(items) * self.scale + self.positions(ops.arange(items.shape[1]))  # [batch, length, dim]
        states = self.drop(states, training=training)
        for block in self.stack:
            normed = block["first_norm"](states)
            attended = block["attention"](
                normed, normed, attention_mask=real[:, None, :], use_causal_mask=True, training=training
            )
            states = states + self.drop(attended, training=training)
            hidden = self.drop(block["inner"](block["second_norm"](states)), training=training)
            states = states + self.drop(block["outer"](hidden), training=training)
        return ops.matmul(self.final_norm(states), ops.transpose(self.items.embeddings))


def left_padded(batch: dict[str, tf.Tensor], length: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Turns a right-padded batch into inputs, targets and sample weights, each `[batch, length]`."""
    items = batch["item"].numpy()
    inputs, targets = np.zeros((2, len(items), length), np.int32)
    for row, count in enumerate(batch["length"].numpy()):
        known = items[row, max(0, count - 1 - length) : count]
        inputs[row, length - len(known) + 1 :], targets[row, length - len(known) + 1 :] = known[:-1], known[1:]
    return tf.constant(inputs), tf.constant(targets), tf.constant((targets > 0).astype(np.float32))


def copy_weights(ours: SASRec, theirs: KerasSASRec) -> None:
    """Gives the Keras model, which must be built, the weights of ours."""
    dim, heads = ours.config.dim, ours.config.heads
    theirs.items.set_weights([ours.items.vectors.numpy()])
    theirs.positions.set_weights([ours.positions.numpy()[::-1]])
    for block, layers in zip(ours.transformer_blocks, theirs.stack, strict=True):
        attention = block.attention
        joined = []
        for layer in (attention.query, attention.key, attention.value):
            kernel, bias = layer.get_weights()
            joined += [kernel.reshape(dim, heads, dim // heads), bias.reshape(heads, dim // heads)]
        if attention.output_projection is not None:
            kernel, bias = attention.output_projection.get_weights()
            joined += [kernel.reshape(heads, dim // heads, dim), bias]
        layers["attention"].set_weights(joined)
        layers["first_norm"].set_weights(block.first_norm.get_weights())
        layers["second_norm"].set_weights(block.second_norm.get_weights())
        layers["inner"].set_weights(block.feed_forward.inner.get_weights())
        layers["outer"].set_weights(block.feed_forward.outer.get_weights())
    theirs.final_norm.set_weights(ours.final_norm.get_weights())
