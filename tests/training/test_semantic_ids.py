"""Semantic ids recover what was planted, use their codes, and tell all items apart."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfrec.config.rqvae_config import RQVAEConfig
from tfrec.data.semantic_ids import HEALTH_FILE, IDS_FILE
from tfrec.errors import DataError
from tfrec.evaluation.codebook_health import codebook_health, unique_codes
from tfrec.layers.residual_quantizer import ResidualQuantizer, _balanced, rotated
from tfrec.models.rqvae import RQVAE
from tfrec.training.fit_rqvae import WEIGHTS_FILE, fit_rqvae, write_semantic_ids

SIZES = [6, 5, 4]


def planted(count: int = 1800, dim: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Vectors that are sums of one of 6 large, one of 5 medium and one of 4 small parts, and noise; and which parts."""
    random = np.random.default_rng(3)
    levels = np.stack([random.integers(0, size, count) for size in SIZES], axis=1)
    parts = [random.normal(0, scale, (size, dim)) for size, scale in zip(SIZES, (4.0, 1.5, 0.5), strict=True)]
    noise = random.normal(0, 0.05, (count, dim))
    vectors = sum(part[levels[:, level]] for level, part in enumerate(parts)) + noise + 2.0
    return vectors.astype(np.float32), levels


def normalised_mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Mutual information over the mean of the entropies."""

    def entropy(counts: np.ndarray) -> float:
        share = counts[counts > 0] / counts.sum()
        return float(-(share * np.log(share)).sum())

    joint = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(joint, (first, second), 1)
    parts = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0))
    return 2 * (sum(parts) - entropy(joint.reshape(-1))) / sum(parts)


def prefixes(codes: np.ndarray, levels: int) -> np.ndarray:
    return np.unique(codes[:, :levels], axis=0, return_inverse=True)[1].reshape(-1)


CONFIG = {"hidden": [32], "latent_dim": 12, "codebook_sizes": SIZES, "batch_size": 256, "epochs": 6, "warmup_epochs": 6}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"codebook": "gradient", "estimator": "straight-through", "restart_below": 0.0},
    ],
    ids=str,
)
def test_a_planted_hierarchy_is_recovered(settings: dict[str, object]) -> None:
    vectors, levels = planted()
    model, epochs = fit_rqvae(vectors, RQVAEConfig(**{**CONFIG, "learning_rate": 0.003, **settings}), seed=1)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, 13))
    assert ["health" in epoch for epoch in epochs] == [False] * 6 + [True] * 6
    codes = model.codes(vectors)
    for depth in (1, 2, 3):
        assert normalised_mutual_information(prefixes(codes, depth), prefixes(levels, depth)) >= 0.9
    health = codebook_health(codes, SIZES)
    assert all(level["used"] >= 0.9 for level in health["levels"])
    assert len(np.unique(unique_codes(codes), axis=0)) == len(vectors)


def test_ids_are_written_as_item_features(tmp_path: Path) -> None:
    vectors, _ = planted(60)
    config = RQVAEConfig(**{**CONFIG, "epochs": 1, "warmup_epochs": 1})
    fitted = fit_rqvae(vectors, config, log_dir=tmp_path / "log")
    health = write_semantic_ids(fitted, pa.array(range(100, 160)), vectors, tmp_path / "ids")
    table = pq.read_table(tmp_path / "ids" / IDS_FILE)
    assert table.column_names == ["item_id", "sid_0", "sid_1", "sid_2", "sid_3"]
    assert table["item_id"].to_pylist() == list(range(100, 160))
    rows = list(zip(*(table[f"sid_{level}"].to_pylist() for level in range(4)), strict=True))
    assert len(set(rows)) == 60
    document = json.loads((tmp_path / "ids" / HEALTH_FILE).read_text())
    assert document == {**health, "settings": config.model_dump(mode="json"), "epochs": fitted.epochs}
    again = keras.saving.load_model(tmp_path / "ids" / WEIGHTS_FILE)
    assert isinstance(again, RQVAE)
    np.testing.assert_array_equal(again.codes(vectors), fitted.model.codes(vectors))
    assert list((tmp_path / "log").iterdir())
    with pytest.raises(DataError, match="NaN"):
        fit_rqvae(np.full((3, 2), np.nan, np.float32), config)


def test_levels_take_what_is_left() -> None:
    """By hand: 5 is nearest to 4, which leaves 1; that is nearest to 1.5. 9 leaves -1: -0.5."""
    layer = ResidualQuantizer([2, 2], 1, estimator="straight-through")
    layer.build()
    layer.codebooks[0].assign([[4.0], [10.0]])
    layer.codebooks[1].assign([[1.5], [-0.5]])
    vectors = tf.constant([[5.0], [9.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found = layer(vectors)
    assert found.codes.numpy().tolist() == [[0, 0], [1, 1]]
    assert found.vectors.numpy().tolist() == [[5.5], [9.5]]
    assert float(found.commitment) == pytest.approx((1 + 1) / 2 + (0.25 + 0.25) / 2)
    assert tape.gradient(found.vectors, vectors).numpy().tolist() == [[1.0], [1.0]]


def test_running_means_and_restarts() -> None:
    """A step with decay 0.5: the mean of the old (1 of weight 1) and the new (3, twice the average use)."""
    layer = ResidualQuantizer([2], 1, decay=0.5, restart_below=0.6)
    layer.build()
    layer.codebooks[0].assign([[1.0], [-50.0]])
    layer.counts[0].assign([1.0, 1.0])
    layer.sums[0].assign([[1.0], [-50.0]])
    layer(tf.constant([[3.0], [3.0]]), training=True)
    # Weights .5 * 1 + .5 * 2 = 1.5 and sums .5 * 1 + .5 * 6 = 3.5; the other code falls to .5 and starts anew at 3.
    np.testing.assert_allclose(layer.codebooks[0].numpy(), [[3.5 / 1.5], [3.0]], rtol=1e-6)
    np.testing.assert_allclose(layer.counts[0].numpy(), [1.5, 1.0])


def test_the_rotation_trick() -> None:
    """The value is that of the code; a gradient turns as the vector does: by 90 degrees, and to half the length."""
    vectors, onto = tf.constant([[2.0, 0.0]]), tf.constant([[0.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        found = rotated(vectors, onto)
        loss = tf.reduce_sum(found * tf.constant([[3.0, 5.0]]))
    np.testing.assert_allclose(found, onto, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, vectors), [[2.5, -1.5]], atol=1e-6)


def test_balanced_codes_are_used_alike() -> None:
    """Eight points that are all nearest to the first of two codes: the four farthest from it get the second."""
    points = np.arange(8.0)
    distances = np.stack([np.square(points), np.square(points - 40)], axis=1)
    found = _balanced(tf.constant(distances, tf.float32)).numpy()
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_balanced_ids_are_used_alike() -> None:
    """Most vectors lie in one place: nearest codes leave most of them to few codes, balanced ones do not."""
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(900, 6)) * np.where(random.random((900, 1)) < 0.1, 4.0, 0.5)).astype(np.float32)
    settings = {**CONFIG, "hidden": [16], "latent_dim": 4, "codebook_sizes": [8, 8], "epochs": 3, "warmup_epochs": 2}
    found = {}
    for assignment in ("nearest", "balanced"):
        model, _ = fit_rqvae(vectors, RQVAEConfig(**settings, assignment=assignment), seed=1)
        codes = model.codes(vectors)
        np.testing.assert_array_equal(codes, model.codes(vectors))
        found[assignment] = [level["perplexity"] for level in codebook_health(codes, [8, 8])["levels"]]
    assert max(found["nearest"]) < 7.0 < min(found["balanced"])
