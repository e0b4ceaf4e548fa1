"""What layers have in common that let the features of a token interact."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class InteractionStack(keras.layers.Layer):
    """Some layers over the feature vectors of a token, with weights shared by all tokens.

    Args:
        fields: Features per token.
        dim: Width of the vector of a feature.
        layers: Number of layers.
        dropout: Drop-out rate, where the kind of interaction has one.
        seed: Seed of initial weights.

    Attributes:
        weights_kind: What `field_weights` are.
    """

    weights_kind = ""

    def __init__(
        self, fields: int, dim: int, layers: int, *, dropout: float = 0.0, seed: int = 0, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.fields, self.dim, self.layers = fields, dim, layers
        self.dropout, self.seed = dropout, seed
        self.width = fields * dim
        self._named: dict[str, Any] = {}

    def weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> None:
        """Adds a weight that is then found under its name."""
        self._named[name] = self.add_weight(shape=shape, initializer=initializer, name=name)

    def __getitem__(self, name: str) -> tf.Tensor:
        return tf.convert_to_tensor(self._named[name].value)

    def call(self, inputs: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Lets features interact.

        Args:
            inputs: Vectors of all features side by side, float `[tokens, fields * dim]`.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[tokens, fields * dim]`.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `call`.")

    def field_weights(self, inputs: tf.Tensor) -> tf.Tensor:
        """How much each feature of the row of a matrix makes of that of the column, as `weights_kind` says.

        Args:
            inputs: As of `call`; weights that depend on them are means of tokens.

        Returns:
            float `[fields, fields]`, not negative.
        """
        raise TypeError(f"`{type(self).__name__}` does not define `field_weights`.")

    def block_norms(self, kernel: tf.Tensor) -> tf.Tensor:
        """Norm of the block between two features of a kernel `[inputs, outputs]`: outputs by inputs."""
        blocks = tf.reshape(kernel, [self.fields, self.dim, self.fields, self.dim])
        return tf.transpose(tf.sqrt(tf.reduce_sum(tf.square(blocks), axis=[1, 3])))

    def get_config(self) -> dict[str, object]:
        names = ("fields", "dim", "layers", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
