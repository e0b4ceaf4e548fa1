"""Sequence encoders as query towers of TFRS."""

from __future__ import annotations

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.oracles.retrieval import retrieval_losses
from tests.sequence_batches import make_batch
from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.config.sasrec_config import SASRecConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.models.gru4rec import GRU4Rec
from tfrec.models.popularity import Popularity
from tfrec.models.sasrec import SASRec
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.tasks.query_tower import QueryTower
from tfrec.tasks.retrieval_objective import RetrievalObjective

VOCAB = 14  # items 2..13 in a ring: each is followed by the next


def ring(seed: int, count: int, length: int = 6) -> list[list[int]]:
    starts = np.random.default_rng(seed).integers(0, 12, size=count)
    return [[2 + (start + step) % 12 for step in range(length)] for start in starts.tolist()]


def ring_batches(seed: int) -> tf.data.Dataset:
    batch = make_batch(ring(seed, 640))
    return tf.data.Dataset.from_tensor_slices(batch).batch(64)


@pytest.mark.parametrize("embedding_mode", ["shared", "separate"])
def test_gru4rec_learns_a_ring_by_tfrs(embedding_mode: str) -> None:
    counts = np.array([0, 0] + [100] * 12)
    encoder = GRU4Rec(GRU4RecConfig(layers=[16], embedding_mode=embedding_mode), VOCAB, seed=1)
    trainer = QueryTower(encoder, RetrievalObjective(RetrievalConfig(exclude_history=False), counts))
    trainer.compile(optimizer=RowSparseAdam(0.02), jit_compile=False)
    test = make_batch(ring(9, 100), [1] * 100)
    before = evaluate_ranking(encoder, [test], cutoffs=[1]).metrics["hit@1"]
    trainer.fit(ring_batches(3), epochs=8, verbose=0, shuffle=False)
    after = evaluate_ranking(encoder, [test], cutoffs=[1]).metrics["hit@1"]
    assert before < 0.4
    assert after > 0.95


def test_sasrec_takes_the_task_as_its_objective() -> None:
    counts = np.array([0, 0] + [100] * 12)
    encoder = SASRec(SASRecConfig(dim=16, blocks=1, heads=1, max_length=8, dropout=0.0), VOCAB, seed=1)
    encoder.prepare_training(RetrievalObjective(RetrievalConfig(exclude_history=False), counts))
    encoder.compile(optimizer=RowSparseAdam(0.02), jit_compile=False)
    encoder.fit(ring_batches(3), epochs=8, verbose=0, shuffle=False)
    result = evaluate_ranking(encoder, [make_batch(ring(9, 100), [1] * 100)], cutoffs=[1])
    assert result.metrics["hit@1"] > 0.95


def test_loss_of_a_step_is_the_mean_over_all_targets_but_unknown_ones() -> None:
    encoder = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=1)
    encoder.items.bias.assign(np.random.default_rng(0).normal(size=VOCAB))
    batch = make_batch([[2, 3, 1, 5], [7, 8]])  # targets 3, (1: out of vocabulary), 5, 8
    config = RetrievalConfig(sampling_correction="none", exclude_history=False)
    trainer = QueryTower(encoder, RetrievalObjective(config, np.ones(VOCAB)))
    trainer.compile(optimizer=RowSparseAdam(1e-9), jit_compile=False)
    states = encoder.encode(batch).numpy()
    queries = np.stack([states[0, 0], states[0, 2], states[1, 0]])
    vectors, bias = (part.numpy() for part in encoder.item_table())
    queries = np.hstack([queries, np.ones((3, 1), np.float32)])
    candidates = np.hstack([vectors, bias[:, None]])[[3, 5, 8]]
    loss = float(trainer.train_step(batch)["loss"])
    assert loss == pytest.approx(np.mean(retrieval_losses(queries, candidates)), rel=1e-5)


def test_untouched_rows_stay_as_they_are() -> None:
    encoder = GRU4Rec(GRU4RecConfig(layers=[4], embedding_mode="separate"), VOCAB, seed=1)
    trainer = QueryTower(encoder, RetrievalObjective(RetrievalConfig(), np.ones(VOCAB)))
    trainer.compile(optimizer=RowSparseAdam(0.1), jit_compile=False)
    before = encoder.items.vectors.numpy()
    trainer.fit(tf.data.Dataset.from_tensors(make_batch([[2, 3, 4], [5, 6, 7]])), verbose=0, shuffle=False)
    changed = np.abs(encoder.items.vectors.numpy() - before).max(axis=1) > 0
    assert np.flatnonzero(changed).tolist() == [3, 4, 6, 7]  # the targets


def test_a_scaled_loss_gives_the_step_of_an_unscaled_one() -> None:
    """As `compile` makes it under `mixed_float16`: the optimiser divides gradients by the scale of the loss."""
    weights = []
    for scaled in (False, True):
        encoder = GRU4Rec(GRU4RecConfig(layers=[4]), VOCAB, seed=1)
        trainer = QueryTower(encoder, RetrievalObjective(RetrievalConfig(), np.ones(VOCAB)))
        optimizer = keras.optimizers.SGD(0.5)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
        trainer.compile(optimizer=optimizer, jit_compile=False)
        initial = encoder.get_weights()
        loss = trainer.fit(tf.data.Dataset.from_tensors(make_batch([[2, 3, 4], [5, 6, 7]])), verbose=0).history["loss"]
        assert loss[0] == pytest.approx(np.log(3), abs=0.5)  # not scaled
        weights.append(encoder.get_weights())
    assert max(np.abs(new - old).max() for new, old in zip(weights[0], initial, strict=True)) > 1e-2
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_replicas_with_unequal_numbers_of_targets_weigh_every_target_alike() -> None:
    """Two logical devices and one give the same weights; negatives differ, so the loss here is one without any."""
    result = subprocess.run([sys.executable, "-c", _REPLICAS], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    one, two, seeds = json.loads(result.stdout.splitlines()[-1])
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert len({tuple(seed) for seed in seeds}) == 2


_REPLICAS = """
import json
from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.models.gru4rec import GRU4Rec
from tfrec.tasks.query_tower import QueryTower
import keras
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
batch = {"item": np.array([[2, 3, 4, 5], [6, 7, 0, 0]], np.int32), "length": np.array([4, 2], np.int32)}
seeds = []

def train(strategy):
    def objective(states, targets, items, *, seed, **_):
        if strategy.num_replicas_in_sync == 2:
            tf.py_function(lambda seed: seeds.append(seed.numpy().tolist()), [seed], [])
        return -tf.reduce_sum(states * items.lookup(targets)[0], axis=1)

    with strategy.scope():
        encoder = GRU4Rec(GRU4RecConfig(layers=[4]), 10, seed=1)
        trainer = QueryTower(encoder, objective)
        trainer.compile(optimizer=keras.optimizers.SGD(0.5), jit_compile=False)
    trainer.fit(tf.data.Dataset.from_tensor_slices(batch).batch(2), verbose=0)
    return np.concatenate([weight.ravel() for weight in encoder.get_weights()]).tolist()

one = train(tf.distribute.OneDeviceStrategy("cpu:0"))
two = train(tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"]))
print(json.dumps([one, two, seeds]))
"""


def test_encoder_without_items() -> None:
    with pytest.raises(ConfigError, match="`items`"):
        QueryTower(Popularity(Popularity.config_class(), VOCAB), RetrievalObjective(RetrievalConfig(), np.ones(VOCAB)))
