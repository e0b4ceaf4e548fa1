"""The ScaNN index where scann is installed, and what is said where it is not."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from tests.oracles.top_k import best_items
from tfrec.errors import ConfigError
from tfrec.serving.index.build import build_index

_INSTALLED = importlib.util.find_spec("scann") is not None


@pytest.mark.skipif(_INSTALLED, reason="scann is installed")
def test_without_scann_the_error_says_what_to_do():
    with pytest.raises(ConfigError, match=r"tfrec\[scann\].*`exact` or `ivf`"):
        build_index("scann", np.ones((10, 4), np.float32))


@pytest.mark.skipif(not _INSTALLED, reason="scann is not installed (extra `scann`)")
@pytest.mark.parametrize("vocab", [50, 5000])
def test_exact_scores_and_filters(vocab):
    generator = np.random.default_rng(0)
    groups = generator.standard_normal((20, 16))
    vectors = (groups[generator.integers(0, 20, vocab)] + 0.3 * generator.standard_normal((vocab, 16))).astype("f")
    bias = generator.standard_normal(vocab).astype("f")
    queries = (groups[:8] + 0.3 * generator.standard_normal((8, 16))).astype("f")
    excluded = generator.integers(2, vocab, (8, 5)).astype(np.int32)
    index = build_index("scann", vectors, bias)
    scores, items = index.search(tf.constant(queries), 10, excluded=tf.constant(excluded))
    exact = queries @ vectors.T + bias
    np.testing.assert_allclose(scores, np.take_along_axis(exact, items.numpy(), axis=1), atol=1e-5)
    expected = best_items(exact, 10, excluded)[1]
    assert not any(set(row) & set(out) for row, out in zip(items.numpy().tolist(), excluded.tolist(), strict=True))
    hits = [len(set(row) & set(other)) for row, other in zip(items.numpy().tolist(), expected.tolist(), strict=True)]
    assert sum(hits) >= 0.9 * 80
    allowed = tf.constant(expected[:, :3])
    assert (
        index.search(tf.constant(queries), 10, allowed=allowed)[1].numpy()[:, :3].tolist() == expected[:, :3].tolist()
    )
