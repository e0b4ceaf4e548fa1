"""The generated log: its click rate, order effects and best attainable AUC."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.config.impression_world_config import ImpressionWorldConfig
from tfrec.data.impressions.expected_auc import expected_auc
from tfrec.data.impressions.impression_world import ImpressionWorld


def test_expected_auc_against_all_pairs() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.random(60), 1)
    right = total = 0.0
    for i in range(60):
        for j in range(60):
            if i != j:
                weight = p[i] * (1 - p[j])
                total += weight
                right += weight * (1.0 if p[i] > p[j] else 0.5 if p[i] == p[j] else 0.0)
    assert expected_auc(p) == pytest.approx(right / total, abs=1e-12)
    assert expected_auc([0.3, 0.3, 0.3]) == pytest.approx(0.5)


def test_labels_follow_the_probabilities() -> None:
    world = ImpressionWorld(ImpressionWorldConfig(num_rows=20_000, median_length=10, click_rate=0.1))
    chunks = list(world.chunks())
    labels = np.concatenate([batch.column("clicked").to_numpy() for batch, _ in chunks])
    p = np.concatenate([probability for _, probability in chunks])
    assert p.mean() == pytest.approx(0.1, abs=0.02)
    assert labels.mean() == pytest.approx(p.mean(), abs=4 * np.sqrt(0.09 / 20_000))
    clicks, others = p[labels == 1], p[labels == 0]
    observed = np.mean(clicks[:, None] > others[None, ::7])
    assert observed == pytest.approx(expected_auc(p), abs=0.02)
    days = np.concatenate([batch.column("day_of_week").to_numpy(zero_copy_only=False) for batch, _ in chunks])
    assert days.tolist() == sorted(days)
    again = next(iter(world.chunks()))[0]
    assert again.equals(chunks[0][0])
