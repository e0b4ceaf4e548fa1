"""The long-term interest model by itself: what its vectors may depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.harness.behavior_shop import TINY_MODEL
from tests.sequence_batches import make_batch
from tfrec.config.long_term_interest_config import LongTermInterestConfig
from tfrec.models.long_term_interest import LongTermInterest


def tiny_model(**settings: Any) -> LongTermInterest:
    config = LongTermInterestConfig(**{**TINY_MODEL, **settings})
    return LongTermInterest(config, 40, event_features={"behavior_type": [1, 4, 3]}, period=(0, 10**9), seed=1)


def batch_of(lengths: list[int]) -> dict[str, tf.Tensor]:
    """Histories of the items 2, 3, 4 ..., seven hours apart, whose last event is the target."""
    batch = make_batch([list(range(2, 2 + length)) for length in lengths], [1] * len(lengths))
    batch["timestamp"] = tf.cast(batch["item"], tf.int64) * 7 * 3_600_000
    batch["behavior_type"] = batch["item"] % 3 + 2
    return batch


@pytest.mark.parametrize("use_mask", [True, False])
@pytest.mark.parametrize("readout", ["cls", "mean"])
def test_a_vector_depends_on_its_own_user_alone(use_mask: bool, readout: str) -> None:
    """Beside a longer history it is the same, and it is that of a window as wide as in training."""
    model = tiny_model(use_mask=use_mask, readout=readout)
    batch = batch_of([5])
    alone = model.encode_targets(batch)[0]
    np.testing.assert_allclose(model.encode_targets(batch_of([5, 14]))[0], alone, atol=1e-5)
    wide = {name: tf.pad(batch[name][:, :4], [[0, 0], [0, 8]]) for name in ("item", "timestamp", "behavior_type")}
    trained, _ = model.encode_window("long", {**wide, "length": tf.constant([4])})
    np.testing.assert_allclose(trained[0], alone, atol=1e-5)


@pytest.mark.parametrize("use_mask", [True, False])
def test_the_vector_of_an_item_is_that_of_a_window_as_in_training(use_mask: bool) -> None:
    model = tiny_model(use_mask=use_mask, readout="mean")
    event = {"item": tf.constant([[7]]), "timestamp": tf.constant([[10**9]], tf.int64)}
    event["behavior_type"] = tf.constant([[2]])
    wide = {name: tf.pad(value, [[0, 0], [0, 3]]) for name, value in event.items()}
    trained, _ = model.encode_window("short", {**wide, "length": tf.constant([1])})
    np.testing.assert_allclose(model.lookup_items(tf.constant([7]))[0], trained, atol=1e-5)
    np.testing.assert_allclose(model.item_table()[0][7], trained[0], atol=1e-5)
