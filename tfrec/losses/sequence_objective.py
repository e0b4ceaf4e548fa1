"""Loss of the states of a sequence encoder, chosen independently of the encoder."""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf
from numpy.typing import NDArray

from tfrec.config.sequence_objective_config import SequenceObjectiveConfig
from tfrec.errors import ConfigError
from tfrec.losses.full_softmax import full_softmax

FIRST_ITEM = 2
"""Rows 0 (padding) and 1 (out of vocabulary) are no candidates."""


class CandidateTable(Protocol):
    """Item vectors as an objective sees them."""

    def lookup(self, ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns vectors `[..., dim]` and biases `[...]` or None of ids `[...]`; touches no other row."""

    def whole(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Returns all vectors `[vocab, dim]` and biases `[vocab]` or None."""


class SequenceObjective:
    """Loss per target.

    Args:
        config: Loss, sampler and their settings.
        item_counts: Training events per index, `[vocab]`; 0 for the reserved indices.
    """

    def __init__(self, config: SequenceObjectiveConfig, item_counts: NDArray[Any]) -> None:
        if config.loss != "softmax":
            raise ConfigError(f"`objective.loss={config.loss}` is not available.", remedy="Use softmax.")
        self.config = config
        self.vocab_size = len(item_counts)

    def __call__(
        self,
        states: tf.Tensor,
        targets: tf.Tensor,
        items: CandidateTable,
        *,
        history: tf.Tensor,
        sequence_of_target: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Returns the loss of every target, float32 `[targets]`.

        Args:
            states: State before each target, float `[targets, dim]`.
            targets: int32 `[targets]`, all at least 2.
            items: The item table.
            history: Items of each sequence, int32 `[batch, length]`, padded with 0.
            sequence_of_target: Row of `history` that each target belongs to, int32 `[targets]`.
            seed: int32 `[2]`; the same seed draws the same negatives.
        """
        del history, sequence_of_target, seed
        states = self._scaled(states)
        vectors, bias = items.whole()
        vectors = self._normalized(vectors[FIRST_ITEM:])
        if bias is not None:
            bias = bias[FIRST_ITEM:] / self.config.temperature
        return full_softmax(states, targets - FIRST_ITEM, vectors, bias, label_smoothing=self.config.label_smoothing)

    def _normalized(self, vectors: tf.Tensor) -> tf.Tensor:
        if self.config.similarity == "dot":
            return vectors
        return tf.math.l2_normalize(tf.cast(vectors, tf.float32), axis=-1, epsilon=1e-24)

    def _scaled(self, states: tf.Tensor) -> tf.Tensor:
        return self._normalized(tf.cast(states, tf.float32)) / self.config.temperature
