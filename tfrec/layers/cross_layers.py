"""Cross networks: explicit products of features of growing order."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfrec.layers.interaction_stack import InteractionStack
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class CrossV1(InteractionStack):
    """`x_{l+1} = x_l + (w_l . x_l) x_0 + b_l`.

    Weights of fields i and j: mean of `|w_j . x_j| |x_i|` in the first layer, the size of what j adds to the factor of
    i. The factor is one number for all fields, so the kernel alone would not tell pairs apart.

    Reference: DCN, arXiv 1708.05123.
    """

    weights_kind = "mean size of the product of the feature of the row with the weighted feature of the column."

    def build(self, input_shape: object = None) -> None:
        for layer in range(self.layers):
            initializer = keras.initializers.GlorotNormal(derive_seed(self.seed, "cross", layer))
            self.weight(f"weight_{layer}", (self.width, 1), initializer)
            self.weight(f"bias_{layer}", (self.width,), "zeros")

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x = inputs
        for layer in range(self.layers):
            x += tf.matmul(x, self[f"weight_{layer}"]) * inputs + self[f"bias_{layer}"]
        return x

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        x = tf.reshape(inputs, [-1, self.fields, self.dim])
        weighted = tf.abs(tf.einsum("tfd,fd->tf", x, tf.reshape(self["weight_0"], [self.fields, self.dim])))
        total = tf.matmul(tf.norm(x, axis=2), weighted, transpose_a=True)
        return total / tf.cast(tf.shape(x)[0], total.dtype)


@keras.saving.register_keras_serializable(package="tfrec")
class CrossV2(InteractionStack):
    """`x_{l+1} = x_l + x_0 * (W_l x_l + b_l)`.

    Weights of fields i and j: norm of the block of the first `W` by which j enters the factor of i.

    Reference: DCN-v2, arXiv 2008.13535.
    """

    weights_kind = "size of the block by which the feature of the column enters the factor of that of the row."

    def build(self, input_shape: object = None) -> None:
        for layer in range(self.layers):
            initializer = keras.initializers.GlorotNormal(derive_seed(self.seed, "cross", layer))
            self.weight(f"kernel_{layer}", (self.width, self.width), initializer)
            self.weight(f"bias_{layer}", (self.width,), "zeros")

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x = inputs
        for layer in range(self.layers):
            x += inputs * tf.nn.bias_add(tf.matmul(x, self[f"kernel_{layer}"]), self[f"bias_{layer}"])
        return x

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.block_norms(self["kernel_0"])


@keras.saving.register_keras_serializable(package="tfrec")
class CrossMix(InteractionStack):
    """Mixture of low-rank cross layers: `x_{l+1} = x_l + sum_e g_e(x_l) x_0 * (U_e tanh(C_e tanh(V_e x_l)) + b)`.

    Four experts of rank 32; the gate is a softmax over one score per expert, with weights shared by all layers.

    Weights of fields i and j: norm of the block of the mean derivative of the first layer's factor of i by j, with the
    gate held fixed; in place of the `W` of `CrossV2`, which that derivative is there.

    Reference: DCN-v2, arXiv 2008.13535, section 3.3.
    """

    weights_kind = "size of the mean derivative of the factor of the feature of the row by the feature of the column."
    EXPERTS, RANK = 4, 32

    def build(self, input_shape: object = None) -> None:
        experts, rank, width = self.EXPERTS, self.RANK, self.width
        shapes = {"down": (experts, width, rank), "core": (experts, rank, rank), "up": (experts, rank, width)}
        for layer in range(self.layers):
            for name, shape in shapes.items():
                seed = derive_seed(self.seed, f"mix {name}", layer)
                deviation = (2.0 / (shape[1] + shape[2])) ** 0.5
                self.weight(f"{name}_{layer}", shape, keras.initializers.RandomNormal(0.0, deviation, seed))
            self.weight(f"bias_{layer}", (width,), "zeros")
        self.weight("gate", (width, experts), keras.initializers.GlorotNormal(derive_seed(self.seed, "gate")))

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        x = inputs
        for layer in range(self.layers):
            gate = tf.nn.softmax(tf.matmul(x, self["gate"]))  # [tokens, experts]
            low = tf.tanh(tf.einsum("tw,ewr->etr", x, self[f"down_{layer}"]))
            low = tf.tanh(tf.matmul(low, self[f"core_{layer}"]))
            mixed = tf.einsum("etr,erw,te->tw", low, self[f"up_{layer}"], gate)
            x += inputs * (mixed + self[f"bias_{layer}"])
        return x

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        gate = tf.nn.softmax(tf.matmul(inputs, self["gate"]))  # [tokens, experts]
        low = tf.tanh(tf.einsum("tw,ewr->etr", inputs, self["down_0"]))
        high = tf.tanh(tf.matmul(low, self["core_0"]))
        weighted = (1.0 - tf.square(high)) * tf.transpose(gate)[:, :, tf.newaxis]
        slopes = tf.matmul(1.0 - tf.square(low), weighted, transpose_a=True)  # [experts, rank, rank]
        core = self["core_0"] * slopes / tf.cast(tf.shape(inputs)[0], slopes.dtype)
        return self.block_norms(tf.einsum("ewr,erv->wv", tf.matmul(self["down_0"], core), self["up_0"]))
