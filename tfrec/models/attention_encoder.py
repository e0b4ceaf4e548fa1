"""What encoders with attention share: tokens of items and of the user, and learned positions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfrec.data.vocabulary import OOV_INDEX
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.models.informed_encoder import InformedEncoder
from tfrec.models.user_inputs import look_up_users
from tfrec.seeds import derive_seed


class AttentionEncoder(InformedEncoder):
    """Sequence encoder whose inputs are item vectors, with those of their side features, plus learned positions.

    A model that is told the user has one token more, before the first event: the vector of the user, made of side
    features and, if asked for, one of its own. Its state is dropped; all others see it.

    Args:
        config: A `UserInputsConfig` with `dim`, `max_length`, `positions`, `scale_inputs`, `init_stddev` and `dropout`.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        **kwargs: Shapes of features of items and users, see `InformedEncoder`, and what Keras models take.

    Reference: the profile token of the Tencent advertising challenge of 2025, arXiv 2604.04976.
    Differences: there the first event is a target of the profile; here all but the first are targets.
    """

    def __init__(self, config: Any, vocab_size: int, *, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.max_tokens = config.max_length + int(self.users is not None)
        self.positions: Any = None
        if config.positions != "none":
            self.positions = self.add_weight(
                shape=(self.max_tokens, config.dim),
                initializer=GateInitializer(
                    config.dim, bound=config.init_stddev, normal=True, seed=derive_seed(seed, "positions")
                ),
                name="positions",
            )  # [max_tokens, dim]

    def _states(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        dropout_seed: tf.Tensor | None = None,
        users: tf.Tensor | None = None,
        times: tf.Tensor | None = None,
    ) -> tf.Tensor:
        also = {"times": times} if self.reads_times else {}
        if self.users is not None:
            also["users"] = users
        return self.comparable(self.encode_window(items, length, dropout_seed=dropout_seed, **also))

    def _embedded(
        self, items: tf.Tensor, length: tf.Tensor, users: tf.Tensor | None, dropout_seed: tf.Tensor | None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What the first block reads of a window.

        Args:
            items: int32 `[batch, window]`.
            length: int32 `[batch]`.
            users: int32 `[batch]`, for models that are told the user.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            Scaled tokens with their places, drop-out and zeros at padding float `[batch, tokens, dim]`, and which are
            real, bool `[batch, tokens]`.
        """
        tokens = self._tokens(items, users, dropout_seed)
        length = length + (self.max_tokens - self.config.max_length)
        position = tf.range(tf.shape(tokens)[1])  # [tokens]
        real = position < length[:, tf.newaxis]
        states = self._inputs(tokens, position, length)
        states = seeded_dropout(states, self.config.dropout, dropout_seed, "inputs")
        return states * self._mask(real), real

    def _mask(self, real: tf.Tensor) -> tf.Tensor:
        """Ones at real tokens bool `[batch, tokens]`, zeros at padding, float `[batch, tokens, 1]`."""
        return tf.cast(real, self.compute_dtype)[:, :, tf.newaxis]

    def _tokens(
        self, items: tf.Tensor, users: tf.Tensor | None = None, dropout_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Vectors of the user, for models that are told, and of events.

        Args:
            items: int32 `[batch, window]`.
            users: int32 `[batch]`. Default: all are unknown.
            dropout_seed: int32 `[2]`; None means inference.

        Returns:
            float `[batch, tokens, dim]`.
        """
        vectors = self.input_vectors(items, dropout_seed)
        if self.users is None:
            return vectors
        if users is None:
            users = tf.fill(tf.shape(items)[:1], OOV_INDEX)
        own = look_up_users(self.users, users, dropout_seed)  # [batch, dim]
        return tf.concat([own[:, tf.newaxis], vectors], axis=1)

    def _inputs(self, vectors: tf.Tensor, position: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """Scales vectors and adds those of their places.

        Args:
            vectors: float `[batch, tokens, dim]`.
            position: Places from the first token on, int32 `[tokens]` or `[batch, tokens]`.
            length: Tokens of each window, int32 `[batch]`.

        Returns:
            float `[batch, tokens, dim]`.
        """
        states = vectors
        if self.config.scale_inputs:
            states *= self.config.dim**0.5
        if self.positions is None:
            return states
        if self.config.positions == "from_end":
            position = tf.maximum(length[:, tf.newaxis] - 1 - position, 0)  # [batch, tokens]
        return states + tf.cast(tf.gather(self.positions.value, position), states.dtype)

    def _of_events(self, states: tf.Tensor) -> tf.Tensor:
        """States of events: those of all tokens float `[batch, tokens, dim]` without that of the user."""
        return states if self.users is None else states[:, 1:]
