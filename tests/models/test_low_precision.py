"""Models in mixed precision agree with the same weights in float32, however long the history and large the values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_encoder import SequenceEncoder, unit
from tfrec.models.two_tower import TwoTower

VOCAB = 40


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_unit_vectors_of_large_and_small_numbers(dtype: str) -> None:
    """7 * 100^2 is beyond float16, 7 * (1e-4)^2 is below it; the length is sqrt(7), each entry 0.377964."""
    vectors = tf.cast([[100.0] * 7, [1e-4] * 7, [0.0] * 7], dtype)
    scaled = unit(vectors)
    assert scaled.dtype == vectors.dtype
    expected = [[0.377964] * 7, [0.377964] * 7, [0.0] * 7]
    np.testing.assert_allclose(tf.cast(scaled, tf.float32), expected, rtol=4e-3 if dtype == "bfloat16" else 1e-3)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_two_towers_over_a_long_history(precision: str, similarity: str) -> None:
    config = TwoTowerConfig(dim=8, max_length=1000, decays=[1.0, 0.99], hidden=[], similarity=similarity)
    models = [TwoTower(config, VOCAB, seed=1, dtype=dtype) for dtype in (precision, "float32")]
    for model in models:
        model.items.set_items(np.r_[0, 0, np.ones(VOCAB - 2)], {})
        model.items.ids.vectors.assign(np.random.default_rng(0).normal(100.0, 5.0, size=(VOCAB, 8)))
        for layer in model.dense:
            layer.kernel.assign(np.eye(16, 8) + np.eye(16, 8, -8))  # the sum of both means
    batch = make_batch([np.random.default_rng(1).integers(2, VOCAB, size=1001).tolist()], [1])
    low, exact = (model.encode_targets(batch).numpy() for model in models)
    np.testing.assert_allclose(low, exact, rtol=0.02)
    low, exact = (model.item_table()[0].numpy()[2:] for model in models)
    np.testing.assert_allclose(low, exact, rtol=0.02)


def small_sasrec(vocab: int) -> SASRec:
    return SASRec(SASRecConfig(dim=8, max_length=6, blocks=1), vocab, dtype="mixed_float16")


def small_two_tower(vocab: int) -> TwoTower:
    features = {
        "price": {"kind": "number", "values": 0, "width": 1},
        "text": {"kind": "vector", "values": 0, "width": 3},
    }
    return TwoTower(TwoTowerConfig(dim=8, max_length=6), vocab, features=features, dtype="mixed_float16")


@pytest.mark.parametrize("build", [small_sasrec, small_two_tower])
def test_no_table_is_cast_as_a_whole(build: Callable[[int], SequenceEncoder]) -> None:
    vocab = 100_003
    encode = tf.function(build(vocab).encode_window, autograph=False)
    graph = encode.get_concrete_function(tf.constant([[2, 3]]), tf.constant([2])).graph
    whole = [op.type for op in graph.get_operations() for out in op.outputs if vocab in (out.shape.as_list() or [])]
    assert set(whole) <= {"ReadVariableOp"}
