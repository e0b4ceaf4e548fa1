"""One layer of HSTU: SiLU attention with relative biases, gated, in place of attention and feed-forward."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec.layers.flat_dense import FlatDense
from tfrec.layers.initializers import GateInitializer
from tfrec.layers.norms import norm_layer
from tfrec.layers.relative_bias import TIME_BUCKETS, RelativeBias
from tfrec.layers.rotary import Rotation, turn
from tfrec.layers.seeded_dropout import seeded_dropout
from tfrec.layers.silu_attention import cached_silu_attention, silu_attention
from tfrec.seeds import derive_seed

_STDDEV = 0.02


class EventFrame(NamedTuple):
    """Where the events of a window stand, the same for every layer.

    Attributes:
        time: Milliseconds, int64 `[batch, seq]`; None where no layer asks for it.
        next_time: Time of the event after each, int64 `[batch, seq]`.
        rotation: Angles by which queries and keys are turned, `[batch, 1, seq, key width / 2]`; None for none.
        divisor: What the weights of a query are divided by, float32, by position `[seq]`.
        buckets: `kept_buckets` of the times; None where no layer asks for them.
    """

    time: tf.Tensor | None
    next_time: tf.Tensor | None
    rotation: Rotation | None
    divisor: tf.Tensor
    buckets: tf.Tensor | None = None


class KeptKeys(NamedTuple):
    """Keys and values of the events so far, float `[batch, heads, seq, width]`."""

    key: tf.Tensor
    value: tf.Tensor


@keras.saving.register_keras_serializable(package="tfrec")
class HSTUBlock(keras.layers.Layer):
    """`x + W_o (u * norm(A v)) + b_o` with `u, v, q, k = split(SiLU(norm(x) W))` and `A` of `silu_attention`.

    Args:
        dim: Width of inputs and outputs.
        heads: Attention heads.
        key_dim: Width of queries and keys of a head.
        value_dim: Width of values and gates of a head.
        norm: `layer` or `rms`.
        norm_scale: Learned scale (and, for `layer`, shift) of both norms.
        epsilon: Epsilon of the norms.
        gate: `product`: `u * a`; `concat`: `[u, a, u * a]`, with `a = norm(A v)`.
        distances: Rows of a learned bias per number of events between query and key; 0 for none.
        times: Learned bias per bucket of time between key and the event after the query.
        dropout: Drop-out before `W_o`.
        seed: Seed of the initial weights.

    Reference: HSTU, arXiv 2402.17152; facebookresearch/generative-recommenders 2e81fab, research HSTU.
    Differences: norms may be learned (as RecTools has them) and of the root mean square; a table of distances has no
        rows for the future, which is never seen.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        key_dim: int,
        value_dim: int,
        *,
        norm: str = "layer",
        norm_scale: bool = True,
        epsilon: float = 1e-6,
        gate: str = "product",
        distances: int = 0,
        times: bool = False,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # angles and divisors stay float32
        self.settings = {
            "dim": dim,
            "heads": heads,
            "key_dim": key_dim,
            "value_dim": value_dim,
            "norm": norm,
            "norm_scale": norm_scale,
            "epsilon": epsilon,
            "gate": gate,
            "distances": distances,
            "times": times,
            "dropout": dropout,
            "seed": seed,
        }
        self.dim, self.heads, self.key_dim, self.value_dim = dim, heads, key_dim, value_dim
        self.gate, self.dropout, self.seed = gate, dropout, seed
        self.distances, self.times = distances, times
        policy = self.dtype_policy
        self.input_norm, self.attention_norm = (
            norm_layer(norm, epsilon=epsilon, scale=norm_scale, name=name, dtype=policy)
            for name in ("input_norm", "attention_norm")
        )
        self.projection = FlatDense(
            2 * heads * (key_dim + value_dim),
            use_bias=False,
            activation="silu",
            kernel_initializer=GateInitializer(dim, bound=_STDDEV, normal=True, seed=derive_seed(seed, "projection")),
            name="projection",
            dtype=policy,
        )
        self.output_projection = FlatDense(
            dim,
            kernel_initializer=keras.initializers.GlorotUniform(seed=derive_seed(seed, "output")),
            name="output",
            dtype=policy,
        )

    def build(self, input_shape: object = None) -> None:
        width = self.heads * self.value_dim
        self.input_norm.build((None, None, self.dim))
        self.attention_norm.build((None, None, width))
        self.projection.build((None, None, self.dim))
        self.output_projection.build((None, None, width if self.gate == "product" else 3 * width))
        self.by_distance = self._table("by_distance", self.distances)
        self.by_time = self._table("by_time", TIME_BUCKETS if self.times else 0)
        self.built = True

    def call(self, inputs: tf.Tensor, frame: EventFrame, *, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Applies the layer to windows.

        Args:
            inputs: float `[batch, seq, dim]`, padded on the right.
            frame: Where the events stand.
            dropout_seed: int `[2]`; None means no drop-out.

        Returns:
            float `[batch, seq, dim]`; rows of padding hold values of no meaning.
        """
        gates, value, query, key = self._project(inputs, frame.rotation)
        attended = silu_attention(
            query,
            key,
            value,
            self._bias(),
            frame.divisor,
            time=frame.time,
            next_time=frame.next_time,
            buckets=frame.buckets,
        )
        return self._joined(inputs, gates, attended, dropout_seed)

    def extend(
        self, inputs: tf.Tensor, frame: EventFrame, kept: KeptKeys, position: tf.Tensor, time: tf.Tensor | None
    ) -> tuple[tf.Tensor, KeptKeys]:
        """Applies the layer to further events of windows whose keys and values are kept.

        Args:
            inputs: The new events, float `[batch, new, dim]`.
            frame: Of the new events; `divisor` by position, of all.
            kept: Of the events before; places of later ones hold anything.
            position: Place of every new event, int32 `[batch, new]`, below the width of `kept`.
            time: Of all events, new ones included, int64 `[batch, seq]`.

        Returns:
            float `[batch, new, dim]`, and the keys and values with the new ones.
        """
        gates, value, query, key = self._project(inputs, frame.rotation)
        kept = KeptKeys(_put(kept.key, key, position), _put(kept.value, value, position))
        attended = cached_silu_attention(
            query, *kept, self._bias(), frame.divisor, position, time=time, next_time=frame.next_time
        )
        return self._joined(inputs, gates, attended, None), kept

    def _project(self, inputs: tf.Tensor, by: Rotation | None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Gates `[batch, seq, heads * value_dim]`; values, queries and keys `[batch, heads, seq, width]`."""
        sizes = [self.heads * width for width in (self.value_dim, self.value_dim, self.key_dim, self.key_dim)]
        gates, value, query, key = tf.split(self.projection(self.input_norm(inputs)), sizes, axis=-1)
        query, key = self._split(query, self.key_dim), self._split(key, self.key_dim)
        if by is not None:
            query, key = turn(query, by), turn(key, by)
        return gates, self._split(value, self.value_dim), query, key

    def _joined(
        self, inputs: tf.Tensor, gates: tf.Tensor, attended: tf.Tensor, dropout_seed: tf.Tensor | None
    ) -> tf.Tensor:
        width = self.heads * self.value_dim
        attended = tf.reshape(tf.transpose(attended, [0, 2, 1, 3]), [-1, tf.shape(inputs)[1], width])
        attended = self.attention_norm(attended)  # [batch, seq, heads * value_dim]
        gated = gates * attended
        if self.gate == "concat":
            gated = tf.concat([gates, attended, gated], axis=-1)
        gated = seeded_dropout(gated, self.dropout, dropout_seed, f"{self.name} gated")
        return inputs + self.output_projection(gated)

    def _split(self, projected: tf.Tensor, width: int) -> tf.Tensor:
        shape = [-1, tf.shape(projected)[1], self.heads, width]
        return tf.transpose(tf.reshape(projected, shape), [0, 2, 1, 3])  # [batch, heads, seq, width]

    def _table(self, name: str, rows: int) -> Any:
        if not rows:
            return None
        initializer = GateInitializer(1, bound=_STDDEV, normal=True, seed=derive_seed(self.seed, name))
        return self.add_weight(shape=(rows,), initializer=initializer, autocast=False, name=name)

    def _bias(self) -> RelativeBias:
        tables = (self.by_distance, self.by_time)
        return RelativeBias(*(None if table is None else tf.convert_to_tensor(table.value) for table in tables))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings}


def _put(kept: tf.Tensor, new: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Writes new rows `[batch, heads, new, width]` at their places."""
    wide = tf.transpose(kept, [0, 2, 1, 3])  # [batch, seq, heads, width]
    rows = tf.broadcast_to(tf.range(tf.shape(position)[0])[:, tf.newaxis], tf.shape(position))
    places = tf.stack([rows, position], axis=-1)  # [batch, new, 2]
    wide = tf.tensor_scatter_nd_update(wide, places, tf.transpose(new, [0, 2, 1, 3]))
    return tf.transpose(wide, [0, 2, 1, 3])
