"""The IVF index: exact with all clusters visited, exact scores always, good recall on groups, saving."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.oracles.top_k import best_items
from tfrec.config.index_config import IndexConfig
from tfrec.errors import ConfigError
from tfrec.serving.index.build import build_index
from tfrec.serving.index.exact_index import ExactIndex
from tfrec.serving.index.ivf_index import IVFIndex

_SIGNATURE = [
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
    tf.TensorSpec([None], tf.bool),
]


def _whole_numbers(generator, shape, levels=3):
    return generator.integers(-levels, levels + 1, shape).astype(np.float32)


def _groups(generator, num_items, num_groups, dim, spread):
    """Vectors around some points, and queries drawn in the same way."""
    centres = generator.standard_normal((num_groups, dim))
    drawn = centres[generator.integers(0, num_groups, num_items + 60)]
    drawn = (drawn + spread * generator.standard_normal(drawn.shape)).astype(np.float32)
    return drawn[:num_items], drawn[num_items:]


def _search(index, queries, k):
    """Searches in a graph: outside of one, a loop over queries is slow."""
    return tuple(part.numpy() for part in tf.function(index.search)(tf.constant(queries), tf.constant(k)))


def _recall(found, expected):
    return np.mean([len(set(row) & set(other)) / len(other) for row, other in zip(found, expected, strict=True)])


@functools.cache
def _searcher(vocab, equal_rows):
    """Vectors, biases and a traced search among all clusters."""
    generator = np.random.default_rng(vocab)
    vectors = _whole_numbers(generator, (vocab, 4))
    if equal_rows:
        vectors[:] = vectors[0]
    bias = _whole_numbers(generator, vocab)
    index = IVFIndex(vectors, bias, num_clusters=min(6, vocab - 2), num_probes=6)
    search = tf.function(
        lambda q, k, e, a, h: index.search(q, k, excluded=e, allowed=a, has_allowed=h), input_signature=_SIGNATURE
    )
    return vectors, bias, search


@given(
    seed=st.integers(0, 2**32 - 1),
    vocab=st.sampled_from([3, 300]),
    batch=st.sampled_from([0, 1, 3]),
    k=st.sampled_from([0, 1, 10, 200]),
    num_excluded=st.sampled_from([0, 1, 12]),
    num_allowed=st.sampled_from([0, 1, 12]),
    equal_rows=st.booleans(),
)
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_visiting_all_clusters_equals_numpy(seed, vocab, batch, k, num_excluded, num_allowed, equal_rows):
    vectors, bias, search = _searcher(vocab, equal_rows)
    generator = np.random.default_rng(seed)
    queries = _whole_numbers(generator, (batch, 4))
    excluded = generator.integers(-1, min(vocab + 2, 30), (batch, num_excluded)).astype(np.int32)
    allowed = generator.integers(-1, vocab + 2, (batch, num_allowed)).astype(np.int32)
    has_allowed = generator.random(batch) < 0.5
    expected = best_items(queries @ vectors.T + bias, k, excluded, allowed, has_allowed)
    found = search(queries, k, excluded, allowed, has_allowed)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("with_bias", [False, True])
def test_recall_on_groups_and_exact_scores(with_bias):
    generator = np.random.default_rng(0)
    vectors, queries = _groups(generator, 20_000, 300, 16, 0.3)
    # Larger than what inner products differ by: without regard to the bias, most of the best would be missed.
    bias = (6.0 * generator.standard_normal(len(vectors))).astype(np.float32) if with_bias else None
    index = IVFIndex(vectors, bias)
    assert (index.num_clusters, index.num_probes, index.num_items) == (141, 8, 19_998)
    scores, items = _search(index, queries, 10)
    exact = queries @ vectors.T + (0 if bias is None else bias)
    np.testing.assert_allclose(scores, np.take_along_axis(exact, items, axis=1), atol=1e-4)
    expected = best_items(exact, 10)[1]
    assert _recall(items, expected) >= 0.95


def test_more_probes_find_more_and_all_find_all():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((5000, 16), np.float32)
    queries = generator.standard_normal((100, 16), np.float32)
    expected = best_items(queries @ vectors.T, 10)[1]
    recalls = [
        _recall(_search(IVFIndex(vectors, num_clusters=32, num_probes=probes, iterations=3), queries, 10)[1], expected)
        for probes in (1, 8, 32)
    ]
    assert recalls[0] < recalls[1] < recalls[2] == 1.0


def test_vectors_and_biases_are_looked_up_by_item_index():
    generator = np.random.default_rng(0)
    vectors, bias = generator.standard_normal((300, 4), np.float32), generator.standard_normal(300, np.float32)
    indices = np.array([[0, 1, 2], [299, 150, 2]])
    for first in (0, 1, 2):
        index = IVFIndex(vectors, bias, first_index=first)
        assert index.num_items == 298 + first
        np.testing.assert_array_equal(index.vectors_of(tf.constant(indices + first)), vectors[indices])
        np.testing.assert_array_equal(index.bias_of(tf.constant(indices + first)), bias[indices])


def test_further_clusters_are_visited_until_there_are_enough_items():
    vectors = np.zeros((17, 2), np.float32)
    vectors[2:7] = [0.0, 5.0]
    vectors[7:12] = [5.0, 0.0]
    vectors[12:] = [-5.0, -5.0]
    index = IVFIndex(vectors, num_clusters=3, num_probes=1)
    queries = tf.constant([[0.0, 1.0], [1.0, 0.5]])
    best, second, worst = list(range(2, 7)), list(range(7, 12)), list(range(12, 17))
    scores, items = index.search(queries, 8)
    assert items.numpy().tolist() == [[*best, *second[:3]], [*second, *best[:3]]]
    assert scores.numpy().tolist() == [[5.0] * 5 + [0.0] * 3, [5.0] * 5 + [2.5] * 3]
    assert index.search(queries, 5)[1].numpy().tolist() == [best, second]  # one cluster is enough
    everything = index.search(queries[:1], 99)[1].numpy().tolist()
    assert everything == [[*best, *second, *worst]]
    without = tf.constant([[*second[:4], 0], best], tf.int32)  # lists are full also when items are excluded
    found = index.search(queries, 5, excluded=without)[1].numpy().tolist()
    assert found == [best, second]
    found = index.search(queries, 7, excluded=without)[1].numpy().tolist()
    assert found == [[*best, second[4], worst[0]], [*second, *worst[:2]]]


def test_lists_are_full_whatever_the_clusters():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((2002, 16), np.float32)
    queries = generator.standard_normal((4, 16), np.float32)
    _, items = _search(IVFIndex(vectors), queries, 500)
    assert [len(set(row)) for row in items.tolist()] == [500] * 4
    assert items.min() >= 2


def test_saved_and_loaded_with_an_unknown_batch_size(tmp_path):
    generator = np.random.default_rng(0)
    vectors = _whole_numbers(generator, (1500, 4))
    queries = _whole_numbers(generator, (3, 4))
    module = tf.Module()
    module.index = IVFIndex(vectors, _whole_numbers(generator, 1500))
    module.search = tf.function(
        lambda q, k, e, a, h: module.index.search(q, k, excluded=e, allowed=a, has_allowed=h),
        input_signature=_SIGNATURE,
    )
    lists = np.array([[5, 6], [7, 8], [0, 0]], np.int32)
    arguments = (10, lists, lists[::-1].copy(), np.array([True, False, True]))
    expected = [part.numpy() for part in module.search(queries, *arguments)]
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    found = loaded.search(queries, *arguments)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_scann_gets_its_settings(monkeypatch):
    made = []
    monkeypatch.setattr("tfrec.serving.index.build.ScannIndex", lambda *_, **settings: made.append(settings))
    build_index("scann", np.zeros((9, 2)), settings=IndexConfig(kind="scann", num_clusters=5, num_probes=3))
    assert made == [{"first_index": 0, "num_leaves": 5, "num_probes": 3}]


def test_built_by_name():
    vectors = np.random.default_rng(0).standard_normal((100, 4), np.float32)
    index = build_index("ivf", vectors, None, IndexConfig(num_clusters=5, num_probes=2))
    assert isinstance(index, IVFIndex)
    assert (index.num_clusters, index.num_probes) == (5, 2)
    assert isinstance(build_index("exact", vectors), ExactIndex)
    with pytest.raises(ConfigError, match="Did you mean `exact`"):
        build_index("exat", vectors)
    with pytest.raises(ConfigError, match="`num_clusters` is 99"):
        IVFIndex(vectors, num_clusters=99)
    with pytest.raises(ConfigError, match="`num_probes` is 0"):
        IVFIndex(vectors, num_probes=0)
