from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfrec.evaluation.top_columns import column_blocks, top_columns


def expected(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best by a stable sort of everything: equal scores keep the order of their columns."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), -1, order)


# 60 columns are one block, 700 are 11: with k = 5 only the best blocks are searched, with k = 6 all.
@pytest.mark.parametrize(("columns", "k"), [(60, 5), (64, 20), (65, 65), (700, 5), (700, 6), (1500, 11)])
@pytest.mark.parametrize("levels", [2, 7, 10_000])
def test_equals_a_stable_sort(columns: int, k: int, levels: int) -> None:
    rng = np.random.default_rng(columns + k)
    scores = rng.integers(0, levels, (40, columns)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    scores[0], scores[1, 3:] = -np.inf, -np.inf
    np.testing.assert_array_equal(top_columns(column_blocks(tf.constant(scores)), k), expected(scores, k))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 500), k=st.integers(1, 4))
def test_equals_a_stable_sort_on_any_case(seed: int, columns: int, k: int) -> None:
    scores = np.random.default_rng(seed).integers(0, 3, (3, columns)).astype(np.float32)
    k = min(k, columns)
    np.testing.assert_array_equal(top_columns(column_blocks(tf.constant(scores)), k), expected(scores, k))


def test_no_list_is_an_empty_one() -> None:
    assert top_columns(column_blocks(tf.zeros([3, 5])), 0).shape == (3, 0)
