"""Hidden dense layers with batch norm and drop-out, and a single output."""

from __future__ import annotations

from typing import Literal

import keras
import tensorflow as tf

from tfrec.layers.dice import Dice
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed

ActivationName = Literal["relu", "leaky_relu", "dice", "sigmoid", "tanh"]


@keras.saving.register_keras_serializable(package="tfrec")
class DenseStack(keras.layers.Layer):
    """`dense -> (batch norm) -> activation -> drop-out` per hidden layer, then a dense output.

    Args:
        width: Width of the inputs.
        hidden: Width of each hidden layer.
        outputs: Width of the output; 0: the last hidden layer is the output.
        activation: Of hidden layers; `leaky_relu` has a slope of 0.01.
        dropout: After every hidden layer.
        batch_norm: Normalise before the activation.
        seed: Seed of initial weights.
    """

    def __init__(
        self,
        width: int,
        hidden: list[int],
        *,
        outputs: int = 1,
        activation: ActivationName = "relu",
        dropout: float = 0.0,
        batch_norm: bool = False,
        seed: int = 0,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.width, self.hidden, self.outputs = width, list(hidden), outputs
        self.activation, self.dropout, self.batch_norm, self.seed = activation, dropout, batch_norm, seed
        sizes = [*self.hidden, outputs] if outputs else self.hidden
        self.dense = [
            keras.layers.Dense(
                size,
                kernel_initializer=keras.initializers.GlorotNormal(derive_seed(seed, "dense", number)),
                name=f"dense_{number}",
            )
            for number, size in enumerate(sizes)
        ]
        count = len(self.hidden)
        self.norms = [keras.layers.BatchNormalization(name=f"norm_{n}") for n in range(count)] if batch_norm else []
        self.dice = [Dice(name=f"dice_{n}") for n in range(count)] if activation == "dice" else []

    def build(self, input_shape: object = None) -> None:
        width = self.width
        for number, layer in enumerate(self.dense):
            layer.build((None, width))
            width = layer.units
            for others in (self.norms, self.dice):
                if number < len(others):
                    others[number].build((None, width))
        self.built = True

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Transforms float `[batch, width]` to `[batch, outputs]`."""
        x, training = inputs, dropout_seed is not None
        for number, layer in enumerate(self.dense):
            x = layer(x)
            if number == len(self.hidden):
                break
            if self.norms:
                x = self.norms[number](x, training=training)
            x = self.dice[number](x, training=training) if self.dice else _ACTIVATIONS[self.activation](x)
            x = seeded_dropout(x, self.dropout, dropout_seed, f"{self.name} {number}")
        return x

    def get_config(self) -> dict[str, object]:
        names = ("width", "hidden", "outputs", "activation", "dropout", "batch_norm", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


_ACTIVATIONS = {
    "relu": tf.nn.relu,
    "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.01),
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
}
