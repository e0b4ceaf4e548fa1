"""Counting models against numbers measured with other software: leave-one-out, full ranking, history excluded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.sequence_batches import make_arrays, make_batch
from tfrec.evaluation.ranking import evaluate_ranking
from tfrec.registry import model_class

pytestmark = pytest.mark.one_stack

# hit@10, ndcg@10 of popularity, last-item Markov and tf-idf item-kNN (200 neighbours, decay 0.8).
REFERENCE = {
    "beauty": {"popularity": (0.0110, 0.0053), "markov": (0.0666, 0.0439), "item_knn": (0.0668, 0.0400)},
    "ml-100k": {"popularity": (0.0838, 0.0436), "markov": (0.1442, 0.0766), "item_knn": (0.1835, 0.0964)},
}


def sequences_of(name: str, folder: Path) -> list[list[int]]:
    if name == "beauty":
        lines = (folder / "beauty" / "Beauty.txt").read_text().splitlines()
        return [[int(item) for item in line.split()[1:]] for line in lines]
    events = np.loadtxt(folder / "ml-100k" / "ml-100k.inter", skiprows=1, dtype=np.int64)
    events = events[np.lexsort((events[:, 3], events[:, 0]))]  # stable: equal times stay in file order
    return [part[:, 1].tolist() for part in np.split(events, np.flatnonzero(np.diff(events[:, 0])) + 1)]


def batches_of(sequences: list[list[int]]) -> Iterator[dict[str, tf.Tensor]]:
    for start in range(0, len(sequences), 512):
        part = sequences[start : start + 512]
        yield make_batch(part, [1] * len(part))


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_numbers(name: str, real_data: Path) -> None:
    raw = sequences_of(name, real_data)
    known = sorted({item for sequence in raw for item in sequence[:-2]})
    index = {item: number + 2 for number, item in enumerate(known)}
    # The validation item of a sequence may be unknown to training: it is dropped from the history. Targets stay.
    train = [[index[item] for item in sequence[:-2]] for sequence in raw]
    full = [[*(index[item] for item in sequence[:-1] if item in index), index.get(sequence[-1], 1)] for sequence in raw]
    batches = list(batches_of(full))
    for model_name, (hit, ndcg) in REFERENCE[name].items():
        cls = model_class(model_name)
        model = cls(cls.config_class(), len(known) + 2)
        model.fit_sequences(make_arrays(train))
        metrics = evaluate_ranking(model, batches, cutoffs=[10], exclude_history=True).metrics
        # Ties and equal timestamps leave the last digits open.
        assert metrics["hit@10"] == pytest.approx(hit, abs=0.0006), model_name
        assert metrics["ndcg@10"] == pytest.approx(ndcg, abs=0.0006), model_name
