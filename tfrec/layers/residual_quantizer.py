"""Vectors to short lists of codes, each of what the codes before it have left over."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfrec.layers.codebook_start import Floats, start_codebook
from tfrec.seeds import derive_seed

_SINKHORN_ROUNDS = 30
_SHARPNESS = 20.0
_TINY = 1e-6


class Quantized(NamedTuple):
    """Result of a quantiser.

    Attributes:
        vectors: Sum of the codes' vectors, float `[batch, dim]`; gradients pass to what was quantised.
        codes: int32 `[batch, levels]`.
        commitment: Mean squared distance of what is left at each level to its code, summed; moves the encoder.
        codebook: The same; moves the codes. 0 where they are running means.
    """

    vectors: tf.Tensor
    codes: tf.Tensor
    commitment: tf.Tensor
    codebook: tf.Tensor


@keras.saving.register_keras_serializable(package="tfrec")
class ResidualQuantizer(keras.layers.Layer):
    """Levels of codebooks: `r_0 = z; c_m = nearest(r_m); r_(m+1) = r_m - e_(c_m)`; the result is the sum of the e.

    Args:
        sizes: Codes of every level.
        dim: Width of the vectors.
        learned: Codes are trained by gradient descent; else they are running means of what they stand for.
        estimator: `rotation` or `straight-through`, see `RQVAEConfig`.
        balanced: Codes of a training batch are used alike.
        decay: Share of the old running mean that a step keeps.
        restart_below: Codes used less than this share of the average move to a vector of the batch.
        seed: Seed of restarts.

    Reference: arXiv 2203.01941 (levels), arXiv 1711.00937 appendix A.1 (running means), arXiv 2410.06424 (rotation);
        balance as in arXiv 2311.09049 by Sinkhorn's algorithm.
    """

    def __init__(
        self,
        sizes: list[int],
        dim: int,
        *,
        learned: bool = False,
        estimator: str = "rotation",
        balanced: bool = False,
        decay: float = 0.95,
        restart_below: float = 0.1,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {
            "sizes": list(sizes),
            "dim": dim,
            "learned": learned,
            "estimator": estimator,
            "balanced": balanced,
            "decay": decay,
            "restart_below": restart_below,
            "seed": seed,
        }
        self.sizes, self.dim, self.learned, self.estimator, self.balanced = (
            list(sizes),
            dim,
            learned,
            estimator,
            balanced,
        )
        self.decay, self.restart_below, self.seed = decay, restart_below, seed

    def build(self, input_shape: object = None) -> None:
        def table(name: str, shape: tuple[int, ...], trainable: bool = False) -> Any:
            return self.add_weight(shape=shape, initializer="zeros", trainable=trainable, name=name)

        levels = list(enumerate(self.sizes))
        self.codebooks = [table(f"codes_{level}", (size, self.dim), self.learned) for level, size in levels]
        self.counts = [table(f"counts_{level}", (size,)) for level, size in levels]
        self.sums = [table(f"sums_{level}", (size, self.dim)) for level, size in levels]
        self.steps = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="steps")
        self.built = True

    def start(self, vectors: Floats, *, rounds: int) -> None:
        """Takes centres of clusters for codes, level by level.

        Args:
            vectors: What will be quantised, or a sample of it, float32 `[n, dim]`.
            rounds: Rounds of k-means.
        """
        left = np.asarray(vectors, np.float32)
        for level, (book, counts, sums) in enumerate(zip(self.codebooks, self.counts, self.sums, strict=True)):
            size = self.sizes[level]
            centres = start_codebook(left, size, rounds=rounds, seed=derive_seed(self.seed, "codebook", level))
            book.assign(centres)
            codes = self._nearest(tf.constant(left), tf.constant(centres))[0].numpy()
            share = np.maximum(np.bincount(codes, minlength=size) * (size / len(left)), _TINY).astype(np.float32)
            counts.assign(share)
            sums.assign(centres * share[:, np.newaxis])
            left = left - centres[codes]

    def call(self, vectors: tf.Tensor, *, training: bool = False, balance: bool = False) -> Quantized:
        """Quantises float `[batch, dim]`.

        Args:
            vectors: What is quantised.
            training: Running means move and unused codes start anew; codes are balanced if the layer says so.
            balance: Codes of these vectors are used alike, also outside of training.
        """
        left, total = vectors, tf.zeros_like(vectors)
        codes, commitment, codebook = [], tf.constant(0.0), tf.constant(0.0)
        for level, book in enumerate(self.codebooks):
            table = tf.convert_to_tensor(book.value)  # [size, dim]
            chosen, distances = self._nearest(left, table)
            if balance or (training and self.balanced):
                chosen = _balanced(distances)
            code = tf.gather(table, chosen)  # [batch, dim]
            commitment += tf.reduce_mean(tf.reduce_sum(tf.square(left - tf.stop_gradient(code)), axis=1))
            if self.learned:
                codebook += tf.reduce_mean(tf.reduce_sum(tf.square(tf.stop_gradient(left) - code), axis=1))
            if training:
                self._learn(level, tf.stop_gradient(left), chosen)
            code = tf.stop_gradient(code)
            left, total = left - code, total + code
            codes.append(chosen)
        if training:
            self.steps.assign_add(1)
        through = (
            rotated(vectors, total) if self.estimator == "rotation" else vectors + tf.stop_gradient(total - vectors)
        )
        return Quantized(through, tf.stack(codes, axis=1), commitment, codebook)

    def _nearest(self, vectors: tf.Tensor, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the nearest codes int32 `[batch]`, and squared distances `[batch, size]` up to a term of the row."""
        distances = tf.reduce_sum(tf.square(table), axis=1) - 2.0 * tf.matmul(vectors, table, transpose_b=True)
        return tf.argmin(distances, axis=1, output_type=tf.int32), distances

    def _learn(self, level: int, left: tf.Tensor, chosen: tf.Tensor) -> None:
        """Moves running means towards what codes now stand for, and unused codes to vectors of the batch."""
        size, book = self.sizes[level], self.codebooks[level]
        # 1 is the average use of a code, whatever the size of a batch.
        share = size / tf.cast(tf.maximum(tf.size(chosen), 1), tf.float32)
        used = tf.math.unsorted_segment_sum(tf.fill(tf.shape(chosen), share), chosen, size)  # [size]
        sums = tf.math.unsorted_segment_sum(left * share, chosen, size)  # [size, dim]
        counts = self.decay * self.counts[level].value + (1.0 - self.decay) * used
        sums = self.decay * self.sums[level].value + (1.0 - self.decay) * sums
        table = tf.convert_to_tensor(book.value)
        if not self.learned:
            table = tf.where(counts[:, tf.newaxis] > _TINY, sums / tf.maximum(counts, _TINY)[:, tf.newaxis], table)
        if self.restart_below:
            unused = counts < self.restart_below
            seed = tf.stack([derive_seed(self.seed, "restart", level), tf.cast(self.steps.value, tf.int32)])
            rows = tf.random.stateless_uniform([size], seed, maxval=tf.shape(left)[0], dtype=tf.int32)
            table = tf.where(unused[:, tf.newaxis], tf.gather(left, rows), table)
            counts = tf.where(unused, 1.0, counts)
            sums = tf.where(unused[:, tf.newaxis], table, sums)
        if self.restart_below or not self.learned:
            book.assign(table)
        self.counts[level].assign(counts)
        self.sums[level].assign(sums)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def rotated(vectors: tf.Tensor, onto: tf.Tensor) -> tf.Tensor:
    """Returns `onto`, as the result of rotating and scaling `vectors`: gradients are rotated and scaled likewise.

    Args:
        vectors: float `[batch, dim]`.
        onto: float `[batch, dim]`, a constant.

    Reference: arXiv 2410.06424, section 4.
    """
    lengths = tf.norm(vectors, axis=1, keepdims=True), tf.norm(onto, axis=1, keepdims=True)
    first, second = (part / tf.maximum(size, _TINY) for part, size in zip((vectors, onto), lengths, strict=True))
    middle = first + second
    middle = tf.stop_gradient(middle / tf.maximum(tf.norm(middle, axis=1, keepdims=True), _TINY))
    first, second = tf.stop_gradient(first), tf.stop_gradient(second)
    turned = vectors - 2.0 * tf.reduce_sum(vectors * middle, axis=1, keepdims=True) * middle
    turned += 2.0 * tf.reduce_sum(vectors * first, axis=1, keepdims=True) * second
    return turned * tf.stop_gradient(lengths[1] / tf.maximum(lengths[0], _TINY))


def _balanced(distances: tf.Tensor) -> tf.Tensor:
    """Codes of a batch that are near and used alike, int32 `[batch]`."""
    spread = tf.math.reduce_std(distances - tf.reduce_min(distances, axis=1, keepdims=True))
    plan = -_SHARPNESS * distances / tf.maximum(spread, _TINY)  # [batch, size]
    for _ in range(_SINKHORN_ROUNDS):
        plan -= tf.reduce_logsumexp(plan, axis=0, keepdims=True)
        plan -= tf.reduce_logsumexp(plan, axis=1, keepdims=True)
    return tf.argmax(plan, axis=1, output_type=tf.int32)
