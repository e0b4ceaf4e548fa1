"""Click metrics against all pairs, hand arithmetic and the published score."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.evaluation.click_metrics import (
    auc,
    auc_interval,
    average_precision,
    balanced_shift,
    calibration,
    click_metrics,
    click_slices,
    competition_score,
    group_auc,
    log_loss,
    weighted_log_loss,
)

LABELS = np.array([1, 0, 0, 0])
P = np.array([0.7, 0.2, 0.4, 0.1])


def all_pairs(labels: np.ndarray, scores: np.ndarray) -> float:
    clicks, others = scores[labels == 1], scores[labels == 0]
    higher = (clicks[:, None] > others).mean()
    return float(higher + 0.5 * (clicks[:, None] == others).mean())


def test_auc_against_all_pairs_with_ties() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = rng.integers(0, 2, 50)
        scores = rng.integers(0, 8, 50) / 8
        assert auc(labels, scores) == pytest.approx(all_pairs(labels, scores), abs=1e-12)
    assert np.isnan(auc([1, 1], [0.1, 0.2]))
    assert auc([1, 0], [0.5, 0.5]) == 0.5
    # A weight of two is the same as the row twice.
    assert auc([1, 0, 0], [0.4, 0.3, 0.5], [1, 2, 1]) == pytest.approx(auc([1, 0, 0, 0], [0.4, 0.3, 0.3, 0.5]))


def test_average_precision_by_hand() -> None:
    # Thresholds .9, .8, .7: precision 1, 1/2, 2/3; recall rises at the first and the last.
    assert average_precision([1, 0, 1], [0.9, 0.8, 0.7]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    # Equal scores enter together: one threshold with precision 2/4.
    assert average_precision([1, 0, 1, 0], [0.5] * 4) == pytest.approx(0.5)


def test_the_published_example_and_constants() -> None:
    assert weighted_log_loss(LABELS, P) == pytest.approx(0.31822575, abs=1e-8)
    assert average_precision(LABELS, P) == 1.0
    assert competition_score(LABELS, P) == pytest.approx(0.87929770, abs=1e-8)
    labels = np.r_[np.ones(185), np.zeros(9815)]
    prior, half = np.full(10_000, 0.0185), np.full(10_000, 0.5)
    assert weighted_log_loss(labels, prior) == pytest.approx(2.00433, abs=1e-5)
    assert competition_score(labels, prior) == pytest.approx(0.17568, abs=1e-5)
    assert weighted_log_loss(labels, half) == pytest.approx(0.69315, abs=1e-5)
    assert competition_score(labels, half) == pytest.approx(0.30456, abs=1e-5)
    assert balanced_shift(0.0185) == pytest.approx(3.971, abs=1e-3)


def test_balanced_shift_makes_a_calibrated_model_even() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(-4.0, 1.0, 20_000)
    labels = rng.random(20_000) < 1 / (1 + np.exp(-logits))
    metrics = click_metrics(labels, logits, shift=balanced_shift(labels.mean()))
    assert metrics["wll_balanced"] < 0.7 < metrics["wll"]
    assert metrics["score_balanced"] > metrics["score"]
    assert metrics["mean_prediction"] == pytest.approx(metrics["click_rate"], rel=0.1)
    assert metrics["logloss"] == pytest.approx(log_loss(labels, 1 / (1 + np.exp(-logits))))
    low, high = auc_interval(labels, logits, samples=100, confidence=0.95)
    assert low < metrics["auc"] < high
    # Hanley and McNeil: the standard error of this AUC.
    a, clicks, others = metrics["auc"], labels.sum(), (~labels).sum()
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (clicks - 1) * (q1 - a * a) + (others - 1) * (q2 - a * a)) / (clicks * others))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_group_auc_weighs_groups_by_rows() -> None:
    labels = [1, 0, 1, 0, 0, 1]
    scores = [0.9, 0.1, 0.1, 0.9, 0.2, 0.5]
    groups = [7, 7, 3, 3, 3, 5]
    # Group 7: 1 over 2 rows; 3: click .1 below both, 0 over 3 rows; 5 has one class.
    assert group_auc(labels, scores, groups) == pytest.approx(2 / 5)


def test_calibration_by_hand() -> None:
    curve, error = calibration([0, 0, 1, 1], [0.1, 0.3, 0.6, 0.8], 2)
    assert [point["observed"] for point in curve] == [0.0, 1.0]
    assert [point["predicted"] for point in curve] == pytest.approx([0.2, 0.7])
    assert error == pytest.approx(0.5 * 0.2 + 0.5 * 0.3)


def test_slices() -> None:
    found = click_slices(LABELS, np.log(P / (1 - P)), np.array([2, 2, 3, 3]), {2: "a"})
    assert [(part["value"], part["rows"], part["clicks"]) for part in found] == [("a", 2, 1), ("unknown", 2, 0)]
    assert found[0]["auc"] == 1.0
    assert np.isnan(found[1]["auc"])
    assert found[1]["mean_prediction"] == pytest.approx(0.25)


def test_of_many_values_the_most_frequent_are_sliced() -> None:
    groups = np.array([4, 3, 3, 2, 2, 2, 9])
    found = click_slices([0, 1, 0, 1, 0, 0, 1], np.zeros(7), groups, {value: str(value) for value in range(10)}, most=2)
    assert [(part["value"], part["rows"]) for part in found] == [("2", 3), ("3", 2)]


def test_resamples_without_a_click_are_no_auc_of_zero() -> None:
    """With one click more than a third of the resamples have none; the others all have this AUC."""
    labels, scores = np.r_[1.0, np.zeros(400)], np.r_[0.9, np.full(400, 0.5)]
    assert auc_interval(labels, scores, samples=50, confidence=0.9) == (1.0, 1.0)
    assert np.isnan(auc_interval(np.zeros(5), np.arange(5), samples=3, confidence=0.9)).all()
