"""Mixture of experts: hand arithmetic, a slow re-implementation, its symmetries, and how it balances."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import ConfigError
from tfrec.layers.expert_balance import ExpertBalance
from tfrec.layers.grouped_dense import grouped_dense
from tfrec.layers.mixture_of_experts import MixtureOfExperts

RANDOM = np.random.default_rng(4)
TOKENS = tf.constant(RANDOM.normal(size=(40, 6)), tf.float32)


def mixture(**settings: Any) -> MixtureOfExperts:
    layer = MixtureOfExperts(6, 5, 2, **{"hidden": 7, "seed": 3, **settings})
    layer.build()
    random = np.random.default_rng(9)
    for weight in layer.trainable_weights:
        weight.assign(random.normal(0.0, 0.5, weight.shape))
    return layer


def oracle(layer: MixtureOfExperts, tokens: np.ndarray) -> np.ndarray:
    """Token by token, expert by expert, in float64."""

    def network(x: np.ndarray, part: Any, pick: Any) -> np.ndarray:
        def weight(name: str) -> np.ndarray:
            return pick(np.asarray(getattr(part, name), np.float64))

        normed = (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight("norm_scale") + weight("norm_offset")
        first, second = np.split(normed @ weight("in_kernel") + weight("in_bias"), 2)
        return (first / (1 + np.exp(-first)) * second) @ weight("out_kernel") + weight("out_bias")

    rows = []
    for x in tokens.astype(np.float64):
        scores = 1 / (1 + np.exp(-(x @ layer.gate_kernel.numpy() + layer.gate_bias.numpy())))
        best = np.argsort(-scores)[: layer.active]
        out = network(x, layer.shared, lambda w: w) if layer.shared is not None else np.zeros(len(x))
        for expert in best:
            share = scores[expert] / scores[best].sum()
            out = out + layer.route_scale * share * network(x, layer, lambda w, expert=expert: w[expert])
        rows.append(out)
    return np.stack(rows)


def test_grouped_dense_by_hand() -> None:
    """Groups of 2, 0 and 1 rows: 1 * 2 + 1, 3 * 2 + 1 and 5 * 7 + 3; each gradient goes to its own group."""
    kernel = tf.Variable([[[2.0]], [[4.0]], [[7.0]]])
    bias = tf.Variable([[1.0], [2.0], [3.0]])
    rows = tf.Variable([[1.0], [3.0], [5.0]])
    with tf.GradientTape() as tape:
        found = grouped_dense(rows, kernel, bias, tf.constant([2, 0, 1]))
        total = tf.reduce_sum(found * [[1.0], [10.0], [100.0]])
    assert found.numpy().ravel().tolist() == [3.0, 7.0, 38.0]
    to_rows, to_kernel, to_bias = tape.gradient(total, [rows, kernel, bias])
    assert to_rows.numpy().ravel().tolist() == [2.0, 20.0, 700.0]
    assert to_kernel.numpy().ravel().tolist() == [1.0 + 30.0, 0.0, 500.0]
    assert to_bias.numpy().ravel().tolist() == [11.0, 0.0, 100.0]


def test_weights_by_hand() -> None:
    """Logits 2, 1, 0, -1 and usage .4, .3, .2, .1: the example of the specification."""
    layer = MixtureOfExperts(1, 4, 2, hidden=1, balance="usage")
    layer.build()
    layer.gate_kernel.assign([[0.0] * 4])
    layer.gate_bias.assign([2.0, 1.0, 0.0, -1.0])
    layer.balance.shares.assign([0.4, 0.3, 0.2, 0.1])
    chosen = layer.route(tf.zeros([1, 1]))
    assert chosen.expert.numpy().tolist() == [[0, 1]]
    np.testing.assert_allclose(chosen.weight, [[0.54645, 0.45355]], atol=1e-5)
    chosen = layer.route(tf.zeros([1, 1]), training=True)
    assert chosen.expert.numpy().tolist() == [[3, 2]]
    np.testing.assert_allclose(chosen.weight, [[0.51825, 0.48175]], atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"shared": 0}, {"route_scale": 2.5}])
def test_same_as_the_oracle(settings: dict[str, Any]) -> None:
    layer = mixture(**settings)
    np.testing.assert_allclose(layer(TOKENS), oracle(layer, TOKENS.numpy()), atol=2e-5)


@pytest.mark.parametrize("score", ["sigmoid", "softmax"])
def test_sparse_equals_dense_forwards_and_backwards(score: str) -> None:
    sparse, dense = mixture(score=score), mixture(score=score, dispatch="dense")
    results = []
    for layer in (sparse, dense):

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, 6])])
        def run(tokens: tf.Tensor, layer: MixtureOfExperts = layer) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(tokens)
                found = layer(tokens)
                total = tf.reduce_sum(found * tf.sin(tf.range(6.0)))
            return found, tape.gradient(total, [tokens, *[weight.value for weight in layer.trainable_weights]])

        results.append(run(TOKENS))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    names = ["tokens", *[weight.path for weight in sparse.trainable_weights]]
    for name, mine, theirs in zip(names, results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(mine, theirs, atol=2e-5, err_msg=name)


def test_permuted_experts_and_tokens_change_nothing() -> None:
    layer, other = mixture(), mixture()
    order = [3, 0, 4, 1, 2]
    for name in ("norm_scale", "norm_offset", "in_kernel", "in_bias", "out_kernel", "out_bias"):
        getattr(other, name).assign(getattr(layer, name).numpy()[order])
    other.gate_kernel.assign(layer.gate_kernel.numpy()[:, order])
    other.gate_bias.assign(layer.gate_bias.numpy()[order])
    np.testing.assert_allclose(other(TOKENS), layer(TOKENS), atol=1e-5)
    np.testing.assert_allclose(layer(TOKENS[::-1]), layer(TOKENS)[::-1], atol=1e-5)


def test_the_shared_expert_is_always_on() -> None:
    """Without the routed part (its outputs are zero) the result is the shared expert's."""
    layer = mixture()
    layer.out_kernel.assign(tf.zeros_like(layer.out_kernel.value))
    layer.out_bias.assign(tf.zeros_like(layer.out_bias.value))
    np.testing.assert_allclose(layer(TOKENS), layer.shared(TOKENS), atol=1e-6)
    assert np.abs(layer(TOKENS)).min(axis=1).max() > 0


