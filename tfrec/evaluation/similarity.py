"""Cosine of the state with the target and with a random item: how far apart a model keeps right and wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_BINS = 50


class SimilarityHistogram:
    """Counts cosines of factorised models, batch by batch. Biases play no part.

    Args:
        table: Item vectors, float `[columns, dim]`; the first two columns (padding and out of vocabulary) are passed
            over.
        seed: Seed of the random items.
    """

    def __init__(self, table: tf.Tensor, *, seed: int = 0) -> None:
        self._vectors = _unit(table)  # [columns, dim]
        self._rng = np.random.default_rng(seed)
        self._parts: list[NDArray[np.float32]] = []

    def add(self, encodings: tf.Tensor, column: tf.Tensor) -> None:
        """Takes the states of targets and the columns of their items; columns below 2 are passed over.

        Args:
            encodings: float `[targets, dim]`.
            column: int32 `[targets]`.
        """
        drawn = self._rng.integers(2, int(self._vectors.shape[0]), int(column.shape[0]), dtype=np.int32)  # [targets]
        cosines = _cosines(encodings, self._vectors, column, drawn).numpy()  # [2, targets]
        self._parts.append(cosines[:, column.numpy() >= 2])

    def as_dict(self) -> dict[str, Any] | None:
        """Returns edges, counts, means, standard deviations and the share of targets closer than the random item.

        Equal cosines count one half. None when there was no target.
        """
        cosines = np.concatenate(self._parts, axis=1).astype(np.float64)  # [2, targets]
        if not cosines.size:
            return None
        edges = np.linspace(-1.0, 1.0, _BINS + 1)
        document: dict[str, Any] = {"edges": edges.tolist()}
        for name, values in zip(("target", "random"), cosines, strict=True):
            document[name] = np.histogram(np.clip(values, -1.0, 1.0), edges)[0].tolist()
            document[f"{name}_mean"] = float(values.mean())
            document[f"{name}_std"] = float(values.std())
        target, random = cosines
        document["separation"] = float(((target > random) + 0.5 * (target == random)).mean())
        return document


def _unit(vectors: tf.Tensor) -> tf.Tensor:
    vectors = tf.cast(vectors, tf.float32)
    return vectors / tf.maximum(tf.norm(vectors, axis=1, keepdims=True), 1e-12)


@tf.function(reduce_retracing=True)
def _cosines(encodings: tf.Tensor, vectors: tf.Tensor, column: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    states = _unit(encodings)  # [targets, dim]
    both = tf.gather(vectors, tf.stack([column, drawn]))  # [2, targets, dim]
    return tf.reduce_sum(states * both, axis=2)  # [2, targets]
