"""Cosines of states with right and wrong items in a training step."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec.config.optimizer_config import SequenceOptimizerConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.models.sasrec import SASRec
from tfrec.optimizers.build import build_sequence_optimizer


def test_means_over_targets_and_over_those_half_a_step_away() -> None:
    model = SASRec(SASRecConfig(dim=4, heads=1, blocks=1, max_length=5, dropout=0.0, init_stddev=0.5), 9, seed=2)
    model.prepare_training(lambda states, *others, **more: tf.reduce_sum(states, axis=1), similarities=True)
    optimizer = build_sequence_optimizer(SequenceOptimizerConfig(), model.trainable_variables, 1)
    model.compile(optimizer=optimizer, jit_compile=False)
    batch = {"item": tf.constant([[2, 3, 3, 5], [6, 3, 8, 0]]), "length": tf.constant([4, 3])}
    inputs = {"item": batch["item"][:, :-1], "length": batch["length"] - 1}
    states = model.encode(inputs).numpy()
    states = np.concatenate([states[0, :3], states[1, :2]])
    table, targets = model.items.vectors.numpy(), np.array([3, 3, 5, 3, 8])
    cosines = (
        (states @ table.T) / np.linalg.norm(states, axis=1)[:, None] / np.maximum(np.linalg.norm(table, axis=1), 1e-9)
    )
    found = model.train_step(batch)
    rows = [1, 2, 4]  # two places before the first and the fourth is their own target
    own = cosines[rows, targets[rows]]
    others = cosines[rows, targets[[4, 0, 2]]]
    np.testing.assert_allclose(found["positive_similarity"], own.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["negative_similarity"], others.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["similarity_gap"], (own - others).mean(), rtol=1e-5)
