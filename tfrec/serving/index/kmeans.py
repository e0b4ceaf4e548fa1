"""Clusters of vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

_DISTANCES = 1 << 23  # distances that are held at a time: 32 MiB


def kmeans(
    vectors: npt.NDArray[np.float32], num_clusters: int, *, iterations: int = 10, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Returns centres of clusters by Lloyd's algorithm.

    It starts from vectors drawn at random. A centre that no vector is nearest to moves to one of the vectors that are
    farthest from theirs.

    Args:
        vectors: What to learn from, float32 `[n, dim]`.
        num_clusters: At most n.
        iterations: Rounds of assignment and averaging.
        seed: The same seed and vectors give the same centres.

    Returns:
        Centres, float32 `[num_clusters, dim]`.

    Reference:
        Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28 (1982).
    """
    first = np.random.default_rng(seed).choice(len(vectors), num_clusters, replace=False)
    centres = tf.constant(vectors[np.sort(first)])
    for _ in range(iterations):
        nearest, distances = nearest_centres(vectors, centres)
        counts = np.bincount(nearest, minlength=num_clusters)
        sums = tf.math.unsorted_segment_sum(tf.constant(vectors), tf.constant(nearest), num_clusters)
        means = sums.numpy() / np.maximum(counts, 1)[:, np.newaxis].astype(np.float32)
        empty = np.flatnonzero(counts == 0)
        means[empty] = vectors[np.argsort(-distances, kind="stable")[: len(empty)]]
        centres = tf.constant(means)
    return centres.numpy()


def nearest_centres(
    vectors: npt.NDArray[np.float32], centres: npt.NDArray[np.float32] | tf.Tensor
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Returns the nearest centre of each vector.

    Args:
        vectors: float32 `[n, dim]`.
        centres: float32 `[clusters, dim]`.

    Returns:
        Number of the centre, int32 `[n]`, of equally near ones the first; and the squared distance, float32 `[n]`.
    """
    centres = tf.convert_to_tensor(centres)
    step = max(1, _DISTANCES // len(centres))
    parts = [_nearest(tf.constant(vectors[start : start + step]), centres) for start in range(0, len(vectors), step)]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@tf.function(reduce_retracing=True)
def _nearest(vectors: tf.Tensor, centres: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # |v - c|^2 = |v|^2 - 2 v c + |c|^2, of which |v|^2 is the same for all centres.
    norms = tf.reduce_sum(tf.square(centres), axis=1)
    rest = norms - 2.0 * tf.matmul(vectors, centres, transpose_b=True)  # [n, clusters]
    nearest = tf.argmin(rest, axis=1, output_type=tf.int32)
    distances = tf.reduce_min(rest, axis=1) + tf.reduce_sum(tf.square(vectors), axis=1)
    return nearest, distances
