"""Targets that count more than others, by what kind of event they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.data.vocabulary import Vocabulary
from tfrec.errors import ConfigError
from tfrec.losses.target_weights import TargetWeights
from tfrec.models.sasrec import SASRec
from tfrec.optimizers.build import build_sequence_optimizer

ACTIONS = Vocabulary(pa.array([0, 1, 2]), np.array([0, 0, 9, 3, 1]))
BATCH = {
    "item": tf.constant([[2, 3, 4, 5], [6, 1, 7, 0]]),
    "length": tf.constant([4, 3]),
    "action": tf.constant([[4, 2, 3, 0], [2, 2, 4, 0]]),  # indices: 2 is action 0
}


def test_the_event_of_the_target_decides() -> None:
    weights = TargetWeights("action", ACTIONS, {"0": 0.0, "2": 2.5})
    queries = tf.constant([[0, 0], [0, 1], [0, 2], [1, 1]])
    assert weights(BATCH, queries).numpy().tolist() == [0.0, 1.0, 1.0, 2.5]  # without a value: 1
    with pytest.raises(ConfigError, match="the value `3`, which no training event has in `action`"):
        TargetWeights("action", ACTIONS, {"3": 1.0})


@pytest.mark.parametrize(
    ("weights", "expected"), [({"1": 3.0}, (0.25 + 3 * 0.5 + 1.0 + 2.0) / 6), ({"0": 0.0, "1": 0.0}, (1.0 + 2.0) / 2)]
)
def test_the_loss_of_a_step_is_the_weighted_mean(weights: dict[str, float], expected: float) -> None:
    """Targets 3, 4, 5 and 7 (1 is unknown) have the actions 0, 1, none and 2, and the losses .25, .5, 1 and 2."""
    model = SASRec(SASRecConfig(dim=4, heads=1, blocks=1, max_length=5, dropout=0.0), 9)
    bias = tf.Variable(1.0)

    def objective(states: tf.Tensor, targets: tf.Tensor, *others: Any, **more: Any) -> tf.Tensor:
        assert targets.numpy().tolist() == [3, 4, 5, 7]
        return tf.constant([0.25, 0.5, 1.0, 2.0]) + 0.0 * tf.reduce_sum(states) * bias

    model.prepare_training(objective, TargetWeights("action", ACTIONS, weights))
    optimizer = build_sequence_optimizer(SequenceOptimizerConfig(), model.trainable_variables, 1)
    model.compile(optimizer=optimizer, jit_compile=False)
    found = model.train_step(BATCH)
    assert float(found["loss"]) == pytest.approx(expected)
    assert float(found["events"]) == 4
