"""Draws of every sampler have the probabilities that it gives for them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.errors import DataError
from tfrec.sampling.in_batch_sampler import InBatchSampler
from tfrec.sampling.mixed_sampler import MixedSampler
from tfrec.sampling.negative_sampler import NEVER, NegativeSampler
from tfrec.sampling.popularity_sampler import PopularitySampler
from tfrec.sampling.uniform_sampler import UniformSampler

COUNT_LISTS = st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any)
SEEDS = st.integers(0, 2**31 - 1)
DRAWS = 20_000


def check_frequencies(drawn: np.ndarray, log_q: np.ndarray, probabilities: np.ndarray) -> None:
    """Counts within 5 standard deviations (plus 3 draws, for rare ids) of their expectations; log_q agrees."""
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-4)
    np.testing.assert_allclose(np.exp(log_q), probabilities[drawn], rtol=1e-5)
    found = np.bincount(drawn, minlength=len(probabilities))
    deviation = np.sqrt(drawn.size * probabilities * (1.0 - np.minimum(probabilities, 1.0)))
    assert (np.abs(found - drawn.size * probabilities) <= 5.0 * deviation + 3.0).all()


def probabilities_of(sampler: NegativeSampler, vocab_size: int, targets: tf.Tensor) -> np.ndarray:
    return np.exp(sampler.log_probability(tf.range(2, vocab_size), targets).numpy().astype(np.float64))


@settings(max_examples=25, deadline=None)
@given(COUNT_LISTS, st.sampled_from([0.0, 0.5, 0.75, 1.0, 2.0]), SEEDS)
def test_popularity(counts: list[int], alpha: float, seed: int) -> None:
    sampler, none = PopularitySampler(np.array([0, 0, *counts]), alpha), tf.zeros([0], tf.int32)
    drawn, log_q = sampler.draw((DRAWS,), tf.constant([seed, 3]), none)
    check_frequencies(drawn.numpy() - 2, log_q.numpy(), probabilities_of(sampler, 2 + len(counts), none))


@settings(max_examples=10, deadline=None)
@given(st.integers(3, 60), SEEDS)
def test_uniform(vocab_size: int, seed: int) -> None:
    sampler, none = UniformSampler(vocab_size), tf.zeros([0], tf.int32)
    drawn, log_q = sampler.draw((DRAWS,), tf.constant([seed, 3]), none)
    check_frequencies(drawn.numpy() - 2, log_q.numpy(), probabilities_of(sampler, vocab_size, none))


@settings(max_examples=10, deadline=None)
@given(COUNT_LISTS, SEEDS)
def test_in_batch(counts: list[int], seed: int) -> None:
    """Targets that occur as in the training split."""
    every = np.array([0, 0, *counts])
    targets = PopularitySampler(every, 1.0).sample((DRAWS,), tf.constant([seed, 4]))
    sampler = InBatchSampler(every)
    drawn, log_q = sampler.draw((0,), tf.constant([0, 0]), targets)
    check_frequencies(drawn.numpy() - 2, log_q.numpy(), probabilities_of(sampler, len(every), targets))


@settings(max_examples=10, deadline=None)
@given(COUNT_LISTS, SEEDS)
def test_mixed(counts: list[int], seed: int) -> None:
    """Half of the draws are targets, half uniform."""
    every, half = np.array([0, 0, *counts]), DRAWS // 2
    targets = PopularitySampler(every, 1.0).sample((half,), tf.constant([seed, 4]))
    sampler = MixedSampler(InBatchSampler(every), UniformSampler(len(every)), half)
    drawn, log_q = sampler.draw((half,), tf.constant([seed, 5]), targets)
    assert drawn.shape == (DRAWS,)
    check_frequencies(drawn.numpy() - 2, log_q.numpy(), probabilities_of(sampler, len(every), targets))


def test_mixture_by_hand() -> None:
    """3 targets of which 2 are others, 4 uniform draws over 2 items: item 2 has (2 * 3/4 + 4 * 1/2) / 6 = 7/12."""
    sampler = MixedSampler(InBatchSampler(np.array([0, 0, 3, 1])), UniformSampler(4), 4)
    found = sampler.log_probability(tf.constant([2, 3]), tf.constant([2, 2, 3]))
    np.testing.assert_allclose(np.exp(found), [7 / 12, 5 / 12], rtol=1e-6)


def test_items_that_cannot_be_drawn() -> None:
    none = tf.zeros([0], tf.int32)
    for sampler in (PopularitySampler(np.array([0, 0, 5, 0]), 0.0), InBatchSampler(np.array([0, 0, 5, 0]))):
        np.testing.assert_allclose(sampler.log_probability(tf.constant([2, 3]), none), [0.0, NEVER])


def test_nothing_to_draw() -> None:
    with pytest.raises(DataError, match="no item"):
        UniformSampler(2)
    with pytest.raises(DataError, match="positive count"):
        InBatchSampler(np.zeros(4))
