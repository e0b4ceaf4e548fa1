"""Histories as models read them, by hand."""

from __future__ import annotations

import tensorflow as tf

from tests.sequence_batches import make_batch
from tfrec.models.history_batch import history_batch


def test_rows_of_all_kinds() -> None:
    items = tf.constant([[5, 6, 7, 8], [5, 9, 9, 9], [1, 1, 3, 9], [9, 9, 9, 9]])  # what is beyond the length: anything
    times = tf.constant([[10, 20, 30, 40], [50, 0, 0, 0], [60, 70, 80, 0], [1, 2, 3, 4]], tf.int64)
    batch, cold = history_batch(
        items, tf.constant([4, 1, 2, 0]), window=3, timestamps=times, users=tf.constant([2, 3, 4, 1])
    )
    assert {name: value.numpy().tolist() for name, value in batch.items()} == {
        "item": [[6, 7, 8, 0], [5, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]],
        "timestamp": [[20, 30, 40, 40], [50, 50, 50, 50], [60, 70, 70, 70], [0, 0, 0, 0]],
        "length": [4, 2, 3, 2],
        "num_targets": [1, 1, 1, 1],
        "user": [2, 3, 4, 1],
    }
    assert cold.numpy().tolist() == [False, False, True, True]


def test_the_time_of_the_request_is_that_of_the_target() -> None:
    times = tf.constant([[10, 20], [30, 40], [50, 60]], tf.int64)
    batch, _ = history_batch(
        tf.constant([[5, 6]] * 3),
        tf.constant([2, 1, 2]),
        window=2,
        timestamps=times,
        request_time=tf.constant([90, 70, 0], tf.int64),
    )
    assert batch["timestamp"].numpy().tolist() == [[10, 20, 90], [30, 70, 70], [50, 60, 60]]


def test_no_events_at_all() -> None:
    batch, cold = history_batch(tf.zeros([2, 0], tf.int32), tf.constant([0, 5]), window=3)
    assert batch["item"].numpy().tolist() == [[1, 0], [1, 0]]
    assert (batch["length"].numpy().tolist(), cold.numpy().tolist()) == ([2, 2], [True, True])


def test_a_window_without_known_items_is_cold() -> None:
    _, cold = history_batch(tf.constant([[5, 1, 1]]), tf.constant([3]), window=2)
    assert cold.numpy().tolist() == [True]


def test_a_batch_is_what_the_pipeline_would_yield() -> None:
    batch, _ = history_batch(tf.constant([[5, 6], [7, 0]]), tf.constant([2, 1]), window=10)
    expected = make_batch([[5, 6, 0], [7, 0]], [1, 1])
    for name in ("item", "length", "num_targets"):
        assert batch[name].numpy().tolist() == expected[name].numpy().tolist()
