"""Where predictions are made and what they should be."""

from __future__ import annotations

import tensorflow as tf

from tfrec.data.targets import target_positions


def test_row_major_order_and_only_trailing_targets():
    batch = {
        "item": tf.constant([[5, 6, 7, 8], [9, 4, 0, 0], [3, 2, 6, 0]], tf.int32),
        "length": tf.constant([4, 2, 3], tf.int32),
        "num_targets": tf.constant([2, 1, 2], tf.int32),
    }
    query_index, target = target_positions(batch)
    # Row 0 predicts positions 2 and 3 from 1 and 2; row 1 position 1 from 0; row 2 positions 1 and 2 from 0 and 1.
    assert query_index.numpy().tolist() == [[0, 1], [0, 2], [1, 0], [2, 0], [2, 1]]
    assert target.numpy().tolist() == [7, 8, 4, 2, 6]
    assert query_index.dtype == target.dtype == tf.int32


def test_the_first_event_is_never_a_target():
    batch = {"item": tf.constant([[5, 6]]), "length": tf.constant([2]), "num_targets": tf.constant([2])}
    query_index, target = target_positions(batch)
    assert query_index.numpy().tolist() == [[0, 0]]
    assert target.numpy().tolist() == [6]


def test_rows_without_targets_and_graph_mode():
    batch = {"item": tf.constant([[5, 6], [7, 8]]), "length": tf.constant([2, 2]), "num_targets": tf.constant([0, 1])}
    query_index, target = tf.function(target_positions)(batch)
    assert query_index.numpy().tolist() == [[1, 0]]
    assert target.numpy().tolist() == [8]
