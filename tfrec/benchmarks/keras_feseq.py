"""FESeq as one would write it with stock Keras layers and optimiser: the yardstick of our own."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfrec.models.feseq import FESeq
from tfrec.models.impression_model import Batch


class KerasFESeq(keras.Model):
    """FESeq of `Embedding`, `Dense`, `MultiHeadAttention` and `LayerNormalization` over left-padded rows.

    Args:
        model: Our model (cross layers of version 2, mean pooling, positions), whose shape and weights it takes over.
    """

    def __init__(self, model: FESeq) -> None:
        super().__init__()
        config = model.config
        self.target, self.context = model.targets[0], tuple(model.context)
        self.plain_fields = tuple(model.dnn_fields)
        dim, width = config.embedding_dim, model.transformer[0].dim
        fields = model.fields.fields
        self.tables = {f.name: keras.layers.Embedding(f.size, dim) for f in fields if f.vocabulary}
        self.numbers = [field.name for field in fields if field.kind == "number"]
        self.directions = self.add_weight(shape=(len(self.numbers), dim), name="directions")
        self.positions = keras.layers.Embedding(config.max_length + 2, dim)
        self.cross = [keras.layers.Dense(dim * (1 + len(model.context))) for _ in range(config.interaction_layers)]
        self.blocks = [
            {
                "attention": keras.layers.MultiHeadAttention(
                    config.heads, width // config.heads, dropout=config.attention_dropout
                ),
                "first_norm": keras.layers.LayerNormalization(epsilon=1e-5),
                "wide": keras.layers.Dense(width),
                "narrow": keras.layers.Dense(width),
                "second_norm": keras.layers.LayerNormalization(epsilon=1e-5),
            }
            for _ in range(config.blocks)
        ]
        self.hidden = [keras.layers.Dense(units, activation="relu") for units in config.hidden]
        self.output_layer = keras.layers.Dense(1)
        self.drop = keras.layers.Dropout(config.dropout)
        self.every_layer = [*self.tables.values(), *(layer for block in self.blocks for layer in block.values())]

    def call(self, batch: Batch, training: bool = False) -> tf.Tensor:
        """Returns logits `[batch, 1]`; `seq` is int `[batch, length]`, padded on the left with 0."""
        tokens = batch["seq"]
        real = ops.concatenate([ops.not_equal(tokens, 0), ops.ones_like(tokens[:, :1], dtype="bool")], axis=1)
        target = self.tables[self.target](batch[self.target])[:, None]
        sequence = ops.concatenate([self.tables["seq"](tokens), target], axis=1)  # [batch, length + 1, dim]
        context = ops.concatenate([self.tables[name](batch[name]) for name in self.context], axis=1)[:, None]
        count = tokens.shape[1] + 1
        x0 = ops.concatenate([sequence, ops.repeat(context, count, axis=1)], axis=2)
        x = x0
        for layer in self.cross:
            x = x + x0 * layer(x)
        places = self.positions(ops.arange(count - 1, -1, -1))[None]
        x = ops.concatenate([x, ops.repeat(places, ops.shape(tokens)[0], axis=0)], axis=2)
        seen = ops.logical_or(real[:, None, :], ops.eye(count, dtype="bool")[None])  # [batch, query, key]
        for block in self.blocks:
            attended = block["attention"](x, x, attention_mask=seen, training=training)
            x = block["first_norm"](x + self.drop(attended, training=training))
            hidden = block["narrow"](ops.leaky_relu(block["wide"](x), 0.01))
            x = block["second_norm"](x + self.drop(hidden, training=training))
        mask = ops.cast(real, x.dtype)[:, :, None]
        pooled = ops.sum(x * mask, axis=1) / ops.sum(mask, axis=1)
        parts = [self.tables[name](batch[name]) for name in self.plain_fields if name in self.tables]
        values = ops.stack([batch[name] for name in self.numbers], axis=1)[:, :, None] * self.directions
        parts.append(ops.reshape(values, (-1, len(self.numbers) * self.directions.shape[1])))
        x = ops.concatenate([*parts, pooled], axis=1)
        for layer in self.hidden:
            x = self.drop(layer(x), training=training)
        return self.output_layer(x)


def left_padded(batch: Batch, length: int) -> dict[str, tf.Tensor]:
    """Returns a batch for the yardstick: the list padded on the left to `length`, without its lengths and label."""
    rows = np.asarray(batch["seq"])
    padded = np.zeros((len(rows), length), np.int32)
    for row, (values, count) in enumerate(zip(rows, np.asarray(batch["seq/length"]), strict=True)):
        padded[row, length - count :] = values[:count]
    rest = {name: value for name, value in batch.items() if name not in ("seq/length", "label")}
    return {**rest, "seq": tf.constant(padded)}


def copy_weights(model: FESeq, theirs: KerasFESeq) -> None:
    """Gives the yardstick, called once before, the weights of our model."""
    for name, layer in theirs.tables.items():
        layer.embeddings.assign(model.vectors.tables[model.vectors.ids[name]].vectors)
    theirs.directions.assign(model.vectors.directions)
    theirs.positions.embeddings.assign(model.position_table)
    for number, layer in enumerate(theirs.cross):
        layer.set_weights([np.asarray(model.interaction[f"{part}_{number}"]) for part in ("kernel", "bias")])  # type: ignore[index]
    for block, other in zip(model.transformer, theirs.blocks, strict=True):
        heads, width = block.heads, block.dim // block.heads
        kernels = np.split(np.asarray(block.qkv.kernel), 3, axis=1)
        biases = np.split(np.asarray(block.qkv.bias), 3)
        weights = []
        for kernel, bias in zip(kernels, biases, strict=True):
            weights += [kernel.reshape(block.dim, heads, width), bias.reshape(heads, width)]
        output = block.output_projection
        weights += [np.asarray(output.kernel).reshape(heads, width, block.dim), np.asarray(output.bias)]
        other["attention"].set_weights(weights)
        for name in ("wide", "narrow"):
            other[name].set_weights(getattr(block, name).get_weights())
        for norm, key in zip(block.norms, ("first_norm", "second_norm"), strict=True):
            other[key].set_weights(norm.get_weights())
    for mine, layer in zip(model.network.dense, [*theirs.hidden, theirs.output_layer], strict=True):
        layer.set_weights(mine.get_weights())