def test_groups_limit_the_selection() -> None:
    layer = MixtureOfExperts(6, 6, 2, hidden=3, groups=3, active_groups=1)
    layer.build()
    layer.gate_bias.assign([3.0, -3.0, 2.0, 1.0, 0.0, 0.0])
    layer.gate_kernel.assign(tf.zeros([6, 6]))
    assert layer.route(TOKENS[:1]).expert.numpy().tolist() == [[0, 1]]  # without groups 0 and 2


def test_no_tokens_and_a_batch_of_sequences() -> None:
    layer = mixture()
    assert layer(tf.zeros([0, 6])).shape == (0, 6)
    batch = tf.reshape(TOKENS, [4, 10, 6])
    np.testing.assert_allclose(tf.reshape(layer(batch), [40, 6]), layer(TOKENS), atol=1e-6)


def test_in_a_plain_keras_model_saved_and_loaded(tmp_path: Any) -> None:
    inputs = keras.Input([6])
    layer = MixtureOfExperts(6, 4, 2, hidden=5, balance="auxiliary", balance_weight=0.5, name="experts")
    model = keras.Model(inputs, layer(inputs))
    model.compile(optimizer="sgd", loss="mse", jit_compile=False)
    before = model.predict(TOKENS, verbose=0)
    model.fit(TOKENS, TOKENS, epochs=1, batch_size=10, verbose=0)
    after = model.predict(TOKENS, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    assert int(np.sum(layer.balance.counts)) == 40 * 2
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras").predict(TOKENS, verbose=0), after)


def skewed_epochs(method: str, epochs: int, *, steps: int = 60) -> list[np.ndarray]:
    """Shares of 8 experts per epoch on a stream that by itself would go to few of them; the gate does not learn."""
    layer = MixtureOfExperts(4, 8, 2, hidden=1, shared=0, balance=method, seed=1)
    layer.build()
    layer.gate_bias.assign(np.linspace(2.0, -2.0, 8))
    random = np.random.default_rng(0)

    @tf.function(autograph=False)
    def step(tokens: tf.Tensor) -> None:
        layer.balance.observe(layer.route(tokens, training=True).counts)

    shares = []
    for _ in range(epochs):
        for _ in range(steps):
            step(tf.constant(random.normal(size=(64, 4)), tf.float32))
        shares.append(layer.balance.finish_epoch())
    return shares


def test_a_bias_balances_where_division_by_usage_oscillates() -> None:
    alone = skewed_epochs("none", 1)[0]
    assert alone.max() > 0.4
    assert alone.min() < 0.001
    balanced = skewed_epochs("bias", 6)
    assert max(share.max() / share.min() for share in balanced[-3:]) < 1.3
    divided = skewed_epochs("usage", 6)
    busiest = [int(share.argmax()) for share in divided[1:]]
    # Whoever was idle takes nearly half of all selections (at most one of two of each token) in the epoch after.
    assert all(divided[epoch + 1][divided[epoch].argmin()] > 0.3 for epoch in range(5))
    assert all(divided[epoch].min() < 0.01 for epoch in range(6))
    assert len(set(busiest)) > 1


def test_the_auxiliary_loss_by_hand() -> None:
    """Three tokens, two experts, selections 2 and 1, mean shares of scores (.8 + .6 + .2) / 3 and the rest."""
    balance = ExpertBalance(2, "auxiliary")
    balance.build()
    scores = tf.constant([[0.4, 0.1], [0.6, 0.4], [0.2, 0.8]])
    expected = 2 * (2 / 3 * 1.6 / 3 + 1 / 3 * 1.4 / 3)
    np.testing.assert_allclose(balance.loss(scores, tf.constant([2, 1])), expected, rtol=1e-6)
    np.testing.assert_allclose(balance.loss(tf.fill([6, 2], 0.3), tf.constant([3, 3])), 1.0, rtol=1e-6)


def test_the_auxiliary_loss_teaches_the_gate() -> None:
    """Its gradient makes the expert that gets everything less likely."""
    layer = MixtureOfExperts(6, 3, 1, hidden=2, balance="auxiliary", seed=2)
    layer.build()
    layer.gate_bias.assign([1.0, 0.0, 0.0])
    layer.gate_kernel.assign(0.01 * layer.gate_kernel.value)
    with tf.GradientTape() as tape:
        loss = layer.mix(TOKENS, training=True)[1].balance_loss
    gradient = tape.gradient(loss, layer.gate_bias.value).numpy()
    assert gradient[0] > 0
    assert (gradient[1:] < 0).all()


def test_inference_counts_nothing_and_an_idle_epoch_keeps_the_shares() -> None:
    layer = mixture(balance="usage")
    layer(TOKENS)
    assert not np.asarray(layer.balance.counts).any()
    layer(TOKENS, training=True)
    layer.balance.finish_epoch()
    shares = layer.balance.shares.numpy()
    layer.balance.finish_epoch()
    np.testing.assert_array_equal(layer.balance.shares.numpy(), shares)


def test_unknown_balancing() -> None:
    with pytest.raises(ConfigError, match="Unknown balancing `biass`"):
        MixtureOfExperts(6, 5, 2, balance="biass")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "sigmiod"}, "Did you mean `sigmoid`?"),
        ({"dispatch": "dens"}, "Did you mean `dense`?"),
        ({"active": 6}, "`active=6` experts of 5 that can be selected"),
        ({"active": 0}, "`active=0` experts"),
        ({"groups": 2}, "`groups=2` does not divide `experts=5`"),
        ({"groups": 5, "active_groups": 1}, "`active=2` experts of 1 that can be selected"),
        ({"active_groups": 0}, "`active_groups=0` leaves no expert"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MixtureOfExperts(**{"dim": 6, "experts": 5, "active": 2, **arguments})
    assert message in str(caught.value)


@pytest.mark.parametrize("dispatch", ["sparse", "dense"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_16_bits(policy: str, dispatch: str) -> None:
    """The gate stays float32: the same experts, nearly the same outputs and gradients."""
    whole = mixture(dispatch=dispatch)
    half = MixtureOfExperts(6, 5, 2, hidden=7, seed=3, dispatch=dispatch, dtype=policy)
    half.build()
    half.set_weights(whole.get_weights())
    rounded = tf.cast(tf.cast(TOKENS, half.compute_dtype), tf.float32)
    found, gradients = [], []
    for layer in (whole, half):
        with tf.GradientTape() as tape:
            outputs = layer(rounded, training=True)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) * tf.sin(tf.range(6.0)))
        found.append(outputs)
        gradients.append(tape.gradient(total, [weight.value for weight in layer.trainable_weights]))
    assert found[1].dtype == half.compute_dtype
    np.testing.assert_array_equal(half.balance.counts, whole.balance.counts)
    np.testing.assert_array_equal(half.balance.average, whole.balance.average)
    scale = np.abs(found[0]).max()
    np.testing.assert_allclose(tf.cast(found[1], tf.float32), found[0], atol=0.03 * scale)
    for weight, mine, theirs in zip(whole.trainable_weights, *gradients, strict=True):
        assert theirs.dtype == tf.float32
        np.testing.assert_allclose(theirs, mine, atol=0.05 * np.abs(mine).max() + 1e-6, err_msg=weight.path)


def test_keras_is_told_that_xla_cannot_compile_it() -> None:
    inputs = keras.Input([6])
    model = keras.Model(inputs, MixtureOfExperts(6, 4, 2, hidden=5)(inputs))
    model.compile(optimizer="sgd", loss="mse")
    assert not model.jit_compile
    assert np.isfinite(model.fit(TOKENS, TOKENS, verbose=0).history["loss"]).all()
