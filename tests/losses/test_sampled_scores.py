"""Losses over given scores: golden values of published implementations and arithmetic by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.losses.binary_cross_entropy import binary_cross_entropy, gbce_power
from tfrec.losses.bpr import mean_bpr
from tfrec.losses.sampled_scores import SampledScores
from tfrec.losses.sampled_softmax import corrected_targets, sampled_softmax


def scores(targets: np.ndarray, negatives: np.ndarray, weights: np.ndarray | None = None) -> SampledScores:
    weights = np.ones_like(negatives) if weights is None else weights
    return SampledScores(*(tf.constant(array, tf.float32) for array in (targets, negatives, weights)))


@pytest.mark.parametrize(("name", "calibration"), [("loss_gbce_t", 0.75), ("loss_bce_t0", 0.0), ("loss_gbce_t1", 1.0)])
def test_gbce_of_the_published_implementation(name: str, calibration: float, golden: Path) -> None:
    stored = dict(np.load(golden / "sasrec_gsasrec.npz"))
    num_items, num_negatives = (int(stored["hparams_B_L_N_d_heads_blocks_K"][place]) for place in (2, 6))
    real = stored["model_input"] != num_items + 1  # the loss is averaged where the input is not padding
    logits = stored["logits_raw_pos_first"][real]
    power = gbce_power(num_negatives, num_items, calibration)
    losses = binary_cross_entropy(scores(logits[:, 0], logits[:, 1:]), target_power=power)
    assert float(tf.reduce_mean(losses)) == pytest.approx(float(stored[name]), rel=1e-5)
    if calibration == 0.75:
        assert power == pytest.approx(float(stored["gbce_beta"]), rel=1e-6)
        np.testing.assert_allclose(losses, stored["loss_per_position"][real], rtol=1e-4)


def test_bpr_of_a_published_implementation(golden: Path) -> None:
    stored = dict(np.load(golden / "sasrec_ur4rec.npz"))
    given = stored["scores_last_position_corrected"]
    losses = mean_bpr(scores(given[:, 0], given[:, 1:]))
    expected = float(stored["loss_bpr_softplus_corrected_candidate0_positive"])
    assert float(tf.reduce_mean(losses)) == pytest.approx(expected, rel=1e-5)


def test_power_by_hand() -> None:
    """3 negatives of 19 other items: a = 3/19; t = 1/2: b = a (1/2 - 1/(2a) + 1/a) = a/2 + 1/2 = 11/19."""
    assert gbce_power(3, 20, 0.5) == pytest.approx(11 / 19)
    assert gbce_power(3, 20, 0.0) == 1.0
    assert gbce_power(3, 20, 1.0) == pytest.approx(3 / 19)
    assert gbce_power(50, 20, 1.0) == 1.0  # more draws than items: the sampling rate is 1 at most


@pytest.mark.parametrize("loss", [binary_cross_entropy, mean_bpr, lambda given: sampled_softmax(given, None)])
def test_a_weight_counts_draws_and_zero_masks(loss) -> None:
    negatives = np.array([[0.3, -1.0, 2.0]])
    weighted = loss(scores(np.array([0.5]), negatives, np.array([[2.0, 0.0, 1.0]])))
    repeated = loss(scores(np.array([0.5]), np.array([[0.3, 0.3, 2.0]])))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_corrections_by_hand() -> None:
    """Two draws, target probability 1/4: it is among them with probability 1 - (3/4)^2 = 7/16."""
    arguments = (tf.constant([1.0]), tf.math.log([0.25]), tf.constant(2.0))
    assert corrected_targets(*arguments, "none").numpy().tolist() == [1.0]
    assert corrected_targets(*arguments, "refined").numpy().tolist() == [1.0]
    np.testing.assert_allclose(corrected_targets(*arguments, "standard"), [1.0 - np.log(7 / 16)], rtol=1e-6)


def test_corrected_softmax_by_hand() -> None:
    """Scores 0, negatives expected 1/2 and 2 times: e^0 / (e^0 + 2 + 1/2) = 1 / 3.5."""
    found = sampled_softmax(scores(np.zeros(1), np.zeros((1, 2))), tf.math.log([[0.5, 2.0]]))
    np.testing.assert_allclose(found, [np.log(3.5)], rtol=1e-6)


def test_standard_correction_stays_finite() -> None:
    """A target that is never drawn, and one that always is."""
    found = corrected_targets(tf.zeros([2]), tf.constant([-80.0, 0.0]), tf.constant(1000.0), "standard").numpy()
    np.testing.assert_allclose(found, [80.0 - np.log(1000.0), 0.0], rtol=1e-4)
