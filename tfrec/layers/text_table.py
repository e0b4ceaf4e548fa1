"""Ready-made vectors of texts, projected."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from tfrec.errors import DataError
from tfrec.layers.given_tables import add_given_table
from tfrec.layers.near_unit_rows import near_unit_rows
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.seeds import derive_seed


@keras.saving.register_keras_serializable(package="tfrec")
class TextTable(keras.layers.Layer):
    """`unit(drop-out(LN(Dense(unit(vector)))))` of a text, computed inside the graph from a table that is not trained.

    A text that is missing, a row of zeros, has the vector zero. A step costs as much as the distinct rows that are
    looked up.

    Args:
        rows: Rows of the table.
        width: Width of the vectors of the sentence encoder.
        dim: Width of the projection.
        dropout: Drop-out of the projection.
        seed: Seed of the initial weights.

    Differences from ww93/MLLM: vectors are normalised before and after the projection, which learns; there they are
        projected once with random weights and drop-out, and kept at any length.
    """

    def __init__(self, rows: int, width: int, dim: int, *, dropout: float = 0.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.width, self.dim, self.dropout, self.seed = rows, width, dim, dropout, seed
        initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, "projection"))
        self.projection = keras.layers.Dense(dim, kernel_initializer=initializer, name="projection")
        self.norm = keras.layers.LayerNormalization(epsilon=1e-6, name="norm")

    def build(self, input_shape: object = None) -> None:
        self.vectors = add_given_table(self, "vectors", (self.rows, self.width), "float16")  # [rows, width]
        self.projection.build((None, self.width))
        self.norm.build((None, self.dim))
        self.built = True

    def set_vectors(self, vectors: NDArray[Any]) -> None:
        """Takes over the vectors, float `[rows, width]`, of any length.

        Raises:
            DataError: They have another shape than the model was made for.
        """
        if tuple(vectors.shape) != (self.rows, self.width):
            raise DataError(
                f"The vectors of texts have shape {tuple(vectors.shape)}, the model was made for "
                f"{(self.rows, self.width)}.",
                remedy="Train a new model on these data.",
            )
        self.vectors.assign(near_unit_rows(vectors))

    def call(self, ids: tf.Tensor, *, dropout_seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Looks texts up.

        Args:
            ids: int `[...]`; each distinct one is computed once.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            Vectors float `[..., dim]` of length 1, or 0 without a text, and whether there is one, bool `[...]`.
        """
        distinct, place = tf.unique(tf.reshape(ids, [-1]))
        rows = tf.cast(tf.gather(self.vectors.value, distinct), tf.float32)  # [distinct, width]
        present = tf.reduce_any(tf.not_equal(rows, 0.0), axis=1)  # [distinct]
        projected = self.norm(self.projection(tf.math.l2_normalize(rows, axis=1)))  # [distinct, dim]
        projected = seeded_dropout(projected, self.dropout, dropout_seed, f"{self.name} texts")
        projected = tf.math.l2_normalize(projected, axis=1) * tf.cast(present, tf.float32)[:, tf.newaxis]
        shape = tf.concat([tf.shape(ids), [self.dim]], axis=0)
        return tf.reshape(tf.gather(projected, place), shape), tf.reshape(tf.gather(present, place), tf.shape(ids))

    def get_config(self) -> dict[str, Any]:
        names = ("rows", "width", "dim", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
