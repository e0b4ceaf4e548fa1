"""SiLU attention in blocks is the same as all at once, forward and backward, and holds no square of a long row."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.layers import relative_bias
from tfrec.layers import silu_attention as module
from tfrec.layers.relative_bias import TIME_BUCKETS, RelativeBias, time_buckets
from tfrec.layers.silu_attention import silu_attention

BATCH, HEADS, SEQ, KEYS, VALUES = 5, 2, 11, 3, 4


def plain(parts: list[tf.Tensor], divisor: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """The definition, all at once, with the gradients of TensorFlow."""
    query, key, value, by_distance, by_time = parts
    scores = tf.einsum("bhik,bhjk->bhij", query, key)
    place = np.arange(SEQ)
    apart = np.maximum(place[:, np.newaxis] - place, 0)
    seconds = np.maximum(np.abs(times[:, 1:, np.newaxis] - times[:, np.newaxis, :-1]) / 1000, 1)
    bucket = np.minimum(np.floor(np.log(seconds) / 0.301), 128).astype(int)
    scores += (tf.gather(by_distance, apart) + tf.gather(by_time, bucket))[:, np.newaxis]
    weights = scores / (1 + tf.exp(-scores)) * np.tri(SEQ) / divisor[:, np.newaxis]
    return tf.einsum("bhij,bhjk->bhik", weights, value)


@pytest.mark.parametrize(
    ("block", "piece", "kept"), [(1 << 20, 128, 1 << 20), (200, 128, 0), (1, 4, 1 << 20), (1, 4, 0)]
)
def test_the_definition(block: int, piece: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_SCORES", block)
    monkeypatch.setattr(module, "_PIECE", piece)
    monkeypatch.setattr(relative_bias, "KEPT_PAIRS", kept)
    random = np.random.default_rng(0)
    shapes = [(BATCH, HEADS, SEQ, KEYS)] * 2 + [(BATCH, HEADS, SEQ, VALUES), (SEQ,), (TIME_BUCKETS,)]
    parts = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
    times = np.cumsum(random.integers(0, 10**9, (BATCH, SEQ + 1)), axis=1)
    divisor = tf.constant(random.uniform(1, 9, SEQ), tf.float32)
    weight = tf.constant(random.normal(size=shapes[2]), tf.float32)

    @tf.function
    def blocked(parts: list[tf.Tensor]) -> tf.Tensor:
        bias = RelativeBias(parts[3], parts[4])
        now, after = tf.constant(times[:, :-1]), tf.constant(times[:, 1:])
        return silu_attention(*parts[:3], bias, divisor, time=now, next_time=after)

    results = []
    for function in (blocked, lambda parts: plain(parts, divisor, times)):
        with tf.GradientTape() as tape:
            tape.watch(parts)
            found = function(parts)
            loss = tf.reduce_sum(found * weight)
        results.append([found, *map(tf.convert_to_tensor, tape.gradient(loss, parts))])
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_allclose(mine, expected, atol=2e-4, rtol=1e-4)


def test_no_product_of_a_long_row_is_square(monkeypatch: pytest.MonkeyPatch) -> None:
    length = 2000
    monkeypatch.setattr(relative_bias, "KEPT_PAIRS", 0)
    sizes: list[int] = []
    product = tf.matmul

    def spy(*inputs: tf.Tensor, **settings: bool) -> tf.Tensor:
        found = product(*inputs, **settings)
        sizes.append(int(tf.size(found)))
        return found

    monkeypatch.setattr(tf, "matmul", spy)
    parts = [tf.random.stateless_normal([1, 1, length, 2], [0, number]) for number in range(3)]
    bias = RelativeBias(tf.zeros([length]), tf.zeros([TIME_BUCKETS]))
    times = tf.range(length, dtype=tf.int64)[tf.newaxis]
    with tf.GradientTape() as tape:
        tape.watch(parts)
        found = silu_attention(*parts, bias, tf.ones([length]), time=times, next_time=times)
        tape.gradient(found, parts)
    assert len(sizes) > 2 * length / module._PIECE  # forward and backward
    assert max(sizes) <= module._PIECE * length


def test_buckets_of_time() -> None:
    seconds = [0, 1, 60, 3600, 86_400, 30 * 86_400, 10**14]
    found = time_buckets(tf.constant([[s * 1000 for s in seconds]], tf.int64), tf.constant([[0]], tf.int64))
    assert found.numpy()[0, :, 0].tolist() == [0, 0, 13, 27, 37, 49, 107]
    # The distance counts, whichever comes first.
    assert time_buckets(tf.constant([[0]], tf.int64), tf.constant([[60_000]], tf.int64)).numpy().tolist() == [[[13]]]
