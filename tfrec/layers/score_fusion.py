"""One score from the scores of two branches that are on different scales."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.seeds import derive_seed

PACE = 10.0
"""A learned number weighs a whole branch, but an optimiser moves each weight by about one step size: what is stored is
this part of the number, so that a short stage can find it."""


@keras.saving.register_keras_serializable(package="tfrec")
class ScoreFusion(keras.layers.Layer):
    """`w_1 z(a) + w_2 z(b)`, where z subtracts the mean of a list of candidates and divides by its deviation.

    Args:
        mode: `weighted`: the given weights; `learned`: the softmax of two logits, stored divided by `PACE`; `adaptive`:
            the softmax of `Dense(ReLU(Dense([state of branch 1, vector of branch 2])))`, one pair of weights per user.
        weights: Weights of `weighted`.
        widths: Widths of state and vector, for `adaptive`.
        hidden: Hidden width, for `adaptive`.
        seed: Seed of the initial weights.

    Reference: ww93/MLLM (7eb3b3d). Differences: scores are standardised before they are weighed; `learned` has two
        logits in place of a network that is fed a constant.
    """

    def __init__(
        self,
        mode: str,
        *,
        weights: tuple[float, float] = (0.5, 0.5),
        widths: tuple[int, int] = (1, 1),
        hidden: int = 64,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode, self.fixed, self.widths, self.hidden, self.seed = mode, tuple(weights), tuple(widths), hidden, seed
        self.dense: list[keras.layers.Dense] = []
        if mode == "adaptive":
            initializer = keras.initializers.GlorotUniform(seed=derive_seed(seed, "inner"))
            self.dense = [
                keras.layers.Dense(hidden, activation="relu", kernel_initializer=initializer, name="inner"),
                keras.layers.Dense(2, kernel_initializer="zeros", name="outer"),  # equal weights to begin with
            ]

    def build(self, input_shape: object = None) -> None:
        start = keras.initializers.Constant(0.5 / PACE)
        self.log_scale = self.add_weight(shape=(), initializer=start, name="log_scale")  # of the loss alone
        self.logits: Any = None
        if self.mode == "learned":
            self.logits = self.add_weight(shape=(2,), initializer="zeros", name="logits")
        if self.dense:
            self.dense[0].build((None, sum(self.widths)))
            self.dense[1].build((None, self.hidden))
        self.built = True

    def weights_of(self, state: tf.Tensor, vector: tf.Tensor) -> tf.Tensor:
        """Returns the weights of both branches, float `[rows, 2]`.

        Args:
            state: What the first branch knows of each user, float `[rows, widths[0]]`.
            vector: What the second knows, float `[rows, widths[1]]`.
        """
        rows = tf.shape(state)[0]
        if self.mode == "weighted":
            return tf.broadcast_to(tf.constant([self.fixed], tf.float32), [rows, 2])
        if self.logits is not None:
            return tf.broadcast_to(tf.nn.softmax(PACE * self.logits.value)[tf.newaxis], [rows, 2])
        return tf.nn.softmax(self.dense[1](self.dense[0](tf.concat([state, vector], axis=1))))

    def shared_weights(self) -> list[float]:
        """Returns the two weights that all users share; not with `adaptive`."""
        if self.logits is None:
            return [float(weight) for weight in self.fixed]
        return [float(weight) for weight in tf.nn.softmax(PACE * self.logits.value).numpy()]

    def scale(self) -> tf.Tensor:
        """Returns what the loss multiplies joined scores by, so that their softmax can be sharp: a scalar, learned."""
        return tf.exp(PACE * self.log_scale.value)

    def call(self, first: tf.Tensor, second: tf.Tensor, weights: tf.Tensor, unscored: tf.Tensor) -> tf.Tensor:
        """Joins standardised scores.

        Args:
            first: Standardised scores of the first branch, float `[rows, candidates]`.
            second: Those of the second.
            weights: float `[rows, 2]`.
            unscored: Candidates that the first branch does not know, bool `[candidates]`: the second decides alone.

        Returns:
            float `[rows, candidates]`.
        """
        own, other = weights[:, :1], weights[:, 1:]  # [rows, 1]
        return tf.where(unscored, (own + other) * second, own * first + other * second)

    def get_config(self) -> dict[str, Any]:
        names = ("mode", "widths", "hidden", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}, "weights": self.fixed}


def standardise(scores: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Subtracts the mean and divides by the standard deviation of a list; a list of equal scores becomes zeros.

    Args:
        scores: float `[rows, candidates]`.
        counted: Candidates whose scores make up mean and deviation, bool `[candidates]` or `[rows, candidates]`.

    Returns:
        float `[rows, candidates]`.
    """
    weight = tf.cast(counted, scores.dtype) * tf.ones_like(scores)
    total = tf.maximum(tf.reduce_sum(weight, axis=1, keepdims=True), 1.0)
    mean = tf.reduce_sum(weight * scores, axis=1, keepdims=True) / total
    centred = scores - mean
    variance = tf.reduce_sum(weight * tf.square(centred), axis=1, keepdims=True) / total
    return centred * tf.where(variance > 1e-12, tf.math.rsqrt(tf.maximum(variance, 1e-12)), 0.0)
