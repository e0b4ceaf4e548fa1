"""Mixture of experts: every token passes through the few experts that its gate selects."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfrec.errors import ConfigError, did_you_mean
from tfrec.layers.expert_balance import ExpertBalance
from tfrec.layers.fan_in_uniform import fan_in_uniform
from tfrec.layers.grouped_dense import grouped_dense
from tfrec.layers.swiglu_expert import SwigluExpert, standardise, swiglu
from tfrec.seeds import derive_seed

SCORES = ("sigmoid", "softmax")
DISPATCHES = ("sparse", "dense")
_TIE_BREAK = 1e-5


class Routing(NamedTuple):
    """Which experts see which tokens.

    Attributes:
        expert: The selected experts, best first, int32 `[tokens, active]`.
        weight: What their outputs are multiplied by, float `[tokens, active]`.
        counts: Tokens of each expert, int32 `[experts]`.
        balance_loss: `ExpertBalance.loss`, a scalar; 0 unless the method is `auxiliary`.
    """

    expert: tf.Tensor
    weight: tf.Tensor
    counts: tf.Tensor
    balance_loss: tf.Tensor


@keras.saving.register_keras_serializable(package="tfrec")
class MixtureOfExperts(keras.layers.Layer):
    """Gated sum of the `active` best of `experts` SwiGLU networks, plus one that every token passes through.

    The gate scores `s = sigmoid(W x + b)` (or softmax); the selected experts have the weights `route_scale * s_e /
    sum(s)`. Each expert has a layer norm of its own; the gate sees the token as it is. Only selected experts are
    computed: tokens are sorted by expert, and every expert multiplies its own slice.

    Used as a plain Keras layer it adds `balance_weight * loss` (method `auxiliary`) to the losses of the model; `mix`
    returns it instead. Where tokens are padding, leave them out before the call: they would be routed and counted.
    Under a policy of 16 bits the gate stays float32; XLA cannot compile the layer.

    Args:
        dim: Width of a token.
        experts: Number of routed experts.
        active: How many of them a token passes through.
        hidden: Width inside an expert. Default: 4 * dim.
        shared: Always active experts; more than one is one that is wider.
        score: `sigmoid` or `softmax`.
        route_scale: Factor of the routed part.
        groups: Experts come in so many groups of equal size.
        active_groups: A token selects among the experts of so many groups, those with the best expert.
        balance: See `ExpertBalance`.
        balance_speed: See `ExpertBalance`.
        balance_decay: See `ExpertBalance`.
        balance_weight: Factor of the auxiliary loss when used as a plain layer.
        dispatch: `sparse`; `dense` computes all experts for all tokens, for comparison.
        epsilon: Epsilon of the layer norms.
        seed: Seed of the initial weights.

    Raises:
        ConfigError: Unknown score, dispatch or balance; groups of unequal size; fewer experts to select from than
            `active`.

    Reference: DeepSeekMoE, arXiv 2401.06066; the code of zy-hang/LongTermInterestModel (DeepSeekMoE.py e7f29be).

    Example:
        >>> layer = MixtureOfExperts(8, 4, 2)
        >>> layer(tf.ones([3, 5, 8])).shape
        TensorShape([3, 5, 8])
    """

    def __init__(
        self,
        dim: int,
        experts: int,
        active: int,
        *,
        hidden: int = 0,
        shared: int = 1,
        score: str = "sigmoid",
        route_scale: float = 1.0,
        groups: int = 1,
        active_groups: int = 1,
        balance: str = "bias",
        balance_speed: float = 0.01,
        balance_decay: float = 0.9,
        balance_weight: float = 0.01,
        dispatch: str = "sparse",
        epsilon: float = 1e-5,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings = {name: value for name, value in locals().items() if name not in ("self", "kwargs", "__class__")}
        self.supports_jit = False  # see `grouped_dense`
        _check_choice("score", score, SCORES)
        _check_choice("dispatch", dispatch, DISPATCHES)
        _check_numbers(experts, active, groups, active_groups)
        self.dim, self.experts, self.active = dim, experts, active
        self.hidden = hidden or 4 * dim
        self.score, self.route_scale = score, route_scale
        self.groups, self.active_groups = groups, active_groups
        self.balance_weight = balance_weight
        self.dispatch = dispatch
        self.epsilon = epsilon
        self.seed = seed
        self.balance = ExpertBalance(experts, balance, speed=balance_speed, decay=balance_decay, name="balance")
        self.shared = None
        if shared:
            own = derive_seed(seed, "shared")
            self.shared = SwigluExpert(
                dim, shared * self.hidden, epsilon=epsilon, seed=own, dtype=self.dtype_policy, name="shared"
            )

    def build(self, input_shape: object = None) -> None:
        experts, dim, hidden = self.experts, self.dim, self.hidden

        def weight(name: str, shape: tuple[int, ...], fan_in: int, *, autocast: bool = True) -> Any:
            initializer = fan_in_uniform(fan_in, derive_seed(self.seed, name))
            return self.add_weight(shape=shape, initializer=initializer, autocast=autocast, name=name)

        self.gate_kernel = weight("gate_kernel", (dim, experts), dim, autocast=False)
        self.gate_bias = weight("gate_bias", (experts,), dim, autocast=False)
        self.norm_scale = self.add_weight(shape=(experts, dim), initializer="ones", name="norm_scale")
        self.norm_offset = self.add_weight(shape=(experts, dim), initializer="zeros", name="norm_offset")
        self.in_kernel = weight("in_kernel", (experts, dim, 2 * hidden), dim)
        self.in_bias = weight("in_bias", (experts, 2 * hidden), dim)
        self.out_kernel = weight("out_kernel", (experts, hidden, dim), hidden)
        self.out_bias = weight("out_bias", (experts, dim), hidden)
        self.balance.build()
        if self.shared is not None:
            self.shared.build()
        self.built = True

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Applies the mixture: float `[..., dim]` -> float `[..., dim]`."""
        outputs, routing = self.mix(tf.reshape(inputs, [-1, self.dim]), training=training)
        if training and self.balance.method == "auxiliary":
            self.add_loss(self.balance_weight * routing.balance_loss)
        return tf.reshape(outputs, tf.shape(inputs))

    def mix(self, tokens: tf.Tensor, *, training: bool = False) -> tuple[tf.Tensor, Routing]:
        """Applies the mixture; in training the selections are counted and the balance follows them.

        Args:
            tokens: float `[tokens, dim]`; may be empty.
            training: Whether this is a training step.

        Returns:
            float `[tokens, dim]`, and how tokens were routed.
        """
        tokens = tf.cast(tokens, self.compute_dtype)
        routing = self.route(tokens, training=training)
        outputs = (self._dense if self.dispatch == "dense" else self._sparse)(tokens, routing)
        if self.shared is not None:
            outputs += self.shared(tokens)
        if training:
            self.balance.observe(routing.counts)
        return outputs, routing

    def route(self, tokens: tf.Tensor, *, training: bool = False) -> Routing:
        """Selects the experts of every token: float `[tokens, dim]`."""
        tokens = tf.cast(tokens, self.variable_dtype)
        logits = tf.matmul(tokens, self.gate_kernel.value) + self.gate_bias.value  # [tokens, experts]
        scores = tf.sigmoid(logits) if self.score == "sigmoid" else tf.nn.softmax(logits)
        by, weigh = self.balance.adjusted(scores, training=training)
        # Scores of 1 after rounding are equal, and noise would choose among them: logits have the same order.
        by += _TIE_BREAK * logits
        expert = tf.math.top_k(self._in_best_groups(by), self.active).indices  # [tokens, active]
        weight = tf.gather(weigh, expert, batch_dims=1)
        weight = self.route_scale * tf.math.divide_no_nan(weight, tf.reduce_sum(weight, axis=-1, keepdims=True))
        flat = tf.reshape(expert, [-1])
        counts = tf.math.unsorted_segment_sum(tf.ones_like(flat), flat, self.experts)  # [experts]
        wanted = training and self.balance.method == "auxiliary"
        return Routing(expert, weight, counts, self.balance.loss(scores, counts) if wanted else tf.constant(0.0))

    def _in_best_groups(self, scores: tf.Tensor) -> tf.Tensor:
        if self.active_groups >= self.groups:
            return scores
        best = tf.reduce_max(tf.reshape(scores, [-1, self.groups, self.experts // self.groups]), axis=-1)
        chosen = tf.math.top_k(best, self.active_groups).indices  # [tokens, active_groups]
        open_groups = tf.reduce_max(tf.one_hot(chosen, self.groups), axis=1)  # [tokens, groups]
        return tf.where(tf.repeat(open_groups, self.experts // self.groups, axis=1) > 0, scores, -1e9)

    def _sparse(self, tokens: tf.Tensor, routing: Routing) -> tf.Tensor:
        flat = tf.reshape(routing.expert, [-1])  # [tokens * active]
        order = tf.argsort(flat, stable=True)
        rows = tf.gather(standardise(tokens, self.epsilon), order // self.active)  # sorted by expert
        # A product with one-hot rows, because the gradient of a gather would be sorted out row by row.
        chosen = tf.one_hot(tf.gather(flat, order), self.experts, dtype=rows.dtype)  # [tokens * active, experts]
        rows = rows * tf.matmul(chosen, self._cast(self.norm_scale)) + tf.matmul(chosen, self._cast(self.norm_offset))
        inner = swiglu(grouped_dense(rows, self._cast(self.in_kernel), self._cast(self.in_bias), routing.counts))
        rows = grouped_dense(inner, self._cast(self.out_kernel), self._cast(self.out_bias), routing.counts)
        outputs = tf.gather(rows, tf.math.invert_permutation(order))
        outputs = tf.reshape(outputs, [-1, self.active, self.dim])  # [tokens, active, dim]
        return tf.reduce_sum(outputs * tf.cast(routing.weight, outputs.dtype)[:, :, tf.newaxis], axis=1)

    def _dense(self, tokens: tf.Tensor, routing: Routing) -> tf.Tensor:
        normed = standardise(tokens, self.epsilon)  # [tokens, dim]
        rows = normed * self._cast(self.norm_scale)[:, tf.newaxis] + self._cast(self.norm_offset)[:, tf.newaxis]
        inner = swiglu(tf.matmul(rows, self._cast(self.in_kernel)) + self._cast(self.in_bias)[:, tf.newaxis])
        outputs = tf.matmul(inner, self._cast(self.out_kernel))  # [experts, tokens, dim]
        outputs += self._cast(self.out_bias)[:, tf.newaxis]
        weight = tf.reduce_sum(tf.one_hot(routing.expert, self.experts) * routing.weight[:, :, tf.newaxis], axis=1)
        return tf.einsum("te,etd->td", tf.cast(weight, outputs.dtype), outputs)

    def _cast(self, weight: Any) -> tf.Tensor:
        return tf.cast(weight.value, self.compute_dtype)

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), **self.settings}


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"Unknown {name} `{value}` of a mixture of experts.", remedy=did_you_mean(value, choices))


def _check_numbers(experts: int, active: int, groups: int, active_groups: int) -> None:
    if groups < 1 or experts % groups:
        raise ConfigError(
            f"`groups={groups}` does not divide `experts={experts}`.", remedy="Make groups of equal size."
        )
    if active_groups < 1:
        raise ConfigError(f"`active_groups={active_groups}` leaves no expert.", remedy="Let at least 1 be active.")
    selectable = experts // groups * min(active_groups, groups)
    if not 1 <= active <= selectable:
        raise ConfigError(
            f"`active={active}` experts of {selectable} that can be selected.",
            remedy=f"Let 1 to {selectable} be active, or add experts or active groups.",
        )
