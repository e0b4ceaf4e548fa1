"""One block of a window transformer: attention, then a mixture of experts or one feed-forward network."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfrec.layers.mixture_of_experts import MixtureOfExperts
from tfrec.layers.rotary_attention import RotaryAttention
from tfrec.layers.swiglu_expert import SwigluExpert


@keras.saving.register_keras_serializable(package="tfrec")
class ExpertBlock(keras.layers.Layer):
    """`x = x + A(x); x = x + F(x)`, where `A` and `F` norm their inputs themselves.

    Args:
        attention: A.
        experts: F; a single `SwigluExpert` makes a block without routing.
    """

    def __init__(self, attention: RotaryAttention, experts: MixtureOfExperts | SwigluExpert, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attention = attention
        self.experts = experts

    def build(self, input_shape: object = None) -> None:
        self.attention.build()
        self.experts.build()
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        real: tf.Tensor | None = None,
        *,
        training: bool = False,
        dropout_seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Applies the block.

        Args:
            inputs: float `[batch, seq, dim]`.
            real: bool `[batch, seq]`, False at padding, which is neither attended to nor routed; None: all are real.
            training: Whether this is a training step, whose selections are counted.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            float `[batch, seq, dim]` (rows of padding hold values of no meaning), and the loss of the balance.
        """
        states = inputs + self.attention(inputs, real, dropout_seed=dropout_seed)
        if isinstance(self.experts, SwigluExpert):
            return states + self.experts(states), tf.constant(0.0)
        fed, loss = mix_real(self.experts, states, real, training=training)
        return states + fed, loss

    def get_config(self) -> dict[str, object]:
        parts = {"attention": self.attention, "experts": self.experts}
        saved = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {**super().get_config(), **saved}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ExpertBlock:
        parts = {name: keras.saving.deserialize_keras_object(config.pop(name)) for name in ("attention", "experts")}
        return cls(**parts, **config)


def mix_real(
    experts: MixtureOfExperts, states: tf.Tensor, real: tf.Tensor | None, *, training: bool
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sends the real positions through a mixture.

    Args:
        experts: The mixture.
        states: float `[batch, seq, dim]`.
        real: bool `[batch, seq]`; None: all are real.
        training: Whether this is a training step.

    Returns:
        float `[batch, seq, dim]`, 0 at padding, and the loss of the balance.
    """
    shape = tf.shape(states)
    if real is None:
        mixed, routing = experts.mix(tf.reshape(states, [-1, experts.dim]), training=training)
        return tf.reshape(mixed, shape), routing.balance_loss
    place = tf.where(real)  # [tokens, 2]
    mixed, routing = experts.mix(tf.gather_nd(states, place), training=training)
    return tf.scatter_nd(place, mixed, tf.cast(shape, place.dtype)), routing.balance_loss
