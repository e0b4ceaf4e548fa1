"""Streams of random numbers that share nothing."""

from __future__ import annotations

import numpy as np

from tfrec.config.gru4rec_config import GRU4RecConfig
from tfrec.models.gru4rec import GRU4Rec
from tfrec.seeds import derive_seed


def test_purposes_seeds_and_counters_are_told_apart() -> None:
    seeds = {
        derive_seed(seed, purpose, *counters)
        for seed in range(50)
        for purpose in ("items", "gates", "dropout")
        for counters in ((0,), (1,), (0, 1))
    }
    assert len(seeds) == 50 * 3 * 3
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(7, "items") == derive_seed(7, "items")


def test_models_of_neighbouring_seeds_share_no_weights() -> None:
    """With seeds that are merely counted up, a kernel of one model is the beginning of another one's."""
    values = []
    for seed in (42, 43, 44):
        model = GRU4Rec(GRU4RecConfig(layers=[20, 20]), 52, seed=seed)
        for variable in model.trainable_variables:
            if variable.numpy().any():
                flat = variable.numpy().ravel()
                values.append(np.sort(np.abs(flat[flat != 0] / np.abs(flat).max())))
    flat = np.concatenate(values)
    assert len(np.unique(np.round(flat, 7))) > 0.98 * len(flat)
