"""The exact index against numpy: order, ties, exclusions, allow-lists, odd sizes, saving."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.oracles.top_k import best_items
from tfrec.errors import ConfigError
from tfrec.serving.index.exact_index import ExactIndex

_SIGNATURE = [
    tf.TensorSpec([None, None], tf.float32),
    tf.TensorSpec([], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
    tf.TensorSpec([None, None], tf.int32),
    tf.TensorSpec([None], tf.bool),
]


def _whole_numbers(generator, shape, levels=3):
    """Small whole numbers: their inner products are exact in any order of summation, and many are equal."""
    return generator.integers(-levels, levels + 1, shape).astype(np.float32)


def _assert_same(found, expected):
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.parametrize("vocab", [3, 129, 130, 257, 1024, 5000])
@pytest.mark.parametrize("with_bias", [False, True])
def test_equals_numpy_with_many_ties(vocab, with_bias):
    generator = np.random.default_rng(vocab)
    vectors = _whole_numbers(generator, (vocab, 5))
    bias = _whole_numbers(generator, vocab) if with_bias else None
    queries = _whole_numbers(generator, (4, 5))
    scores = queries @ vectors.T + (0 if bias is None else bias)
    index = ExactIndex(vectors, bias, chunk=1024)
    assert index.num_items == vocab - 2
    for k in (0, 1, 3, 50, vocab + 7):
        _assert_same(index.search(tf.constant(queries), k), best_items(scores, k))


@functools.cache
def _searcher(vocab, equal_rows):
    """Vectors, biases and a traced search; made once, since tracing takes longer than searching."""
    generator = np.random.default_rng(vocab)
    vectors = _whole_numbers(generator, (vocab, 4))
    if equal_rows:
        vectors[:] = vectors[0]
    bias = _whole_numbers(generator, vocab)
    index = ExactIndex(vectors, bias, chunk=256)
    search = tf.function(
        lambda q, k, e, a, h: index.search(q, k, excluded=e, allowed=a, has_allowed=h), input_signature=_SIGNATURE
    )
    return vectors, bias, search


@given(
    seed=st.integers(0, 2**32 - 1),
    vocab=st.sampled_from([3, 260, 3000]),
    batch=st.sampled_from([0, 1, 3]),
    k=st.sampled_from([0, 1, 10, 200]),
    num_excluded=st.sampled_from([0, 1, 12]),
    num_allowed=st.sampled_from([0, 1, 12]),
    equal_rows=st.booleans(),
)
@settings(max_examples=60, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
def test_filters_equal_numpy(seed, vocab, batch, k, num_excluded, num_allowed, equal_rows):
    vectors, bias, search = _searcher(vocab, equal_rows)
    generator = np.random.default_rng(seed)
    queries = _whole_numbers(generator, (batch, 4))
    # Around the ends of the vocabulary, with padding, repetitions and numbers that are no items.
    excluded = generator.integers(-1, min(vocab + 2, 30), (batch, num_excluded)).astype(np.int32)
    allowed = generator.integers(-1, vocab + 2, (batch, num_allowed)).astype(np.int32)
    has_allowed = generator.random(batch) < 0.5
    expected = best_items(queries @ vectors.T + bias, k, excluded, allowed, has_allowed)
    _assert_same(search(queries, k, excluded, allowed, has_allowed), expected)


def test_scores_are_inner_products_plus_bias():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((4000, 64), np.float32)
    bias = generator.standard_normal(4000, np.float32)
    queries = generator.standard_normal((3, 64), np.float32)
    scores, items = ExactIndex(vectors, bias, chunk=512).search(tf.constant(queries), 100)
    exact = queries.astype(np.float64) @ vectors.T.astype(np.float64) + bias
    np.testing.assert_allclose(scores, np.take_along_axis(exact, items.numpy(), axis=1), atol=1e-5)
    exact[:, :2] = -np.inf
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :100], atol=1e-5)


def test_a_table_without_the_reserved_rows():
    generator = np.random.default_rng(0)
    vectors = _whole_numbers(generator, (700, 4))
    queries = tf.constant(_whole_numbers(generator, (2, 4)))
    whole = ExactIndex(vectors, chunk=256).search(queries, 30)
    for first in (1, 2):
        part = ExactIndex(vectors[first:], first_index=first, chunk=256)
        assert part.num_items == 698
        _assert_same(part.search(queries, 30), (whole[0].numpy(), whole[1].numpy()))
        np.testing.assert_array_equal(part.vectors_of(tf.constant([2, 699])), vectors[[2, 699]])


def test_excluding_all_items_leaves_nothing():
    index = ExactIndex(np.ones((5, 2), np.float32))
    scores, items = index.search(tf.ones([1, 2]), 10, excluded=tf.constant([[4, 3, 2, 3, 0]]))
    assert items.numpy().tolist() == [[0, 0, 0]]
    assert scores.numpy().tolist() == [[-np.inf] * 3]


def test_large_batches_are_searched_in_groups():
    generator = np.random.default_rng(0)
    vectors = _whole_numbers(generator, (3000, 4))
    queries = _whole_numbers(generator, (600, 4))
    allowed = generator.integers(2, 3000, (600, 6)).astype(np.int32)
    index = ExactIndex(vectors)
    scores = queries @ vectors.T
    _assert_same(index.search(tf.constant(queries), 5), best_items(scores, 5))
    found = index.search(tf.constant(queries), 5, allowed=tf.constant(allowed))
    _assert_same(found, best_items(scores, 5, allowed=allowed))


def test_memory_does_not_grow_with_the_number_of_chunks():
    """The best 2,000 of each of 49 chunks take 50 MB for 64 queries, and again when they are put side by side."""
    peak, forget = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not os.access(forget, os.W_OK):
        pytest.skip("the peak of memory cannot be measured")
    vectors = np.random.default_rng(0).standard_normal((100_002, 2)).astype(np.float32)
    index = ExactIndex(vectors, chunk=2048)
    search = tf.function(index.search)
    queries = tf.constant(vectors[:64])
    search(queries, tf.constant(1))

    def kilobytes():
        return int(next(line for line in peak.read_text().splitlines() if line.startswith("VmHWM")).split()[1])

    forget.write_text("5")  # the peak is now what is in use
    before = kilobytes()
    scores, _ = search(queries, tf.constant(2000))
    assert kilobytes() - before < 40_000
    best = -np.sort(-(queries[:2] @ vectors[2:].T), axis=1)[:, :2000]
    np.testing.assert_allclose(scores[:2], best, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_with_an_unknown_batch_size(tmp_path):
    generator = np.random.default_rng(0)
    vectors = _whole_numbers(generator, (1500, 4))
    queries = _whole_numbers(generator, (3, 4))
    module = tf.Module()
    module.index = ExactIndex(vectors, _whole_numbers(generator, 1500), chunk=256)
    module.search = tf.function(
        lambda q, k, e, a, h: module.index.search(q, k, excluded=e, allowed=a, has_allowed=h),
        input_signature=_SIGNATURE,
    )
    lists = np.array([[5, 6], [7, 8], [0, 0]], np.int32)
    arguments = (10, lists, lists[::-1].copy(), np.array([True, False, True]))
    expected = [part.numpy() for part in module.search(queries, *arguments)]
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    _assert_same(loaded.search(queries, *arguments), expected)
    single = (10, lists[:1], lists[:1, :0], np.array([False]))
    _assert_same(loaded.search(queries[:1], *single), [part.numpy() for part in module.search(queries[:1], *single)])


@pytest.mark.parametrize(
    ("vectors", "bias", "first", "message"),
    [
        (np.zeros((2, 4)), None, 0, "no item"),
        (np.zeros(4), None, 0, r"shape \(4,\)"),
        (np.zeros((5, 4)), np.zeros(4), 0, r"`bias` has the shape \(4,\)"),
        (np.array([[0.0], [0.0], [np.nan], [np.inf]]), None, 0, "not finite, the first in row 2"),
        (np.zeros((5, 4)), None, 3, "`first_index` is 3"),
    ],
)
def test_what_cannot_be_searched_is_refused(vectors, bias, first, message):
    with pytest.raises(ConfigError, match=message):
        ExactIndex(vectors, bias, first_index=first)
