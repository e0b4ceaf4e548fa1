"""Fusion of scores on different scales, by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec.config.sasrec_config import SASRecConfig
from tfrec.config.ur4rec_config import FusionConfig, UR4RecConfig
from tfrec.layers.score_fusion import PACE, ScoreFusion, standardise


def test_standardised_by_hand() -> None:
    scores = tf.constant([[1.0, 3.0, 5.0, 100.0], [7.0, 7.0, 7.0, 8.0]])
    found = standardise(scores, tf.constant([True, True, True, False]))
    # Mean 3, variance (4 + 0 + 4) / 3; the last candidate is not counted, but scored.
    deviation = np.sqrt(8 / 3)
    np.testing.assert_allclose(found[0], np.array([-2, 0, 2, 97]) / deviation, rtol=1e-5)
    np.testing.assert_array_equal(found[1], 0.0)  # a list of equal scores says nothing


def test_weighted_and_learned() -> None:
    weighted = ScoreFusion("weighted", weights=(0.7, 0.3))
    weighted.build()
    first, second = tf.constant([[1.0, -1.0]]), tf.constant([[0.5, 2.0]])
    weights = weighted.weights_of(tf.zeros([1, 1]), tf.zeros([1, 1]))
    found = weighted(first, second, weights, tf.constant([False, True]))
    np.testing.assert_allclose(found, [[0.7 * 1.0 + 0.3 * 0.5, 2.0]], rtol=1e-6)  # the first does not know item 2
    learned = ScoreFusion("learned")
    learned.build()
    np.testing.assert_allclose(learned.shared_weights(), [0.5, 0.5])
    learned.logits.assign([np.log(3.0) / PACE, 0.0])
    np.testing.assert_allclose(learned.shared_weights(), [0.75, 0.25], rtol=1e-6)
    np.testing.assert_allclose(learned.weights_of(tf.zeros([2, 1]), tf.zeros([2, 1])), [[0.75, 0.25]] * 2, rtol=1e-6)


def test_a_few_hundred_small_steps_find_the_weights() -> None:
    """Of two branches of which one is noise: two logits get there with the step size of a fine-tuning stage."""
    fusion = ScoreFusion("learned")
    fusion.build()
    random = np.random.default_rng(4)
    useful, noise = random.normal(size=(2, 200, 20)).astype(np.float32)
    target = useful.argmax(axis=1)
    optimizer = keras.optimizers.Adam(0.001)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            weights = fusion.weights_of(tf.zeros([200, 1]), tf.zeros([200, 1]))
            logits = fusion.scale() * fusion(useful, noise, weights, tf.zeros([20], tf.bool))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits))
        variables = fusion.trainable_variables
        optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)

    before = float(fusion.scale())
    for _ in range(300):
        step()
    assert fusion.shared_weights()[0] > 0.9
    assert float(fusion.scale()) > 2 * before


def test_adaptive_weights_are_those_of_each_user() -> None:
    fusion = ScoreFusion("adaptive", widths=(2, 3), hidden=4, seed=2)
    fusion.build()
    state, vector = tf.constant([[1.0, 2.0], [0.0, -1.0]]), tf.constant([[1.0, 0.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(fusion.weights_of(state, vector), 0.5)
    random = np.random.default_rng(3)
    for weight in fusion.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    kernel, bias, outer, shift = (weight.numpy() for layer in fusion.dense for weight in layer.weights)
    joined = np.concatenate([state, vector], axis=1)
    logits = np.maximum(joined @ kernel + bias, 0) @ outer + shift
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fusion.weights_of(state, vector), wanted, rtol=1e-4)
    assert abs(wanted[0, 0] - wanted[1, 0]) > 1e-3


def test_a_weight_of_zero_switches_a_branch_off_and_both_cannot_be() -> None:
    config = UR4RecConfig(fusion=FusionConfig(mode="weighted", sasrec_weight=0.0))
    assert (config.has_sasrec, config.has_retriever) == (False, True)
    with pytest.raises(ValueError, match="must be positive"):
        FusionConfig(mode="weighted", sasrec_weight=0, retriever_weight=0)
    with pytest.raises(ValueError, match="goes with mode `weighted`"):
        FusionConfig(mode="learned", retriever_weight=0)  # would switch nothing off
    with pytest.raises(ValueError, match="both branches are switched off"):
        UR4RecConfig(use_sasrec=False, use_retriever=False)


@pytest.mark.parametrize("given", [{"item_features": True}, {"item_vectors": ["minilm"]}, {"user_vectors": True}])
def test_inputs_that_the_branch_would_not_read_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"reads no `sasrec\.{next(iter(given))}`.*retriever\.item_texts"):
        UR4RecConfig(sasrec=SASRecConfig(**given))
