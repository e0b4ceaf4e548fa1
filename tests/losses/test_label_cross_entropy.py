"""Cross-entropy of labels against plain arithmetic, for scores of any size."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.losses.label_cross_entropy import label_cross_entropy


def test_loss_and_gradient() -> None:
    """Row 0 by hand: ln(1 + 2 + 5) - ln 2. The others: hopeless labels, masked columns, equal scores, one column."""
    masked = -3.4e36
    scores = np.array(
        [
            [0.0, np.log(2.0), np.log(5.0)],
            [1000.0, -1000.0, 0.0],
            [masked, 3.0, 2.0],
            [7.0, 7.0, 7.0],
            [masked, masked, -50.0],
        ]
    )
    labels, weights = np.array([1, 1, 2, 0, 2]), np.array([1.0, 2.0, -3.0, 0.5, 1.0])
    compiled = tf.function(label_cross_entropy, autograph=False)
    with tf.GradientTape() as tape:
        given = tf.constant(scores, tf.float32)
        tape.watch(given)
        losses = compiled(given, tf.constant(labels, tf.int32))
        total = tf.reduce_sum(losses * tf.constant(weights, tf.float32))
    np.testing.assert_allclose(losses, [np.log(4.0), 2000.0, np.log1p(np.e), np.log(3.0), 0.0], rtol=1e-6)
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    expected = (softmax - np.eye(3)[labels]) * weights[:, np.newaxis]
    np.testing.assert_allclose(tape.gradient(total, given), expected, atol=1e-6)
