"""What all samplers of negatives have in common."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Draw: TypeAlias = tuple[tf.Tensor, tf.Tensor]
"""`(ids, log_q)`: drawn ids int32, and the logarithm of the probability that one draw gives each of them, float32."""

NEVER = -80.0
"""Log probability of ids that cannot be drawn: finite, and e^-80 is a normal float32."""


class NegativeSampler(Protocol):
    """Draws ids in the graph, at a cost that grows with the number of draws and not with the vocabulary."""

    def draw(self, shape: tf.Tensor | tuple[int, ...], seed: tf.Tensor, targets: tf.Tensor) -> Draw:
        """Draws ids independently, with replacement.

        Args:
            shape: Shape of the result, as far as the sampler can choose it.
            seed: int32 `[2]`; the same seed draws the same ids.
            targets: Targets of the step, int32 `[targets]`; candidates of in-batch sampling.

        Returns:
            Ids and their log probabilities.
        """

    def log_probability(self, ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the log probability that one draw gives each id, float32 of the shape of `ids`."""


def log_shares(weights: NDArray[Any]) -> NDArray[np.float64]:
    """Returns `log(weights / sum)`, and `NEVER` where a weight is 0."""
    weights = np.asarray(weights, np.float64)
    positive = weights > 0
    return np.where(positive, np.log(np.where(positive, weights, 1.0)) - np.log(weights.sum()), NEVER)
