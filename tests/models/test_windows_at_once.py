"""Sequences with very many targets are encoded piece by piece."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.evaluation.compiled_method import compiled_method
from tfrec.models.sasrec import SASRec
from tfrec.models.sequence_encoder import WINDOWS_AT_ONCE

VOCAB = 30


@pytest.fixture
def model() -> SASRec:
    return SASRec(SASRecConfig(dim=4, blocks=1, heads=1, max_length=5, init_stddev=0.5), VOCAB, seed=1)


def sequences(count: int, length: int) -> list[list[int]]:
    return np.random.default_rng(count).integers(2, VOCAB, size=(count, length)).tolist()


def test_no_more_windows_than_fit_at_a_time(model: SASRec, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    encode = SASRec.encode_window

    def spy(self: SASRec, items: tf.Tensor, length: tf.Tensor, **settings: object) -> tf.Tensor:
        sizes.append(int(items.shape[0]))
        return encode(self, items, length, **settings)

    monkeypatch.setattr(SASRec, "encode_window", spy)
    states = model.encode_targets(make_batch(sequences(40, 33)))
    assert sizes == [WINDOWS_AT_ONCE, WINDOWS_AT_ONCE, 40 * 32 - 2 * WINDOWS_AT_ONCE]
    assert states.shape == (40 * 32, 4)


def test_states_do_not_depend_on_what_else_is_in_the_batch(model: SASRec) -> None:
    many = sequences(40, 33)
    encode = compiled_method(model, "encode_targets")
    together = encode(make_batch(many)).numpy().reshape(40, 32, 4)
    for row in (0, 15, 16, 31, 32, 39):  # targets 512 and 1024 start new pieces
        np.testing.assert_allclose(together[row], encode(make_batch([many[row]])), atol=1e-6)


def test_a_batch_without_targets_has_no_states(model: SASRec) -> None:
    batch = {**make_batch([[2, 3]]), "num_targets": tf.constant([0])}
    assert model.encode_targets(batch).shape == (0, 4)
    assert compiled_method(model, "encode_targets")(batch).shape == (0, 4)
