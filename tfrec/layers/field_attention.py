"""Self-attention among the features of a token."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.interaction_stack import InteractionStack
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


class _AttentionStack(InteractionStack):
    """What layers of attention among features have in common: weights beside the result."""

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x, _ = self.with_weights(inputs, dropout_seed=dropout_seed)
        return x

    def with_weights(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the result of `call`, and how much each feature attends to each in the last layer.

        Returns:
            float `[tokens, fields * dim]` and `[tokens, fields, fields]`.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `with_weights`.")

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(self.with_weights(inputs)[1], axis=0)


@keras.saving.register_keras_serializable(package="tfrec")
class AutoIntStack(_AttentionStack):
    """Per layer `relu(norm(softmax(Q K^T / sqrt(dim)) V + x))` over the features, one head as wide as a feature.

    Weights of fields: mean attention in the last layer.

    Reference: AutoInt, arXiv 1810.11921; the variant of FESeq with a layer norm.
    """

    weights_kind = "mean attention of the feature of the row to that of the column in the last layer."

    def build(self, input_shape: object = None) -> None:
        for layer in range(self.layers):
            for name in ("query", "key", "value"):
                seed = derive_seed(self.seed, name, layer)
                self.weight(f"{name}_{layer}", (self.dim, self.dim), keras.initializers.GlorotNormal(seed))
            self.weight(f"gamma_{layer}", (self.dim,), "ones")
            self.weight(f"beta_{layer}", (self.dim,), "zeros")

    def with_weights(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.reshape(inputs, [-1, self.fields, self.dim])
        weights = tf.eye(self.fields, batch_shape=[tf.shape(x)[0]])
        for layer in range(self.layers):
            query, key, value = (self._project(x, f"{name}_{layer}") for name in ("query", "key", "value"))
            weights = tf.nn.softmax(tf.matmul(query * self.dim**-0.5, key, transpose_b=True))
            dropped = seeded_dropout(weights, self.dropout, dropout_seed, f"{self.name} {layer}")
            x = tf.matmul(dropped, value) + x
            mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
            x = (x - mean) * tf.math.rsqrt(variance + 1e-5) * self[f"gamma_{layer}"] + self[f"beta_{layer}"]
            x = tf.nn.relu(x)
        return tf.reshape(x, [-1, self.width]), weights

    def _project(self, x: tf.Tensor, name: str) -> tf.Tensor:
        flat = tf.matmul(tf.reshape(x, [-1, self.dim]), self[name])
        return tf.reshape(flat, [-1, self.fields, self.dim])


@keras.saving.register_keras_serializable(package="tfrec")
class DestineStack(_AttentionStack):
    """Disentangled attention: what a pair has to say beyond the mean, plus what each feature has to say by itself.

    Per layer `(softmax((Q - mean Q)(K - mean K)^T / sqrt(dim)) + softmax(u . x)) V + W x`, without norm.

    Weights of fields: mean of both attentions together in the last layer; those of a field sum to 2.

    Reference: DESTINE, arXiv 2101.03654.
    """

    weights_kind = (
        "mean attention to the feature of the column in the last layer, that of the row and that of all together."
    )

    def build(self, input_shape: object = None) -> None:
        for layer in range(self.layers):
            for name in ("query", "key", "value", "residual"):
                seed = derive_seed(self.seed, name, layer)
                self.weight(f"{name}_{layer}", (self.dim, self.dim), keras.initializers.GlorotNormal(seed))
            seed = derive_seed(self.seed, "unary", layer)
            self.weight(f"unary_{layer}", (self.dim, 1), keras.initializers.GlorotNormal(seed))

    def with_weights(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.reshape(inputs, [-1, self.fields, self.dim])
        weights = tf.eye(self.fields, batch_shape=[tf.shape(x)[0]])
        for layer in range(self.layers):
            query, key, value, residual = (
                tf.matmul(x, self[f"{name}_{layer}"]) for name in ("query", "key", "value", "residual")
            )
            query -= tf.reduce_mean(query, axis=1, keepdims=True)
            key -= tf.reduce_mean(key, axis=1, keepdims=True)
            pairs = tf.nn.softmax(tf.matmul(query * self.dim**-0.5, key, transpose_b=True))
            unary = tf.nn.softmax(tf.matmul(x, self[f"unary_{layer}"]), axis=1)  # [tokens, fields, 1]
            weights = pairs + tf.transpose(unary, [0, 2, 1])
            x = tf.matmul(seeded_dropout(weights, self.dropout, dropout_seed, f"{self.name} {layer}"), value) + residual
        return tf.reshape(x, [-1, self.width]), weights


@keras.saving.register_keras_serializable(package="tfrec")
class FinalStack(InteractionStack):
    """Factorised interaction: `h = a + a * b` with a and b from one dense layer, then batch norm, ReLU and drop-out.

    Weights of fields i and j: norm of the block of the products of i and j among all products of two inputs in the
    first layer (`A x * B x`, which does not tell rows from columns), scaled as its batch norm scales.

    Reference: FINAL, SIGIR 2023.
    """

    weights_kind = "size of the products of the feature of the row with that of the column in the first layer."

    def __init__(self, fields: int, dim: int, layers: int, **kwargs: Any) -> None:
        super().__init__(fields, dim, layers, **kwargs)
        self.dense = [
            keras.layers.Dense(
                2 * self.width,
                kernel_initializer=keras.initializers.GlorotNormal(derive_seed(self.seed, "final", layer)),
                name=f"dense_{layer}",
            )
            for layer in range(self.layers)
        ]
        self.norms = [keras.layers.BatchNormalization(name=f"norm_{layer}") for layer in range(self.layers)]

    def build(self, input_shape: object = None) -> None:
        for layer in (*self.dense, *self.norms):
            layer.build((None, self.width))
        self.built = True

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x = inputs
        for layer, (dense, norm) in enumerate(zip(self.dense, self.norms, strict=True)):
            plain, factor = tf.split(dense(x), 2, axis=1)
            x = tf.nn.relu(norm(plain + plain * factor, training=dropout_seed is not None))
            x = seeded_dropout(x, self.dropout, dropout_seed, f"{self.name} {layer}")
        return x

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        norm, kernel = self.norms[0], tf.convert_to_tensor(self.dense[0].kernel)
        shape = [self.fields, self.dim, self.width]
        plain, factor = (tf.reshape(part, shape) for part in tf.split(kernel, 2, axis=1))
        plain *= norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
        # Square of `(plain_i factor_j + factor_i plain_j) / 2`, summed over the entries of both fields and all outputs.
        one, other = (tf.reduce_sum(tf.square(part), axis=1) for part in (plain, factor))
        mixed = tf.reduce_sum(plain * factor, axis=1)  # [fields, width]
        squares = tf.matmul(one, other, transpose_b=True) + tf.matmul(mixed, mixed, transpose_b=True)
        return tf.sqrt(tf.maximum(squares + tf.transpose(squares), 0.0)) / 2.0
