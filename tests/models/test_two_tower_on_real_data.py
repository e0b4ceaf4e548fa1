"""The two-tower model through TFRS on MovieLens: leave-one-out, full ranking, history excluded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_baselines_on_real_data import batches_of, sequences_of
from tests.sequence_batches import make_arrays, make_batch
from tfrec.config.retrieval_config import RetrievalConfig
from tfrec.config.two_tower_config import TwoTowerConfig
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.models.popularity import Popularity
from tfrec.models.two_tower import TwoTower
from tfrec.optimizers.row_sparse_adam import RowSparseAdam
from tfrec.tasks.retrieval_objective import RetrievalObjective

EPOCHS, BATCH, WINDOW = 8, 32, 100


@pytest.mark.one_stack
@pytest.mark.slow
def test_it_beats_popularity(real_data: Path) -> None:
    raw = sequences_of("ml-100k", real_data)
    known = sorted({item for sequence in raw for item in sequence[:-2]})
    index = {item: number + 2 for number, item in enumerate(known)}
    train = [[index[item] for item in sequence[:-2]] for sequence in raw]
    full = [[*(index[item] for item in sequence[:-1] if item in index), index.get(sequence[-1], 1)] for sequence in raw]
    vocab_size = len(known) + 2
    counts = np.bincount(np.concatenate(train), minlength=vocab_size)

    # Settings were chosen on the second last event of each user; the test is about the last.
    model = TwoTower(TwoTowerConfig(max_length=WINDOW), vocab_size, seed=1)
    model.items.set_items(counts, {})
    model.prepare_training(RetrievalObjective(RetrievalConfig(group_size=512), counts))
    optimizer = RowSparseAdam(0.002)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=False)

    def training_batches() -> Iterator[dict[str, tf.Tensor]]:
        order = np.random.default_rng(0)
        for _ in range(EPOCHS):
            shuffled = [train[user][-WINDOW - 1 :] for user in order.permutation(len(train))]
            for start in range(0, len(shuffled), BATCH):
                yield make_batch(shuffled[start : start + BATCH], width=WINDOW + 1)

    signature = {name: tf.TensorSpec([None] * value.ndim, value.dtype) for name, value in make_batch([[2, 3]]).items()}
    model.fit(tf.data.Dataset.from_generator(training_batches, output_signature=signature), verbose=0, shuffle=False)

    popularity = Popularity(Popularity.config_class(), vocab_size)
    popularity.fit_sequences(make_arrays(train))
    batches = list(batches_of(full))
    metrics = {
        name: evaluate_ranking(scorer, batches, cutoffs=[10], exclude_history=True).metrics
        for name, scorer in (("two_tower", model), ("popularity", popularity))
    }
    assert metrics["popularity"]["hit@10"] == pytest.approx(0.0838, abs=0.0006)
    assert metrics["two_tower"]["hit@10"] > 1.4 * metrics["popularity"]["hit@10"]
    assert metrics["two_tower"]["ndcg@10"] > 1.4 * metrics["popularity"]["ndcg@10"]
