"""HSTU: hierarchical sequential transduction units over the events of a user."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from tfrec.config.hstu_config import HSTUConfig
from tfrec.errors import ConfigError
from tfrec.layers.hstu_block import EventFrame, HSTUBlock, KeptKeys
from tfrec.layers.norms import norm_layer
from tfrec.layers.relative_bias import kept_buckets
from tfrec.layers.rotary import Rotation, rotation
from tfrec.models.attention_encoder import AttentionEncoder
from tfrec.registry import register_model
from tfrec.seeds import derive_seed


class KeptWindow(NamedTuple):
    """What `HSTU.extend` keeps of the events so far.

    Attributes:
        length: Tokens so far: events, and one of the user for models that are told, int32 `[batch]`.
        time: Their times, int64 `[batch, max_tokens]`.
        layers: Keys and values of every layer.
    """

    length: tf.Tensor
    time: tf.Tensor
    layers: tuple[KeptKeys, ...]


@register_model("hstu")
class HSTU(AttentionEncoder):
    """Causal HSTU layers over item vectors; the score of an item is its vector times the state.

    With `relative_times`, the attention of a state knows the time of the event that is to be predicted (of the request,
    when serving): how long ago each past event is by then. Nothing else of the future is an input.

    Args:
        config: Architecture.
        vocab_size: Number of item indices, including 0 (padding) and 1 (out of vocabulary).
        seed: Seed of initial weights, drop-out and negatives.
        **kwargs: Shapes of features of items and users, see `InformedEncoder`, and what Keras models take.

    Reference: arXiv 2402.17152; facebookresearch/generative-recommenders 2e81fab; RecTools 0.19.0.
    Differences: weights are divided by `max_length` however far a batch is padded; the loss is chosen apart from the
        model; padding is on the right and its rows are zero; states may have a norm of their own (`output_norm`).
    """

    config_class = HSTUConfig
    config: HSTUConfig
    reads_times = True

    def __init__(
        self,
        config: HSTUConfig,
        vocab_size: int,
        *,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(config, vocab_size, seed=seed, **kwargs)
        self.hstu_blocks = [
            HSTUBlock(
                config.dim,
                config.heads,
                config.head_key_dim,
                config.head_value_dim,
                norm=config.norm,
                norm_scale=config.norm_scale,
                epsilon=config.norm_epsilon,
                gate=config.gate,
                distances=self.max_tokens if config.relative_positions else 0,
                times=config.relative_times,
                dropout=config.dropout,
                seed=derive_seed(seed, "block", number),
                name=f"block_{number}",
                dtype=self.dtype_policy,
            )
            for number in range(config.blocks)
        ]
        for block in self.hstu_blocks:
            block.build()
        self.output_norm: Any = None
        if config.output_norm:
            self.output_norm = norm_layer(
                config.norm,
                epsilon=config.norm_epsilon,
                scale=config.norm_scale,
                name="output_norm",
                dtype=self.dtype_policy,
            )
            self.output_norm.build((None, None, config.dim))
        self.built = True

    @property
    def request_features(self) -> tuple[str, ...]:
        known = super().request_features
        if self.config.relative_times:
            return (*known, "timestamp", "request_time")
        return (*known, "timestamp") if self.config.rotary_time else known

    def encode_window(
        self,
        items: tf.Tensor,
        length: tf.Tensor,
        *,
        users: tf.Tensor | None = None,
        times: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the state after every event of a window, see `SequenceEncoder.encode_window`.

        Args:
            items: int32 `[batch, window]`, right-padded with 0, at most `config.max_length` wide.
            length: int32 `[batch]`.
            users: int32 `[batch]`, for models that are told the user. Default: all are unknown.
            times: Times of the events of the window and of the event after it, milliseconds, int64 `[batch, window +
                1]`; anything beyond `length + 1`. Default: 0 everywhere.
            dropout_seed: int32 `[2]`; None means inference.
        """
        if times is None:
            times = tf.zeros([tf.shape(items)[0], tf.shape(items)[1] + 1], tf.int64)
        states, real = self._embedded(items, length, users, dropout_seed)  # [batch, tokens, dim], [batch, tokens]
        mask, position = self._mask(real), tf.range(tf.shape(states)[1])  # [batch, tokens, 1], [tokens]
        times = self._token_times(times)
        time = times[:, :-1]
        buckets = kept_buckets(times[:, 1:], time) if self.config.relative_times else None
        frame = EventFrame(time, times[:, 1:], self._rotation(time, time[:, :1]), self._divisor(position), buckets)
        for block in self.hstu_blocks:
            states = block(states, frame, dropout_seed=dropout_seed) * mask
        return self._of_events(self._normalized(states) * mask)

    # ---- one event after another ----------------------------------------------------------------------------------

    def empty_window(self, batch_size: int) -> KeptWindow:
        """Returns the window of users without events, for `extend`.

        Raises:
            ConfigError: Positions are counted from the latest event, so every event changes all before it.
        """
        config = self.config
        if config.positions == "from_end":
            raise ConfigError(
                "`model.positions=from_end` numbers all events anew with every new one: nothing of them can be kept.",
                remedy="Train with `model.positions=none` or `from_start`, or encode the whole window.",
            )

        def room(width: int) -> tf.Tensor:
            return tf.zeros([batch_size, config.heads, self.max_tokens, width], self.compute_dtype)

        layer = KeptKeys(room(config.head_key_dim), room(config.head_value_dim))
        time = tf.zeros([batch_size, self.max_tokens], tf.int64)
        return KeptWindow(tf.zeros([batch_size], tf.int32), time, (layer,) * config.blocks)

    def extend(
        self, window: KeptWindow, items: tf.Tensor, times: tf.Tensor, users: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, KeptWindow]:
        """Returns the states after further events, as `encode_window` gives them for the whole.

        It costs one pass over the new events, and their products with the keys that are kept. With `relative_times` an
        event is encoded for good when the next one is known: rank for a request by extending a window with the latest
        event and the time of the request, and keep the window from before that.

        Args:
            window: Of the events so far; together with the new ones no more than `config.max_length`.
            items: int32 `[batch, new]`, no padding.
            times: Times of the new events and of the one after them, int64 `[batch, new + 1]`.
            users: int32 `[batch]`, together with the first events of a window, for models that are told the user.

        Returns:
            float `[batch, new, dim]`, and the window with the new events.

        Raises:
            InvalidArgumentError: The window is full: begin a new one with the latest events. Or the user was given to a
                window with events, or not to one without.
        """
        told, given = self.users is not None, self.users is not None and users is not None
        tokens = self._tokens(items, users) if given else self.input_vectors(items)  # [batch, new, dim]
        times = self._token_times(times) if given else times
        new = tf.shape(tokens)[1]
        length = window.length + new  # [batch]
        checks = [tf.debugging.assert_less_equal(length, self.max_tokens, "The window is full.")]
        if told:
            rule = "The user goes with the first events of a window, and with no others."
            checks.append(tf.debugging.assert_equal(window.length < 1, given, rule))
        with tf.control_dependencies([check for check in checks if check is not None]):
            position = window.length[:, tf.newaxis] + tf.range(new)  # [batch, new]
        rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, tf.newaxis], tf.shape(position))
        time = tf.tensor_scatter_nd_update(window.time, tf.stack([rows, position], axis=-1), times[:, :-1])
        states = self._inputs(tokens, position, length)
        frame = EventFrame(
            times[:, :-1],
            times[:, 1:],
            self._rotation(times[:, :-1], time[:, :1]),
            self._divisor(tf.range(self.max_tokens)),
        )
        layers = []
        for block, kept in zip(self.hstu_blocks, window.layers, strict=True):
            states, kept = block.extend(states, frame, kept, position, time)
            layers.append(kept)
        states = self._normalized(self._of_events(states) if given else states)
        return self.comparable(states), KeptWindow(length, time, tuple(layers))

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _normalized(self, states: tf.Tensor) -> tf.Tensor:
        return states if self.output_norm is None else self.output_norm(states)

    def _token_times(self, times: tf.Tensor) -> tf.Tensor:
        """Times of tokens: int64 `[batch, window + 1]`, and before them that of the first event for the user."""
        return times if self.users is None else tf.concat([times[:, :1], times], axis=1)

    def _rotation(self, time: tf.Tensor, first: tf.Tensor) -> Rotation | None:
        """Angles of times int64 `[batch, window]` since the first `[batch, 1]`, `[batch, 1, window, width / 2]`."""
        if not self.config.rotary_time:
            return None
        since = tf.cast(time - first, tf.float64) / (1000.0 * self.config.rotary_unit)
        return rotation(since[:, tf.newaxis], self.config.head_key_dim, base=self.config.rotary_base)

    def _divisor(self, position: tf.Tensor) -> tf.Tensor:
        """What the weights of each query are divided by, float32 `[tokens]`."""
        if self.config.normalize_by == "length":
            return tf.cast(position + 1, tf.float32)
        return tf.fill(tf.shape(position), float(self.max_tokens))
